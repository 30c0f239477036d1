"""What a study has cost, by what it was for: the teacher, the trials, the finals."""

from collections.abc import Iterable
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import NOTHING_USED, Reservation, TrialState, Usage
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.storage.artifacts import MANIFEST_NAME, read_manifest

_IN_VAIN = (TrialState.FAILED, TrialState.DIVERGED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What was spent, counting what runs."""

    teacher: Spent
    trials: Spent
    finals: Spent
    wasted: Spent
    """Of trials and finals: those that failed or diverged, and what attempts lost."""

    @property
    def total(self) -> Spent:
        """All of it."""
        return self.teacher + self.trials + self.finals

    @classmethod
    def of(
        cls,
        prices: PriceList,
        *,
        teacher: Usage,
        trials: Iterable[TrialRecord],
        finals: Iterable[TrialRecord] = (),
    ) -> "Spending":
        """Add up what is written down."""
        searched, final = list(trials), list(finals)
        return cls(
            teacher=prices.spent(teacher.reservations),
            trials=_spent(prices, searched),
            finals=_spent(prices, final),
            wasted=_sum(_wasted(prices, record) for record in (*searched, *final)),
        )


def teacher_usage(folder: StudyFolder, config: StudyConfig) -> Usage:
    """Return what the study's teacher has used; nothing where the teacher was given to it."""
    known = folder.read_teacher_usage()
    if known is not None:
        return known
    if not (folder.teacher / MANIFEST_NAME).exists():
        return NOTHING_USED
    # The driver died after the teacher was published: where it was trained is not known.
    workers = config.resources.teacher
    seconds = float(read_manifest(folder.teacher).details["wall_s"])
    held = Reservation(
        node=None,
        cpus=workers.cpus_per_worker,
        gpus=workers.gpus_per_worker,
        worker_s=seconds * workers.min_workers,
    )
    return Usage(kept=(held,))


def _spent(prices: PriceList, records: Iterable[TrialRecord]) -> Spent:
    return _sum(prices.spent(record.usage.reservations) for record in records)


def _wasted(prices: PriceList, record: TrialRecord) -> Spent:
    is_vain = record.state in _IN_VAIN
    return prices.spent(record.usage.reservations if is_vain else record.usage.lost)


def _sum(parts: Iterable[Spent]) -> Spent:
    return sum(parts, Spent())
