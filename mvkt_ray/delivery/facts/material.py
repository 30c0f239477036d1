"""The material of a report, read once from the folder of a study.

Reads: study, ledger, manifests, finals, and, on demand, a trial's predictions and losses.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.delivery.report.study_report import BegunFinals
from mvkt_ray.errors import ArtifactError, DataError
from mvkt_ray.records import Arm, EpochRecord
from mvkt_ray.search.choosing.racing import Look
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_results import FinalsResults, openings_of, read_finals
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.ranking import LeadRank, rank_leads
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest
from mvkt_ray.training.predictions_file import StoredPredictions
from mvkt_ray.training.trial_files import TrialFolder


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReportMaterial:
    """A study at one moment, from which report, tables and figures are made."""

    folder: StudyFolder
    config: StudyConfig
    space: SearchSpace
    records: tuple[TrialRecord, ...]
    """All trials of the search, by number."""
    ranks: tuple[LeadRank, ...]
    """Leads by their best trial on validation."""
    looks: tuple[Look, ...]
    """Comparisons of racing, and the leads that they stopped."""
    openings: tuple[Opening, ...]
    """Openings of the test split, in order."""
    finals: FinalsResults | None
    """Newest complete finals, if any."""
    begun: BegunFinals | None
    """Newer, incomplete finals, if any."""
    rounds: Mapping[int, tuple[TrialRecord, ...]]
    """Trainings of all finals, incomplete ones included, by number of the finals."""
    teacher: Manifest | None
    knowledge: Manifest | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the task, in the order of the logits."""
        if self.finals is not None:
            return self.finals.classes
        if self.teacher is not None:
            return tuple(self.teacher.details["classes"])
        results = [record.result for record in self.records if record.result is not None]
        return tuple(dict.fromkeys(name for each in results for name in each.per_class_auroc))

    @property
    def task(self) -> str:
        """Name of the task; for a user's task file the name that the file states."""
        return self.config.data.task if self.teacher is None else _task_name(self.teacher)

    @property
    def searched(self) -> tuple[TrialRecord, ...]:
        """Complete trials of the search without baselines: the candidates for finals."""
        return tuple(
            record
            for record in self.records
            if record.trial.arm is Arm.SEARCH and record.macro_auroc is not None
        )

    def trial_folder(self, number: int) -> TrialFolder:
        """Return the files of a trial of the search."""
        return TrialFolder.of(self.folder.trials, number)

    def validation_predictions(self, number: int) -> StoredPredictions | None:
        """Read a search trial's predictions for the validation split; None without a file.

        Raises:
            ArtifactError: The file is damaged.
        """
        folder, path = self.trial_folder(number), self.trial_folder(number).validation
        if not path.exists():
            return None
        try:
            return folder.read_validation(self.records[number].result)
        except ArtifactError:
            raise ArtifactError(
                f"the predictions {path} of trial {number} cannot be read: the file was damaged "
                "after it was written. Restore it from a copy, or remove it: the report is then "
                "made without these predictions."
            ) from None

    def history(self, number: int) -> tuple[EpochRecord, ...]:
        """Read the epochs and losses of a search trial; empty without a file.

        Raises:
            ArtifactError: The file is damaged.
        """
        result = self.records[number].result
        if result is None:
            return ()
        try:
            stored = self.trial_folder(number).read_result(result)
        except ArtifactError as error:
            raise ArtifactError(
                f"{error} Or remove it: the report is then made without its epochs."
            ) from error
        return () if stored is None else stored.history

    @property
    def shards_location(self) -> Location | None:
        """Location of the shards when the study was made."""
        return self.folder.read_inputs().get("shards")

    def shards(self) -> Shards | None:
        """Open the shards that the study was made with; None if they are missing.

        Raises:
            DataError: The shards were changed.
        """
        location = self.shards_location
        return open_shards(location) if location is not None and location.exists() else None


def gather_material(folder: StudyFolder) -> ReportMaterial:
    """Read a study for its report; another process may be running it.

    Raises:
        ArtifactError: There is no study, it has no trial yet, or a file is damaged.
        DataError: Results of finals are inconsistent.
    """
    folder.expect_study()
    with reading(folder) as database:
        config, study = open_study(folder, database)
        with contextlib.closing(study), FinalsLedger.open_all(database, config.name) as ledgers:
            finals = read_finals(folder, ledgers)
            return ReportMaterial(
                folder=folder,
                config=config,
                space=study.space,
                records=study.trials(),
                ranks=rank_leads(study),
                looks=study.looks,
                openings=openings_of(ledgers),
                finals=finals,
                begun=_begun(ledgers),
                rounds={ledger.number: tuple(ledger.records) for ledger in ledgers},
                teacher=_manifest(folder, "teacher"),
                knowledge=_manifest(folder, "knowledge"),
            )


def _begun(ledgers: Sequence[FinalsLedger]) -> BegunFinals | None:
    if not ledgers or (ledgers[-1].opening and ledgers[-1].opening.completed_at):
        return None
    newest = ledgers[-1]
    return BegunFinals(
        number=newest.number,
        n_trainings=sum(contender.n_seeds for contender in newest.plan),
        n_ended=sum(record.state.is_finished for record in newest.records),
        is_opened=newest.opening is not None,
    )


def _manifest(folder: StudyFolder, kind: str) -> Manifest | None:
    """Read an artifact's manifest; None for knowledge that was removed to save space."""
    location: Location | None = folder.read_inputs().get(kind)
    if location is None or (kind == "knowledge" and not location.exists()):
        return None
    return read_manifest(location, kind)


def _task_name(teacher: Manifest) -> str:
    try:
        return str(teacher.config["task"]["name"])
    except (KeyError, TypeError):
        raise DataError(
            "the teacher's manifest names no task. Train the teacher again with this mvkt-ray."
        ) from None
