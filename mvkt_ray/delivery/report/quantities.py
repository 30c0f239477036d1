"""Number types of a report; the JSON schema states their ranges."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

Count = Annotated[int, Ge(0)]
"""A number of things, or a number that counts from 0."""
Ordinal = Annotated[int, Ge(1)]
"""A number that counts from 1."""
Share = Annotated[float, Ge(0), Le(1)]
"""From 0 to 1: an AUROC or a mean of AUROCs, a p-value, a part of a whole."""
Amount = Annotated[float, Ge(0)]
"""Seconds or money, never negative."""
Ends = tuple[float, float]
"""Low and high end of a confidence interval."""
Split = Literal["validation", "test"]
"""A split that leads are ranked on."""
SPLITS: tuple[Split, ...] = ("validation", "test")
