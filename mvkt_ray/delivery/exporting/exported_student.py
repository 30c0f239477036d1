"""Selects the training to export: a final, or a trial of the search, marked as not examined.

Reads: the material of the study, and the files of the training.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.file_guards import reading
from mvkt_ray.models.network import Network
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.records import Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.finals.finals_plan import CHOSEN
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import StoredPredictions
from mvkt_ray.training.students.student_learner import build_student
from mvkt_ray.training.trial_files import TrialFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRequest:
    """Selection of a training; None selects the default."""

    lead: str | None = None
    """A condition of the study, `V5` or `I+V5`; by default the highest ranked."""
    contender: str | None = None
    """Name of the contender; by default the answer, by which leads are ranked."""
    repetition: int | None = None
    """Seed of a final; by default the lowest complete one."""
    from_search: bool = False
    """Whether to take a trial of the search, which is not examined on the test split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedStudent:
    """One training with its provenance for the model card."""

    trial: Trial
    contender: str
    files: TrialFolder
    finals: int | None
    """Number of the finals; None for a trial of the search."""
    test: Location | None
    """File of its test predictions; None if not examined."""
    trained_on_validation: bool
    """Whether it was trained on the validation split, too, so that no threshold can be chosen."""
    recipe: str
    """Hash of the inputs of its training."""
    weights_sha256: str
    result: TrialResult
    """End of its training, from the ledger."""

    @property
    def condition(self) -> Condition:
        """Its condition: the lead, or lead set."""
        return self.trial.condition

    @property
    def examined(self) -> bool:
        """Whether it was examined on the test split."""
        return self.test is not None

    def weights(self) -> dict[str, Tensor]:
        """Read the weights, by name.

        Raises:
            ArtifactError: The file is missing or damaged.
        """
        advice = "It was damaged after it was written: restore it from a copy."
        with reading(self.files.student, advice, ArtifactError):
            return safetensors.torch.load(self.files.read_student(self.result))

    def validation_predictions(self) -> StoredPredictions:
        """Read its validation predictions from the end of its training."""
        return self.files.read_validation(self.result)


def choose_student(
    material: ReportMaterial, request: ExportRequest, ranked: tuple[str, ...]
) -> ExportedStudent:
    """Find the requested training.

    Args:
        material: Material of the study.
        request: Selection of the training.
        ranked: Names of the conditions by rank, the best first.

    Raises:
        ConfigError: There is no such lead, contender or seed, or there are no finals and the
            request is not for a trial of the search.
        ArtifactError: Files of the training are missing or damaged.
    """
    if request.from_search:
        return _from_search(material, request, ranked)
    finals = material.finals
    if finals is None:
        raise ConfigError(
            f"{material.folder.root} has no completed finals: none of its students was evaluated "
            "on the test split. Run `mvkt finalize` first, or export a trial of the search by "
            "--from-search; its card then states that it was not examined."
        )
    leads = tuple(dict.fromkeys(each.condition.name for each in finals.plan))
    lead = _lead(request.lead, leads, ranked)
    names = [each.name for each in finals.plan if each.condition.name == lead]
    contender = finals.answer if request.contender is None else request.contender
    if contender not in names:
        raise ConfigError(
            f"--contender {contender!r}: the finals have no contender of this name for {lead}; "
            f"{did_you_mean(contender, names)}"
        )
    own = [
        record
        for record in finals.records
        if record.condition == lead and record.trial.contender == contender
    ]
    record = _of_seed(own, request.repetition, f"{contender} of {lead}")
    folder = material.folder.final(finals.number)
    files = TrialFolder.of(folder.trials, record.number)
    return _student(
        record,
        files,
        contender=contender,
        finals=finals.number,
        test=folder.test(record.number),
        trained_on_validation=finals.refit,
    )


def trained_network(student: ExportedStudent, n_leads: int, n_classes: int) -> Network:
    """Return a student's network with its weights, on the CPU and in evaluation mode.

    Raises:
        ArtifactError: The file of the weights is missing, damaged, or of another network.
    """
    values: Mapping[str, Any] = student.trial.hyperparameters
    hyperparameters = Hyperparameters(**values)
    network = build_student(hyperparameters, n_leads, n_classes)
    try:
        network.load_state_dict(student.weights())
    except RuntimeError as error:
        raise ArtifactError(
            f"{student.files.student} does not hold the weights of a {hyperparameters.student} of "
            f"{student.condition.name} ({str(error).splitlines()[0]}). Restore the study's folder "
            "from a copy."
        ) from None
    return network.eval()


def _from_search(
    material: ReportMaterial, request: ExportRequest, ranked: tuple[str, ...]
) -> ExportedStudent:
    if request.repetition is not None:
        raise ConfigError(
            f"--seed {request.repetition} selects a seed of the finals, but a trial of the search "
            "has only one. Leave out --seed or --from-search."
        )
    leads = tuple(each.condition.name for each in material.ranks)
    lead = _lead(request.lead, leads, ranked)
    rank = next(each for each in material.ranks if each.condition.name == lead)
    found = {
        CHOSEN: rank.best,
        "student_alone": rank.student_alone,
        "plain_kd": rank.plain_kd,
    }
    contender = request.contender or CHOSEN
    if contender not in found:
        raise ConfigError(
            f"--contender {contender!r}: a search has no contender of this name; "
            f"{did_you_mean(contender, found)}"
        )
    record = found[contender]
    if record is None:
        raise ConfigError(
            f"{lead} has no completed trial of {contender!r} yet. Go on with the search "
            f"({material.folder.resume_line}), or name another --lead or --contender."
        )
    return _student(
        record,
        material.trial_folder(record.number),
        contender=contender,
        finals=None,
        test=None,
        trained_on_validation=False,
    )


def _lead(asked: str | None, leads: tuple[str, ...], ranked: tuple[str, ...]) -> str:
    if asked is None:
        return next((lead for lead in ranked if lead in leads), leads[0])
    found = next((lead for lead in leads if lead.lower() == asked.strip().lower()), None)
    if found is None:
        raise ConfigError(
            f"--lead {asked!r} is not a lead of this study; {did_you_mean(asked, leads)}"
        )
    return found


def _of_seed(records: list[TrialRecord], repetition: int | None, whose: str) -> TrialRecord:
    complete = {r.trial.repetition: r for r in records if r.state is TrialState.COMPLETE}
    if not complete:
        raise ConfigError(
            f"No training of {whose} was completed, so none can be exported. Name another --lead "
            "or --contender."
        )
    wanted = min(complete) if repetition is None else repetition
    if wanted not in complete:
        there = ", ".join(map(str, sorted(complete)))
        raise ConfigError(f"--seed {wanted}: {whose} was completed with the seeds {there}.")
    return complete[wanted]


def _student(
    record: TrialRecord,
    files: TrialFolder,
    *,
    contender: str,
    finals: int | None,
    test: Location | None,
    trained_on_validation: bool,
) -> ExportedStudent:
    assert record.result is not None
    stored = files.read_result(record.result)
    if stored is None:
        raise ArtifactError(
            f"{files.result} is missing, which records the training. Restore the study's folder "
            "from a copy."
        )
    weights = files.read_student(record.result)
    return ExportedStudent(
        trial=record.trial,
        contender=contender,
        files=files,
        finals=finals,
        test=test,
        trained_on_validation=trained_on_validation,
        recipe=stored.recipe,
        result=record.result,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
