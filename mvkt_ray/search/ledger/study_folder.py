"""The folder of a study: all paths in it, and its small files, such as the stages' times."""

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_yaml, write_study
from mvkt_ray.errors import ArtifactError, ConfigError, MvktError
from mvkt_ray.file_guards import reading
from mvkt_ray.records import Usage, trial_folder_name
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_identity import (
    fingerprint_as_read,
    sealed_for,
    study_fingerprint,
    unsealed_for,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.sealed import sealed_json, sealed_text, unsealed_json, unsealed_text

_STAGES = ("shards", "stages.json", "plugins.json")
"""Names in the folder of a search that was interrupted before its study began."""

_INPUTS = ("shards", "teacher", "knowledge")
"""Kinds of artifacts that are inputs of a study."""

_RESTORE = "It was changed after the study wrote it: restore it from a copy."
_ONLY_COUNTS = (
    "Restore it from a copy, or, without a copy, remove it: only the times in it are then lost."
)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Paths of a study, in a folder or on an object store."""

    root: Location

    @property
    def resume_line(self) -> str:
        """Shell command that continues the search."""
        return shlex.join(["mvkt", "search", "--resume", "--out", str(self.root)])

    @property
    def study_file(self) -> Location:
        """The resolved study, as YAML."""
        return self.root / "study.yaml"

    @property
    def inputs_file(self) -> Location:
        """Which shards, teacher and knowledge the study uses, as JSON."""
        return self.root / "inputs.json"

    @property
    def plugins_file(self) -> Location:
        """Packages and versions of the study's plug-ins, as JSON; missing if it uses none."""
        return self.root / "plugins.json"

    @property
    def stages_file(self) -> Location:
        """Seconds that each stage took, as JSON."""
        return self.root / "stages.json"

    @property
    def teacher_usage_file(self) -> Location:
        """Usage of the training of the study's own teacher, as JSON."""
        return self.root / "teacher_usage.json"

    @property
    def learnt_file(self) -> Location:
        """Trials of another study that the sampler learns from, as JSON; with `learn_from` only."""
        return self.root / "learnt.json"

    @property
    def ledger(self) -> Location:
        """Optuna's SQLite database, of a study in a local folder."""
        return self.root / "ledger.db"

    @property
    def ledger_url(self) -> str:
        """URL of the ledger for SQLAlchemy and optuna-dashboard."""
        return url_of(self.ledger.local_path)

    @property
    def ledger_note(self) -> Location:
        """The note on the server's database with the ledger, as JSON; missing if there is none."""
        return self.root / "ledger.json"

    @property
    def shipped_ledger(self) -> Location:
        """Folder to which the ledger of a study in an object store is shipped."""
        return self.root / "ledger"

    @property
    def shards(self) -> Location:
        """Shards that the search ingested itself, if none were given."""
        return self.root / "shards"

    @property
    def teacher(self) -> Location:
        """Teacher that the search trained itself, if none was given."""
        return self.root / "teacher"

    @property
    def knowledge(self) -> Location:
        """The teacher's logits and embeddings of the training recordings."""
        return self.root / "knowledge"

    @property
    def assistants(self) -> "AssistantsFolder":
        """Assistants of the conditions, with `teacher.assistant` only."""
        return AssistantsFolder(self.root / "assistants")

    @property
    def trials(self) -> Location:
        """One folder per trial, named by its number."""
        return self.root / "trials"

    @property
    def finals(self) -> Location:
        """One folder per round of finals, by number; a second only by `mvkt finalize --again`."""
        return self.root / "finals"

    def final(self, number: int) -> "FinalsFolder":
        """Return the folder of a round of finals by its number, from 1."""
        return FinalsFolder(self.finals / f"{number:02d}")

    @property
    def ray(self) -> Location:
        """Ray's own files."""
        return self.root / "ray"

    @property
    def logs(self) -> Location:
        """Logs of the driver and of the workers."""
        return self.root / "logs"

    @property
    def report_folder(self) -> Location:
        """Folder of the report: JSON, page, tables and figures."""
        return self.root / "report"

    @property
    def report(self) -> Location:
        """The report, as JSON."""
        return self.report_folder / "report.json"

    @property
    def report_page(self) -> Location:
        """The report, as one HTML file."""
        return self.report_folder / "index.html"

    def claim(self, *, resume: bool) -> None:
        """Raise unless a study may begin, or continue, in this folder.

        Args:
            resume: Whether an existing study is to be continued.

        Raises:
            ArtifactError: The folder has a study and `resume` is false, it has other files, or it
                is a file.
        """
        if self.root.is_file():
            raise ArtifactError(f"{self.root} is a file. Give a new or empty folder as --out.")
        if self.study_file.exists():
            if not resume:
                raise ArtifactError(
                    f"{self.root} is in use: it holds a study. Continue it by --resume, or give "
                    "another --out."
                )
            return
        # mvkt-ray writes logs, leases and locks before the study begins.
        ours = ("logs", self.shipped_ledger.name, self.ledger_note.name)
        found = [n for n in self.root.names() if n not in ours and not n.startswith(".")]
        others = [name for name in found if name.removesuffix(".partial") not in _STAGES]
        if others:
            raise ArtifactError(
                f"{self.root} is in use: it holds {', '.join(others[:3])} but no study. Give a new "
                "or empty folder as --out."
            )
        if found and not resume:
            raise ArtifactError(
                f"{self.root} is in use: it holds {', '.join(found)} of a search that was "
                "interrupted before its study began. Continue it by --resume, or give another "
                "--out."
            )

    def expect_study(self) -> None:
        """Raise unless the folder has a study.

        Raises:
            ArtifactError: There is no study.
        """
        if not self.study_file.exists():
            raise ArtifactError(
                f"{self.root} holds no study: there is no {self.study_file.name}. Give the folder "
                "that `mvkt search --out` wrote."
            )

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint to which the study's small files are bound; None: it has not begun."""
        return study_fingerprint(self.read_config()) if self.study_file.exists() else None

    def begin(self, config: StudyConfig, plugins: Mapping[str, str]) -> None:
        """Write the files that make the folder a study, and bind the earlier ones to the study.

        The study file is written last: if the driver dies before, the study begins anew.

        Args:
            config: The resolved study.
            plugins: Versions of the plug-ins' packages, by package.
        """
        study = fingerprint_as_read(config)
        if times := self.stage_times():
            self.stages_file.write_bytes(sealed_for(study, times))
        if plugins:
            self.plugins_file.write_bytes(sealed_for(study, plugins))
        elif self.plugins_file.exists():
            self.plugins_file.delete()
        self.write_config(config)

    def write_config(self, config: StudyConfig) -> None:
        """Write the resolved study."""
        self.study_file.write_bytes(sealed_text(write_study(config)))

    def read_config(self) -> StudyConfig:
        """Return the resolved study.

        Raises:
            ArtifactError: There is no study file.
            ConfigError: The study file was changed.
        """
        with _reading(self.study_file, kind=ConfigError):
            text = unsealed_text(self.study_file.read_bytes())
            return study_from_yaml(text, str(self.study_file))

    def write_inputs(self, inputs: Mapping[str, Location | None]) -> None:
        """Write the inputs' locations by kind, relative for those inside the folder."""
        own = f"{self.root}/"
        value = {
            kind: None if location is None else str(location).removeprefix(own)
            for kind, location in inputs.items()
        }
        self.inputs_file.write_bytes(sealed_json(value))

    def read_inputs(self) -> dict[str, Location | None]:
        """Return the inputs' locations by kind.

        Raises:
            ArtifactError: The file is missing or damaged.
        """
        with _reading(self.inputs_file):
            value: dict[str, str | None] = unsealed_json(self.inputs_file.read_bytes())
            return {
                kind: None if (text := value[kind]) is None else self._absolute(text)
                for kind in _INPUTS
            }

    def read_plugins(self) -> dict[str, str]:
        """Return the versions of the plug-ins' packages at the study's begin, by package.

        Raises:
            ArtifactError: The file is damaged, or belongs to another study.
        """
        if not self.plugins_file.exists():
            return {}
        with _reading(self.plugins_file):
            value = unsealed_for(self.fingerprint, self.plugins_file.read_bytes())
            return {str(name): str(version) for name, version in value.items()}

    def _absolute(self, text: str) -> Location:
        return Location(text) if text.startswith("/") or "://" in text else self.root / text

    def add_stage_time(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage's time, which is the sum over all starts of the study."""
        times = self.stage_times()
        times[stage] = round(times.get(stage, 0.0) + seconds, 3)
        self.stages_file.write_bytes(sealed_for(self.fingerprint, times))

    def write_teacher_usage(self, usage: Usage) -> None:
        """Write the usage of the training of the study's own teacher."""
        self.teacher_usage_file.write_bytes(sealed_for(self.fingerprint, usage.to_json()))

    def read_teacher_usage(self) -> Usage | None:
        """Return the usage of the training of the study's own teacher; None: not recorded.

        Raises:
            ArtifactError: The file is damaged, or belongs to another study.
        """
        if not self.teacher_usage_file.exists():
            return None
        with _reading(self.teacher_usage_file, _ONLY_COUNTS):
            content = self.teacher_usage_file.read_bytes()
            return Usage.from_json(unsealed_for(self.fingerprint, content))

    def stage_times(self) -> dict[str, float]:
        """Return the seconds that each stage took.

        Raises:
            ArtifactError: The file is damaged, or belongs to another study.
        """
        if not self.stages_file.exists():
            return {}
        with _reading(self.stages_file, _ONLY_COUNTS):
            value = unsealed_for(self.fingerprint, self.stages_file.read_bytes())
            return {str(stage): float(seconds) for stage, seconds in value.items()}


def _reading(
    file: Location, advice: str = _RESTORE, kind: type[MvktError] = ArtifactError
) -> AbstractContextManager[None]:
    return reading(file, advice, kind)


@dataclass(frozen=True, slots=True)
class FinalsFolder:
    """Paths of one round of finals; a trial's folder is as in the search."""

    root: Location

    @property
    def trials(self) -> Location:
        """One folder per training, named by its number."""
        return self.root / "trials"

    def test(self, number: int) -> Location:
        """Return the path of a student's predictions on the test split."""
        return self.trials / trial_folder_name(number) / "test.arrow"

    @property
    def plan(self) -> Location:
        """The plan as JSON, for people; the valid plan is in the ledger."""
        return self.root / "plan.json"

    @property
    def knowledge(self) -> Location:
        """The teacher's outputs for training and validation recordings; with `refit` only."""
        return self.root / "knowledge"

    @property
    def assistants(self) -> "AssistantsFolder":
        """The assistants' outputs for these recordings; with `refit` only."""
        return AssistantsFolder(self.root / "assistants")

    @property
    def teacher_validation(self) -> Location:
        """Predictions of the teacher on the validation split."""
        return self.root / "teacher_validation.arrow"

    @property
    def teacher_test(self) -> Location:
        """Predictions of the teacher on the test split."""
        return self.root / "teacher_test.arrow"


@dataclass(frozen=True, slots=True)
class AssistantsFolder:
    """Paths of the assistants, one for each condition."""

    root: Location

    @property
    def trials(self) -> Location:
        """Folders of the assistants' trainings, as of trials."""
        return self.root / "trials"

    @property
    def usage(self) -> Location:
        """Usage of the assistants' trainings by condition, as JSON."""
        return self.root / "usage.json"

    def teacher(self, condition: str) -> Location:
        """Return the path of a condition's assistant: a teacher on the condition's leads."""
        return self.root / condition / "teacher"

    def knowledge(self, condition: str) -> Location:
        """Return the path of the assistant's outputs for the training recordings."""
        return self.root / condition / "knowledge"

    def write_usage(self, used: Mapping[str, Usage]) -> None:
        """Write the usage of the trainings by condition."""
        value = {condition: usage.to_json() for condition, usage in used.items()}
        self.usage.write_bytes(sealed_for(self._study, value))

    def read_usage(self) -> dict[str, Usage]:
        """Return the usage of the trainings by condition; empty: not recorded.

        Raises:
            ArtifactError: The file is damaged, or belongs to another study.
        """
        if not self.usage.exists():
            return {}
        with _reading(self.usage, _ONLY_COUNTS):
            value = unsealed_for(self._study, self.usage.read_bytes())
            return {condition: Usage.from_json(each) for condition, each in value.items()}

    @property
    def _study(self) -> str | None:
        return StudyFolder(self.root.parent).fingerprint
