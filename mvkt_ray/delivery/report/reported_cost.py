"""The cost of a study: seconds, and money if prices are known."""

from collections.abc import Mapping
from dataclasses import dataclass

from mvkt_ray.delivery.report.quantities import Amount, Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Money:
    """Money spent, in `currency`."""

    currency: str
    """As in the study's prices."""
    teacher: Amount
    """Spent on the teacher that the study trained."""
    trials: Amount
    """Spent on trials of the search."""
    finals: Amount
    """Spent on trainings of all finals."""
    total: Amount
    """Sum over teacher, trials and finals."""
    per_trial: Amount | None
    """Mean over trials of the search, running ones included."""
    wasted: Amount
    """Spent on attempts that failed, diverged, or lost their worker; part of the total."""
    saved_by_pruning: Amount
    """Cost of the epochs that pruned trials did not train."""
    unpriced_worker_s: Amount
    """Worker seconds on nodes without a price; in none of the sums."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Cost; seconds are sums over trainings, which may have run in parallel."""

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
    """Wall-clock seconds of the teacher and its assistants; None if not recorded."""
    teacher_cpu_s: Amount | None
    """CPU seconds of the teacher and its assistants; None if not recorded."""
    teacher_gpu_s: Amount
    """GPU seconds of the study's own teacher."""
    total_wall_s: Amount
    """Wall-clock seconds of trials, finals and teacher."""
    total_cpu_s: Amount
    """CPU seconds of trials, finals and teacher."""
    total_gpu_s: Amount
    """GPU seconds of trials, finals and the study's own teacher."""
    epochs_trained: Count
    """Epochs of the search's trials."""
    epochs_saved_by_pruning: Count
    """Epochs that pruned trials did not train."""
    saved_by_pruning_s: Amount
    """Wall-clock seconds of these epochs, estimated."""
    saved_by_knowledge_s: float | None
    """Estimated seconds of a teacher in the training loop, minus those of computing its knowledge;
    may be negative; None if the knowledge was not timed."""
    wasted_s: Amount
    """Wall-clock seconds of failed and diverged trainings."""
    wall_s_of_failed_trials: Amount
    """Wall-clock seconds of failed and diverged trials of the search."""
    n_lost_attempts: Count
    """Attempts that were lost with their worker and restarted."""
    stage_s: Mapping[str, Amount]
    """Elapsed seconds by stage."""
    money: Money | None
    """Money spent; None without prices."""
    basis: Mapping[str, str]
    """Method of counting, in words, by field name."""
