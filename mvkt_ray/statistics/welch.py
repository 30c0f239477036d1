"""A difference whose variance is known well in one part and badly in another."""

import math

from mvkt_ray.statistics.tails import normal_tail, t_tail


def p_greater(difference: float, variance: float, known_badly: float, freedom: float) -> float:
    """Return the one-sided p-value of a difference that is expected to be 0 or below.

    By Student's t with the degrees of freedom of Welch and Satterthwaite (Satterthwaite 1946, "An
    approximate distribution of estimates of variance components", Biometrics 2, 110-114), the other
    part of the variance taken as known.

    Args:
        difference: what was seen.
        variance: of the difference.
        known_badly: the part of the variance that few values tell.
        freedom: degrees of freedom of that part.
    """
    if variance <= 0:
        return 0.0 if difference > 0 else 1.0
    deviate = difference / math.sqrt(variance)
    if known_badly <= 0:
        return float(normal_tail(deviate))
    return float(t_tail(deviate, freedom * (variance / known_badly) ** 2))
