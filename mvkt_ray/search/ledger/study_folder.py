"""The folder of a study: one class that knows every path in it, and what its stages took."""

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
"""What a search that is interrupted during its first stage has written."""

_INPUTS = ("shards", "teacher", "knowledge")
"""Kinds of what a study is trained on."""

_RESTORE = "It was changed since the study wrote it: restore it from a copy."
_ONLY_COUNTS = (
    "Restore it from a copy; where there is none, remove it: only the time that it counts is lost."
)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Paths of a study, in a folder or on an object store."""

    root: Location

    @property
    def resume_line(self) -> str:
        """What a shell takes to go on with the search."""
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
        """Packages of the plug-ins that the study names, as JSON; not there where it names none."""
        return self.root / "plugins.json"

    @property
    def stages_file(self) -> Location:
        """Seconds that each stage took, as JSON."""
        return self.root / "stages.json"

    @property
    def teacher_usage_file(self) -> Location:
        """What the study's own teacher has used, as JSON."""
        return self.root / "teacher_usage.json"

    @property
    def learnt_file(self) -> Location:
        """Trials of another study that the sampler learns from, as JSON; with `learn_from` only."""
        return self.root / "learnt.json"

    @property
    def ledger(self) -> Location:
        """Optuna's database, of a study in a local folder."""
        return self.root / "ledger.db"

    @property
    def ledger_url(self) -> str:
        """What SQLAlchemy and optuna-dashboard open."""
        return url_of(self.ledger.local_path)

    @property
    def ledger_note(self) -> Location:
        """In which database of a server the ledger is, as JSON; not there where it is here."""
        return self.root / "ledger.json"

    @property
    def shipped_ledger(self) -> Location:
        """What the ledger of a study on an object store is shipped to."""
        return self.root / "ledger"

    @property
    def shards(self) -> Location:
        """Where recordings are ingested to when no shards were given."""
        return self.root / "shards"

    @property
    def teacher(self) -> Location:
        """Where the teacher is trained when none was given."""
        return self.root / "teacher"

    @property
    def knowledge(self) -> Location:
        """What the teacher says of the training recordings."""
        return self.root / "knowledge"

    @property
    def assistants(self) -> "AssistantsFolder":
        """Models between the teacher and the students, with `teacher.assistant` only."""
        return AssistantsFolder(self.root / "assistants")

    @property
    def trials(self) -> Location:
        """One folder per trial, named by its number."""
        return self.root / "trials"

    @property
    def finals(self) -> Location:
        """One folder per finals, named by its number; a second only by `mvkt finalize --again`."""
        return self.root / "finals"

    def final(self, number: int) -> "FinalsFolder":
        """Return the folder of some finals by their number, from 1."""
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
        """The answer, in all its forms."""
        return self.root / "report"

    @property
    def report(self) -> Location:
        """The answer, as JSON."""
        return self.report_folder / "report.json"

    @property
    def report_page(self) -> Location:
        """The answer, as one HTML file."""
        return self.report_folder / "index.html"

    def claim(self, *, resume: bool) -> None:
        """Raise unless a study may start, or go on, in this folder.

        Raises:
            ArtifactError: Another study or other files are there, or it is no folder.
        """
        if self.root.is_file():
            raise ArtifactError(f"{self.root} is a file. Give a new or empty folder as --out.")
        if self.study_file.exists():
            if not resume:
                raise ArtifactError(
                    f"{self.root} is in use: it holds a study. Go on with it by --resume, or give "
                    "another --out."
                )
            return
        # Locks, leases and logs may be there before a study is; they are ours.
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
                f"{self.root} is in use: it holds {', '.join(found)} of a search that came no "
                "further. Go on with it by --resume, or give another --out."
            )

    def expect_study(self) -> None:
        """Raise unless a study is there.

        Raises:
            ArtifactError: There is none.
        """
        if not self.study_file.exists():
            raise ArtifactError(
                f"{self.root} holds no study: there is no {self.study_file.name}. Give the folder "
                "that `mvkt search --out` wrote."
            )

    @property
    def fingerprint(self) -> str | None:
        """By which its files know the study; None: it has not begun."""
        return study_fingerprint(self.read_config()) if self.study_file.exists() else None

    def begin(self, config: StudyConfig, plugins: Mapping[str, str]) -> None:
        """Write what makes it a study; what was noted before belongs to it from now on.

        The study file comes last: where the driver dies before, the study begins anew.

        Args:
            config: The resolved study.
            plugins: Packages of the plug-ins that it names, with their versions.
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
        """Read the resolved study.

        Raises:
            ArtifactError: There is none.
            ConfigError: It was changed, and is no study any more.
        """
        with _reading(self.study_file, kind=ConfigError):
            text = unsealed_text(self.study_file.read_bytes())
            return study_from_yaml(text, str(self.study_file))

    def write_inputs(self, inputs: Mapping[str, Location | None]) -> None:
        """Note where the inputs are; those inside the folder move with it."""
        own = f"{self.root}/"
        value = {
            kind: None if location is None else str(location).removeprefix(own)
            for kind, location in inputs.items()
        }
        self.inputs_file.write_bytes(sealed_json(value))

    def read_inputs(self) -> dict[str, Location | None]:
        """Read what `write_inputs` wrote."""
        with _reading(self.inputs_file):
            value: dict[str, str | None] = unsealed_json(self.inputs_file.read_bytes())
            return {
                kind: None if (text := value[kind]) is None else self._absolute(text)
                for kind in _INPUTS
            }

    def read_plugins(self) -> dict[str, str]:
        """Read with which packages of plug-ins the study has begun."""
        if not self.plugins_file.exists():
            return {}
        with _reading(self.plugins_file):
            value = unsealed_for(self.fingerprint, self.plugins_file.read_bytes())
            return {str(name): str(version) for name, version in value.items()}

    def _absolute(self, text: str) -> Location:
        return Location(text) if text.startswith("/") or "://" in text else self.root / text

    def add_stage_time(self, stage: str, seconds: float) -> None:
        """Add to the seconds that a stage took, over all starts of the study."""
        times = self.stage_times()
        times[stage] = round(times.get(stage, 0.0) + seconds, 3)
        self.stages_file.write_bytes(sealed_for(self.fingerprint, times))

    def write_teacher_usage(self, usage: Usage) -> None:
        """Note what training the study's own teacher has used."""
        self.teacher_usage_file.write_bytes(sealed_for(self.fingerprint, usage.to_json()))

    def read_teacher_usage(self) -> Usage | None:
        """Read what `write_teacher_usage` wrote; None where nothing was."""
        if not self.teacher_usage_file.exists():
            return None
        with _reading(self.teacher_usage_file, _ONLY_COUNTS):
            content = self.teacher_usage_file.read_bytes()
            return Usage.from_json(unsealed_for(self.fingerprint, content))

    def stage_times(self) -> dict[str, float]:
        """Seconds by stage."""
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
    """Paths of what is trained again and examined; the trials' own files are as in the search."""

    root: Location

    @property
    def trials(self) -> Location:
        """One folder per training, named by its number."""
        return self.root / "trials"

    def test(self, number: int) -> Location:
        """Predictions of a trained student on the test split, beside those on validation."""
        return self.trials / trial_folder_name(number) / "test.arrow"

    @property
    def plan(self) -> Location:
        """What is trained, as JSON for people; the ledger has what counts."""
        return self.root / "plan.json"

    @property
    def knowledge(self) -> Location:
        """What the teacher says of the training and validation recordings; with `refit` only."""
        return self.root / "knowledge"

    @property
    def assistants(self) -> "AssistantsFolder":
        """What assistants say of these recordings; with `refit` only."""
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
    """Paths of the models between the teacher and the students, one for each condition."""

    root: Location

    @property
    def trials(self) -> Location:
        """Where they are trained, one folder each, as of trials."""
        return self.root / "trials"

    @property
    def usage(self) -> Location:
        """What training them has used, by condition, as JSON."""
        return self.root / "usage.json"

    def teacher(self, condition: str) -> Location:
        """Return where the assistant of a condition is: a teacher of its leads."""
        return self.root / condition / "teacher"

    def knowledge(self, condition: str) -> Location:
        """Return where what it says of the training recordings is."""
        return self.root / condition / "knowledge"

    def write_usage(self, used: Mapping[str, Usage]) -> None:
        """Note what each training has used."""
        value = {condition: usage.to_json() for condition, usage in used.items()}
        self.usage.write_bytes(sealed_for(self._study, value))

    def read_usage(self) -> dict[str, Usage]:
        """Read what `write_usage` wrote; empty where nothing was."""
        if not self.usage.exists():
            return {}
        with _reading(self.usage, _ONLY_COUNTS):
            value = unsealed_for(self._study, self.usage.read_bytes())
            return {condition: Usage.from_json(each) for condition, each in value.items()}

    @property
    def _study(self) -> str | None:
        return StudyFolder(self.root.parent).fingerprint
