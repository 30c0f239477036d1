"""The folder of a trial: its files, and reading and writing of its result.

Reads and writes, in `trials/00012/`: `checkpoint.pt` while the trial is unfinished; at its end
`student.safetensors` and `validation.arrow` (of a complete trial), and, last, `result.json`. A
trial of several seeds has, until its end, the checkpoint of the current seed, and `seeds.json` with
the results of earlier seeds; weights and predictions are those of the first seed.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.phrasing import one_line
from mvkt_ray.records import EpochRecord, Trial, TrialResult, trial_folder_name
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.sealed import sealed_json, unsealed_json
from mvkt_ray.training.predictions_file import (
    StoredPredictions,
    parse_predictions,
    predictions_to_arrow,
)

if TYPE_CHECKING:
    from torch import nn

    from mvkt_ray.data.splits import Split
    from mvkt_ray.training.validation import Predictions

SCHEMA_VERSION = 2

_LOG = logging.getLogger(__name__)
_COPY = "Restore it from a copy."


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """Content of `result.json` of a finished trial."""

    recipe: str
    """Hash of everything that determines its numbers."""
    result: TrialResult
    history: tuple[EpochRecord, ...]
    files: Mapping[str, str]
    """Hashes of the trial's other files, by name."""

    @classmethod
    def from_bytes(cls, content: bytes) -> "StoredResult":
        """Parse the output of `TrialFolder.write_result`.

        Raises:
            ValueError: The content is not JSON, or was changed after it was written.
            KeyError: A key is missing.
            TypeError: A value has another type.
        """
        return cls.from_json(unsealed_json(content))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "StoredResult":
        """Read plain values; raises as `from_bytes`."""
        return cls(
            recipe=value["recipe"],
            result=TrialResult.from_json(value["result"]),
            history=tuple(EpochRecord.from_json(item) for item in value["history"]),
            files=value["files"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, which `from_json` reads back."""
        return {
            "recipe": self.recipe,
            "result": self.result.to_json(),
            "history": [record.to_json() for record in self.history],
            "files": dict(self.files),
        }


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """Paths and files of one trial."""

    location: Location

    @classmethod
    def of(cls, trials: str | Location, number: int) -> "TrialFolder":
        """Return the folder of a trial by its number."""
        return cls(Location.parse(trials) / trial_folder_name(number))

    @property
    def checkpoint(self) -> Location:
        """State of an unfinished trial after its last epoch."""
        return self.location / "checkpoint.pt"

    @property
    def student(self) -> Location:
        """Weights of a complete trial."""
        return self.location / "student.safetensors"

    @property
    def validation(self) -> Location:
        """Predictions of a complete trial on the validation split."""
        return self.location / "validation.arrow"

    @property
    def result(self) -> Location:
        """Result of the trial; its presence means that the trial has ended."""
        return self.location / "result.json"

    @property
    def seeds(self) -> Location:
        """Results of the finished seeds of an unfinished trial."""
        return self.location / "seeds.json"

    def seeds_content(self) -> bytes | None:
        """Return the content of `seeds.json`; None if no seed has ended."""
        return self.seeds.read_bytes() if self.seeds.exists() else None

    def parse_seeds(self, content: bytes | None, recipes: Sequence[str]) -> list[StoredResult]:
        """Return the results of a trial's finished seeds; empty if damaged or of another trial.

        Args:
            content: Content of `seeds.json`; None: there is no file.
            recipes: Recipes of all seeds of the trial, in order.
        """
        if content is None:
            return []
        try:
            ended = [StoredResult.from_json(each) for each in unsealed_json(content)["ended"]]
        except Exception as error:
            _LOG.warning("%s is damaged (%s): trained again", self.seeds, one_line(error))
            return []
        if [each.recipe for each in ended] != list(recipes[: len(ended)]):
            _LOG.warning("%s is of another trial: trained again", self.seeds)
            return []
        return ended

    def write_seeds(self, ended: Sequence[StoredResult]) -> None:
        """Write the results of the finished seeds, before the last one's checkpoint is removed."""
        self.seeds.write_bytes(sealed_json({"ended": [each.to_json() for each in ended]}))

    def result_content(self) -> bytes | None:
        """Return the content of `result.json`; None while the trial has not ended."""
        return self.result.read_bytes() if self.result.exists() else None

    def parse_result(self, content: bytes | None, recipe: str) -> StoredResult | None:
        """Return a trial's result; None if missing, damaged or of another trial: it is trained.

        Args:
            content: Content of `result.json`; None: there is no file.
            recipe: Recipe of the trial.
        """
        if content is None:
            return None
        try:
            stored = StoredResult.from_bytes(content)
        except Exception as error:
            _LOG.warning("%s is damaged (%s): trained again", self.result, one_line(error))
            return None
        if stored.recipe != recipe:
            _LOG.warning("%s is of another trial: trained again", self.result)
            return None
        return stored

    def read_result(self, expected: TrialResult) -> StoredResult | None:
        """Return the stored result of an ended trial; None if there is no file.

        Args:
            expected: The result in the ledger.

        Raises:
            ArtifactError: The file is damaged, or of another trial.
        """
        content = self.result_content()
        if content is None:
            return None
        with reading(f"{self.result}, the result of a trial,", _COPY, ArtifactError):
            stored = StoredResult.from_bytes(content)
        if _outcome(stored.result) != _outcome(expected):
            raise ArtifactError(
                f"{self.result} differs from the result of trial {expected.number} in the ledger: "
                "the file is from another trial. Restore it from a copy."
            )
        return stored

    def read_student(self, expected: TrialResult | None = None) -> bytes:
        """Return the weights of a complete trial, as safetensors.

        Args:
            expected: The result in the ledger; None: not compared.

        Raises:
            ArtifactError: The file is missing, or is not the one that the trial wrote.
        """
        return self._read_left(self.student, expected)

    def read_validation(self, expected: TrialResult | None = None) -> StoredPredictions:
        """Return a complete trial's predictions on the validation split; as `read_student`."""
        return parse_predictions(self._read_left(self.validation, expected), self.validation)

    def _read_left(self, file: Location, expected: TrialResult | None) -> bytes:
        with reading(file, _COPY, ArtifactError):
            content = file.read_bytes()
            if expected is None:
                found = self.result_content()
                stored = None if found is None else StoredResult.from_bytes(found)
            else:
                stored = self.read_result(expected)
            own_hash = hashlib.sha256(content).hexdigest()
            if stored is not None and stored.files.get(file.name) != own_hash:
                raise ArtifactError(
                    f"{file} is not the file that its trial wrote: it is damaged, or from another "
                    f"trial. {_COPY}"
                )
        return content

    def write_complete(
        self, student: "nn.Module", split: "Split", predictions: "Predictions"
    ) -> dict[str, str]:
        """Write weights and predictions of a complete trial; return their hashes by file name."""
        # Reports read trials, too, and import no torch.
        from safetensors.torch import save

        weights = {name: value.cpu().contiguous() for name, value in student.state_dict().items()}
        contents = {
            self.student: save(weights),
            self.validation: predictions_to_arrow(split, predictions),
        }
        for file, content in contents.items():
            file.write_bytes(content)
        return {f.name: hashlib.sha256(content).hexdigest() for f, content in contents.items()}

    def write_result(
        self,
        trial: Trial,
        result: TrialResult,
        history: Sequence[EpochRecord],
        *,
        recipe: str,
        facts: dict[str, Any],
        files: Mapping[str, str],
    ) -> None:
        """Write the result of the trial, as its last file.

        Args:
            trial: The trial.
            result: Its result.
            history: Records of its epochs.
            recipe: Hash of everything that determines its numbers.
            facts: Inputs that determine its numbers, as plain values.
            files: Hashes of its other files, by name.
        """
        value = {
            "schema_version": SCHEMA_VERSION,
            "recipe": recipe,
            "trial": trial.to_json(),
            "result": result.to_json(),
            "history": [record.to_json() for record in history],
            "made_from": facts,
            "files": dict(files),
        }
        self.result.write_bytes(sealed_json(value))

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint, whose banks and moments are many times larger than the weights."""
        self.checkpoint.delete()


def _outcome(result: TrialResult) -> dict[str, Any]:
    """Return the parts of a result that do not depend on time and machine."""
    value = result.to_json()
    return {key: value[key] for key in ("number", "state", "macro_auroc", "per_class_auroc")}
