"""A comparison of studies: the scores of each, and its differences to the first of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mvkt_ray.delivery.report.quantities import Ends, Split
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.delivery.report.study_report import json_key


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadScore:
    """The answer of one lead."""

    lead: str
    split: Split
    macro_auroc: float | None
    ci: Ends | None = None
    n_seeds: int | None = None
    """None on validation, as the next."""
    per_class: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyScores:
    """One study beside the others."""

    study: str
    folder: str
    n_trials: int
    finals: int | None
    """Number of the finals; None before there are any, as the answer and all of the test split."""
    answer: str | None
    n_test_recordings: int | None
    openings: int
    teacher: float | None
    """Macro AUROC on the test split."""
    leads: tuple[LeadScore, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadDifference(Gain):
    """One lead of a study minus the same lead of the first study, by the macro AUROC."""

    study: str
    lead: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDifference(LeadDifference):
    """The same by the AUROC of one class."""

    class_: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanDifference(Gain):
    """The mean over the leads that a study shares with the first one."""

    study: str
    n_leads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpaired:
    """A study that has no paired differences to the first one."""

    study: str
    because: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What `mvkt compare` says."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": json_key}

    reference: str
    """Label of the first study."""
    level: float
    task: str
    classes: tuple[str, ...]
    studies: tuple[StudyScores, ...]
    unpaired: tuple[Unpaired, ...]
    without_common_seed: tuple[tuple[str, str], ...] = ()
    """Studies and leads that have no training with a seed of the others."""
    differences: tuple[LeadDifference, ...] = ()
    mean_differences: tuple[MeanDifference, ...] = ()
    class_differences: tuple[ClassDifference, ...] = ()
