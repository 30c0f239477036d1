"""Seeds that follow from other seeds, so that all that is random in a trial can be drawn again.

And what a trial of several seeds comes to.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from mvkt_ray.records import Arm, Trial, TrialResult, TrialState

_SHARED = {Arm.FINAL: 1 << 40, Arm.ASSISTANT: (1 << 40) + 1}
"""By arm: a number that no trial of a search has, in place of the trial's own."""


def derive_seed(*parts: int) -> int:
    """Return a seed below 2^63 that depends on every part and on their order.

    numpy's SeedSequence mixes the parts, so that neighbouring seeds give unrelated streams.
    """
    high, low = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    return (int(high) << 31) ^ int(low)


def trial_seed(study_seed: int, trial: Trial) -> int:
    """Return the seed that everything random in a trial is derived from.

    Finals of one repetition share it, whatever their lead and configuration: they begin with the
    same weights where their networks are alike, and see the same crops in the same order, so that
    their differences are pairs. So do all assistants: which leads a study has beside an assistant's
    changes nothing of it.
    """
    number = _SHARED.get(trial.arm, trial.number)
    return derive_seed(study_seed, number, trial.repetition)


def result_of_seeds(results: Sequence[TrialResult]) -> TrialResult:
    """Return what a trial came to: the means of its seeds' scores, and the sums of what they took.

    Args:
        results: Of the seeds, the first first. Each was complete, but for the last where that ended
            the trial.
    """
    first, last = results[0], results[-1]
    taken = replace(
        last,
        epochs=sum(each.epochs for each in results),
        wall_s=sum(each.wall_s for each in results),
        cpu_s=sum(each.cpu_s for each in results),
        latency_ms=first.latency_ms,
    )
    if last.state is not TrialState.COMPLETE:
        where = f"seed {len(results) - 1}: " if len(results) > 1 else ""
        return replace(taken, reason=f"{where}{last.reason}")
    scores = [each.macro_auroc for each in results if each.macro_auroc is not None]
    return replace(
        taken,
        macro_auroc=fmean(scores) if scores else None,
        per_class_auroc={
            name: fmean(each.per_class_auroc[name] for each in results)
            for name in first.per_class_auroc
        },
    )
