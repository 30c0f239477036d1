"""Seeds derived from other seeds, so that all randomness of a trial is reproducible."""

import numpy as np

from mvkt_ray.records import Arm, Trial

_SHARED = {Arm.FINAL: 1 << 40, Arm.ASSISTANT: (1 << 40) + 1}
"""By arm: a number that no trial of a search has, used instead of the trial's own."""


def derive_seed(*parts: int) -> int:
    """Return a seed below 2^63 that depends on every part and on their order.

    numpy's SeedSequence mixes the parts, so that neighbouring seeds give unrelated streams.
    """
    high, low = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    return (int(high) << 31) ^ int(low)


def trial_seed(study_seed: int, trial: Trial) -> int:
    """Return the seed from which all randomness of a trial is derived.

    Finals of one repetition share it, whatever their lead and configuration: equal networks begin
    with equal weights, and all see the same crops in the same order, so that their differences are
    paired. All assistants share one seed, so that an assistant does not depend on the study's other
    leads.
    """
    number = _SHARED.get(trial.arm, trial.number)
    return derive_seed(study_seed, number, trial.repetition)
