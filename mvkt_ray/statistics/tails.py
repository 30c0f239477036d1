"""Upper tails of the normal distribution and of Student's t, and the deviates that have them.

The numbers are those of `scipy.stats`, which takes most of a second to import; `scipy.special`,
whose functions it calls, does not.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit


def normal_tail(deviate: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of a standard normal above `deviate`, of the same shape."""
    return ndtr(-np.asarray(deviate, dtype=np.float64))


def normal_deviate(tail: ArrayLike) -> NDArray[np.float64]:
    """Return the deviate of a standard normal whose upper tail is `tail`, of the same shape."""
    return -ndtri(np.asarray(tail, dtype=np.float64))


def t_tail(deviate: ArrayLike, freedom: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of Student's t above `deviate`; arguments are broadcast.

    Args:
        deviate: Values of t.
        freedom: Degrees of freedom; NaN where not above 0.
    """
    return stdtr(freedom, -np.asarray(deviate, dtype=np.float64))


def t_deviate(tail: ArrayLike, freedom: ArrayLike) -> NDArray[np.float64]:
    """Return the deviate of Student's t whose upper tail is `tail`; arguments are broadcast."""
    deviate = -stdtrit(freedom, np.asarray(tail, dtype=np.float64))
    # stdtrit gives the wrong end for a tail of 0.
    at_end = (np.asarray(tail) == 0) & (np.asarray(freedom) > 0)
    return np.where(at_end, np.inf, deviate)
