"""What a study has cost, by what it was for: the teacher, the trials, the finals."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

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
    """With its assistants."""
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
    """Return what the study's teacher has used, and its assistants where it has any.

    Nothing for a teacher that was given to the study.
    """
    assistants = folder.assistants.read_usage().values()
    return reduce(Usage.plus, assistants, _usage_of_teacher(folder, config))


def _usage_of_teacher(folder: StudyFolder, config: StudyConfig) -> Usage:
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
        cpus=workers.cpus,
        gpus=workers.gpus_per_worker,
        worker_s=seconds * workers.min_workers,
    )
    return Usage(kept=(held,))


def with_earlier_attempts(usage: Usage, *, wall_s: float, n_workers: int) -> Usage:
    """Return what a training has used over all its attempts.

    Whoever was killed could not say what it had used. The checkpoint counts the time of training
    over all attempts; what of it the last attempt did not use is taken to have been on such nodes,
    too.

    Args:
        usage: Of the attempt that came to the end.
        wall_s: Seconds of training over all attempts.
        n_workers: That were at work at least.
    """
    missing_s = wall_s * n_workers - usage.worker_s
    if missing_s <= 0 or not usage.kept:
        return usage
    return usage.plus(Usage(kept=(replace(usage.kept[0], worker_s=missing_s),)))


def _spent(prices: PriceList, records: Iterable[TrialRecord]) -> Spent:
    return _sum(prices.spent(record.usage.reservations) for record in records)


def _wasted(prices: PriceList, record: TrialRecord) -> Spent:
    is_vain = record.state in _IN_VAIN
    return prices.spent(record.usage.reservations if is_vain else record.usage.lost)


def _sum(parts: Iterable[Spent]) -> Spent:
    return sum(parts, Spent())
