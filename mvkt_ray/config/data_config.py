"""Sections `data` and `view` of a study file: recordings, labels, splits and windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mvkt_ray.config.checks import Section, require, require_above_zero, require_not_negative

OwnSource = Literal[
    "ptbxl", "cpsc2018", "cinc2021", "wfdb", "synthetic",
    "dicom", "edf", "aecg", "muse", "table", "parquet",
]  # fmt: skip
"""Names of the built-in sources of recordings."""


def names_task_file(task: str) -> bool:
    """Whether a task is given as the path of a YAML file, not as the name of a source's task."""
    return task.endswith((".yaml", ".yml"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldsConfig(Section):
    """The source's folds in each of the three splits."""

    train: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    val: tuple[int, ...] = (9,)
    test: tuple[int, ...] = (10,)
    """PTB-XL recommends fold 10 for the test and 9 for validation (Wagner et al. 2020)."""

    def __post_init__(self) -> None:
        for name in ("train", "val", "test"):
            require(len(getattr(self, name)) > 0, f"{name} must name at least one fold, got []")
        seen = [*self.train, *self.val, *self.test]
        shared = sorted({fold for fold in seen if seen.count(fold) > 1})
        require(
            not shared, f"train, val and test must not share folds, got {shared} more than once"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledConfig(Section):
    """The training recordings whose labels are used; the others count as unlabelled.

    Validation and test recordings always keep their labels.
    """

    folds: tuple[int, ...] = ()
    """Labels of these training folds."""
    fraction: float | None = None
    """Or labels of this share of the labelled patients, in (0, 1), each class about evenly."""
    seed: int = 0
    """Of the draw of patients for `fraction`; a smaller fraction is a subset of a larger one."""

    def __post_init__(self) -> None:
        require(
            bool(self.folds) != (self.fraction is not None),
            f"give either folds or a fraction, got folds={list(self.folds)!r}, "
            f"fraction={self.fraction!r}",
        )
        require(
            self.fraction is None or 0 < self.fraction <= 1,
            f"fraction must be above 0 and at most 1, got {self.fraction!r}",
        )
        require_not_negative(self, "seed")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelUse:
    """The labels and the unlabelled recordings that a study trains with."""

    labelled: LabelledConfig | None = None
    """None: all labels of the training folds."""
    distils_unlabelled: bool = False
    """Whether students are distilled on recordings without a known label, too."""


ALL_LABELS = LabelUse()
"""All labels are used, and recordings without one are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig(Section):
    """The recordings, their sampling rate, classes and splits."""

    source: OwnSource | str = "ptbxl"
    """A built-in source or a plug-in; `mvkt plugins` lists these."""
    source_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments of the source, for example `n_recordings` of `synthetic`."""
    sampling_rate_hz: int = 100
    """Recordings are resampled to this rate."""
    task: str = "superdiagnostic"
    """A task of the source or of a plug-in, or the path of a YAML file that defines one."""
    finer_task: str | None = None
    """A second task with finer classes, such as `subdiagnostic`: an auxiliary target of students
    where `finer_weight` is above 0. No score uses it."""
    min_likelihood: float = 0.0
    """PTB-XL only: codes below this likelihood do not count. 0 is the benchmark's rule."""
    folds: FoldsConfig = field(default_factory=FoldsConfig)
    labelled: LabelledConfig | None = None
    """The training recordings whose labels are used; None: all that have one."""
    unlabelled: Literal["distil", "leave_out"] | None = None
    """Use of training recordings without a known label. `distil`: students learn the teacher's
    outputs for them; the teacher is not trained on them. None: `distil` where `labelled` is given,
    else `leave_out`."""

    def __post_init__(self) -> None:
        require_above_zero(self, "sampling_rate_hz")
        kept_apart = sorted(
            set(self.labelled.folds if self.labelled else ()) - set(self.folds.train)
        )
        require(
            not kept_apart,
            f"labelled.folds must be training folds, got {kept_apart}, which are not among "
            f"{list(self.folds.train)}",
        )
        require(
            0 <= self.min_likelihood <= 100,
            f"min_likelihood must be between 0 and 100, got {self.min_likelihood!r}",
        )

    @property
    def label_use(self) -> LabelUse:
        """The labels and the unlabelled recordings to train with."""
        distils = self.labelled is not None and self.unlabelled is None
        return LabelUse(
            labelled=self.labelled, distils_unlabelled=distils or self.unlabelled == "distil"
        )

    @property
    def task_file(self) -> Path | None:
        """The file of a user-defined task; None where `task` is a name."""
        return Path(self.task) if names_task_file(self.task) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig(Section):
    """The part of a recording that is one input of a model; all lengths in seconds."""

    crop_s: float = 2.5
    """Length of training crops and evaluation windows; 2.5 s as in the PTB-XL benchmark."""
    grid_s: float = 0.5
    """Training crops start at multiples of this, so that the teacher's knowledge is finite."""
    stride_s: float = 1.25
    """Evaluation windows start at multiples of this; the last one ends with the recording."""

    def __post_init__(self) -> None:
        require_above_zero(self, "crop_s", "grid_s", "stride_s")
