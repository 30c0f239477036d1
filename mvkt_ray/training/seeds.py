"""Seeds that follow from other seeds, so that all that is random in a trial can be drawn again."""

import numpy as np


def derive_seed(*parts: int) -> int:
    """Return a seed below 2^63 that depends on every part and on their order.

    numpy's SeedSequence mixes the parts, so that neighbouring seeds give unrelated streams.
    """
    high, low = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    return (int(high) << 31) ^ int(low)


def trial_seed(study_seed: int, number: int, repetition: int) -> int:
    """Return the seed that everything random in a trial is derived from."""
    return derive_seed(study_seed, number, repetition)
