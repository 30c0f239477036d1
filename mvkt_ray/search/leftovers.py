"""Finds and removes the files in a study's folder that are no longer needed.

A file is removed only if the ledger shows that its trial or stage has ended. Never removed: all
inputs of a report, an export, a rerun, finals and the next start of the search, so that each gives
the same results afterwards.

Reads: the ledgers, and one listing of the folder. Removes files one by one, in any order: after a
kill the next call finds the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import TrialState
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving, is_driven, reading
from mvkt_ray.search.ledger.study_folder import FinalsFolder, StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.ranking import rank_leads
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import partial_location
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.training.trial_files import TrialFolder

CHECKPOINTS = "checkpoints of trials that have ended"
WEIGHTS = "weights of trials that cannot be exported"
"""An export takes the best of each lead and the baselines; other trials can be trained again."""

ASSISTANTS = "training files of assistants that are published"
FINALS_KNOWLEDGE = "knowledge for completed finals"
PARTIAL = "working folders of published artifacts"
ASIDE = "incomplete files of killed processes"
RAYS_OWN = "Ray's files of killed drivers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file that is no longer needed, with the reason."""

    location: Location
    size_bytes: int
    why: str


def collect_leftovers(folder: StudyFolder, *, delete: bool) -> tuple[Leftover, ...]:
    """Return the files that a study no longer needs; with `delete`, remove them as its driver.

    Raises:
        ArtifactError: There is no study, or a search or finals of it are running.
    """
    folder.expect_study()
    if not delete and is_driven(folder):
        raise ArtifactError(
            f"{folder.root} is in use: a search or finals of it are running and may need any "
            "file. Run this again when they have ended; `mvkt status` shows when."
        )
    with driving(folder, begins=False) if delete else reading(folder) as database:
        found = find_leftovers(folder, database)
        if delete:
            remove(found)
    return found


def find_leftovers(folder: StudyFolder, database: LedgerDatabase) -> tuple[Leftover, ...]:
    """Return the files that a study without a running driver no longer needs.

    Args:
        folder: Folder of the study.
        database: The study's open ledgers.

    Raises:
        ArtifactError: There is no study, or it has not started its first trial.
    """
    config, study = open_study(folder, database)
    study.close()
    sizes = folder.root.file_sizes()
    found = dict(_of_trials(folder.trials, study.trials()))
    found |= dict.fromkeys(_weights(folder, study), WEIGHTS)
    assistants = folder.assistants
    if assistants.root.exists() and all(
        _is_published(part)
        for condition in study.conditions
        for part in (assistants.teacher(condition.name), assistants.knowledge(condition.name))
    ):
        found[assistants.trials] = ASSISTANTS
    with FinalsLedger.open_all(database, config.name) as ledgers:
        for ledger in ledgers:
            files = folder.final(ledger.number)
            found |= dict(_of_trials(files.trials, ledger.records))
            if ledger.opening is not None and ledger.opening.completed_at:
                found |= dict.fromkeys(_knowledge(files), FINALS_KNOWLEDGE)
    for made in (folder.shards, folder.teacher, folder.knowledge):
        if _is_published(made):
            found[partial_location(made)] = PARTIAL
    found[folder.ray] = RAYS_OWN
    return (*_listed(folder.root, sizes, found), *_aside(folder.root))


def remove(leftovers: Sequence[Leftover]) -> None:
    """Remove files; a missing one is no error."""
    for each in leftovers:
        each.location.delete()


def _listed(
    root: Location, sizes: dict[str, int], found: dict[Location, str]
) -> Iterator[Leftover]:
    """Yield the files of a folder that are in `found`, or in a folder of `found`."""
    whys = {str(location).removeprefix(f"{root}/"): why for location, why in found.items()}
    for name, size_bytes in sizes.items():
        parts = name.split("/")
        above = ("/".join(parts[: n + 1]) for n in range(len(parts)))
        why = next((whys[path] for path in above if path in whys), None)
        if why is not None:
            yield Leftover(location=root / name, size_bytes=size_bytes, why=why)


def _of_trials(trials: Location, records: Sequence[TrialRecord]) -> Iterator[tuple[Location, str]]:
    """Yield the checkpoints of trials with a result; a failed final to be repeated has none yet."""
    for record in records:
        if record.result is not None:
            yield TrialFolder.of(trials, record.number).checkpoint, CHECKPOINTS


def _weights(folder: StudyFolder, study: Study) -> Iterator[Location]:
    taken = {
        record.number
        for rank in rank_leads(study)
        for record in (rank.best, rank.student_alone, rank.plain_kd)
        if record is not None
    }
    for record in study.trials():
        if record.state is TrialState.COMPLETE and record.number not in taken:
            yield TrialFolder.of(folder.trials, record.number).student


def _knowledge(files: FinalsFolder) -> tuple[Location, ...]:
    return (
        files.knowledge,
        partial_location(files.knowledge),
        files.assistants.root,
    )


def _aside(root: Location) -> Iterator[Leftover]:
    """Yield the files that `Location.writing_aside` left in a folder when it was killed."""
    if not root.is_local:
        return
    for path in sorted(root.local_path.rglob(".*.aside")):
        if path.is_file() and not path.is_symlink():
            size_bytes = path.stat().st_size
            yield Leftover(location=Location.parse(path), size_bytes=size_bytes, why=ASIDE)


def _is_published(location: Location) -> bool:
    return (location / MANIFEST_NAME).exists()
