"""Sums the costs of a study by purpose: the teacher, the trials, the finals."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import NOTHING_USED, Reservation, TrialState, Usage
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.manifest import MANIFEST_NAME

_IN_VAIN = (TrialState.FAILED, TrialState.DIVERGED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """Amounts spent, running trainings included."""

    teacher: Spent
    """With its assistants."""
    trials: Spent
    finals: Spent
    wasted: Spent
    """Part of trials and finals: trainings that failed or diverged, and work lost with workers."""

    @property
    def total(self) -> Spent:
        """Total of teacher, trials and finals."""
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
        """Sum the recorded usage of the teacher, the trials and the finals."""
        searched, final = list(trials), list(finals)
        return cls(
            teacher=prices.spent(teacher.reservations),
            trials=_spent(prices, searched),
            finals=_spent(prices, final),
            wasted=_sum(_wasted(prices, record) for record in (*searched, *final)),
        )


def teacher_usage(folder: StudyFolder, config: StudyConfig) -> Usage:
    """Return the usage of the study's teacher and assistants; 0 for a given teacher."""
    assistants = folder.assistants.read_usage().values()
    return reduce(Usage.plus, assistants, _usage_of_teacher(folder, config))


def _usage_of_teacher(folder: StudyFolder, config: StudyConfig) -> Usage:
    known = folder.read_teacher_usage()
    if known is not None:
        return known
    if not (folder.teacher / MANIFEST_NAME).exists():
        return NOTHING_USED
    # The driver died after the teacher was published, so the training's nodes are unknown.
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
    """Return the usage of a training over all its attempts.

    A killed attempt could not report its usage. The checkpoint counts the time of training over all
    attempts; the part beyond the last attempt is assumed to have been on the same kind of node.

    Args:
        usage: Usage of the last attempt.
        wall_s: Seconds of training over all attempts.
        n_workers: Smallest number of workers in any attempt.
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
