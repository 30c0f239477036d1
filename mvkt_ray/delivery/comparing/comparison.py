"""The types of a comparison of studies: their scores, and differences to the first study."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mvkt_ray.delivery.report.quantities import Ends, Split
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.delivery.report.study_report import json_key


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadScore:
    """Score of one lead's answer."""

    lead: str
    split: Split
    macro_auroc: float | None
    ci: Ends | None = None
    n_seeds: int | None = None
    """Number of seeds; None on validation, as `per_class`."""
    per_class: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyScores:
    """Scores of one study."""

    study: str
    folder: str
    n_trials: int
    finals: int | None
    """Number of the finals; None before finals, as `answer` and all values of the test split."""
    answer: str | None
    n_test_recordings: int | None
    openings: int
    teacher: float | None
    """Macro AUROC on the test split."""
    leads: tuple[LeadScore, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadDifference(Gain):
    """Difference in macro AUROC between a lead of a study and the same lead of the first study."""

    study: str
    lead: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDifference(LeadDifference):
    """Difference in the AUROC of one class."""

    class_: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanDifference(Gain):
    """Mean difference over the leads that a study shares with the first one."""

    study: str
    n_leads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpaired:
    """A study without paired differences to the first one, and the reason."""

    study: str
    because: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Content of the JSON answer of `mvkt compare`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"alias_generator": json_key}

    reference: str
    """Label of the first study."""
    level: float
    task: str
    classes: tuple[str, ...]
    studies: tuple[StudyScores, ...]
    unpaired: tuple[Unpaired, ...]
    without_common_seed: tuple[tuple[str, str], ...] = ()
    """Studies and leads without a training whose seed the other ones have."""
    differences: tuple[LeadDifference, ...] = ()
    mean_differences: tuple[MeanDifference, ...] = ()
    class_differences: tuple[ClassDifference, ...] = ()
