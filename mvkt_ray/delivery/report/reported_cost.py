"""What a study took: seconds, and money where prices are known."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Amount, Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """What was paid, in `currency`."""

    currency: str
    """As in the study's prices."""
    teacher: Amount
    """For the teacher that the study trained."""
    trials: Amount
    """For trials of the search."""
    finals: Amount
    """For trainings of all finals."""
    total: Amount
    """Teacher, trials and finals."""
    per_trial: Amount | None
    """Mean over trials of the search, those that run included."""
    wasted: Amount
    """For what failed, diverged, or was lost with its worker; part of the total."""
    saved_by_pruning: Amount
    """Not spent on epochs that pruned trials were spared."""
    unpriced_worker_s: Amount
    """Seconds of workers on nodes without a price, which are in no sum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What it took; seconds are sums over trainings that may have run side by side."""

    trials: Mapping[str, Count]
    """Trials of the search by state."""
    trial_wall_s: Amount
    """Wall-clock seconds of the search's trials."""
    trial_cpu_s: Amount
    """CPU seconds of the search's trials."""
    trial_gpu_s: Amount
    """GPU seconds that workers of the search's trials reserved."""
    final_wall_s: Amount
    """Wall-clock seconds of all finals."""
    final_cpu_s: Amount
    """CPU seconds of all finals."""
    final_gpu_s: Amount
    """GPU seconds that workers of all finals reserved."""
    teacher_wall_s: Amount | None
    """Wall-clock seconds of the teacher and of its assistants; None where it does not say."""
    teacher_cpu_s: Amount | None
    """CPU seconds of the teacher and of its assistants; None where it does not say."""
    teacher_gpu_s: Amount
    """GPU seconds of the study's own teacher."""
    total_wall_s: Amount
    """Trials, finals and teacher."""
    total_cpu_s: Amount
    """Trials, finals and teacher."""
    total_gpu_s: Amount
    """Trials, finals and the study's own teacher."""
    epochs_trained: Count
    """By trials of the search."""
    epochs_saved_by_pruning: Count
    """That pruned trials were spared."""
    saved_by_pruning_s: Amount
    """Wall-clock seconds of these epochs, estimated."""
    saved_by_knowledge_s: float | None
    """Seconds of the teacher in the loop, less those of computing its knowledge; an estimate, which
    may be negative; None where it was not timed."""
    wasted_s: Amount
    """Wall-clock seconds of failed and diverged trainings."""
    wall_s_of_failed_trials: Amount
    """Those of them that are of the search."""
    n_lost_attempts: Count
    """Attempts that were lost with their worker, and started again."""
    stage_s: Mapping[str, Amount]
    """Seconds by the clock on the wall, by stage."""
    money: Money | None
    """None where no prices are known."""
    basis: Mapping[str, str]
    """How numbers here were counted, in words."""
