"""Splits: training and validation recordings of a task, by fold; the test split is only counted.

The training split may hold recordings without a known label, for students to distil over. They are
never in another split: those of a validation or test fold, or of a patient there, are left out.

Reads: the small columns of a shard set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from mvkt_ray.config.data_config import ALL_LABELS, FoldsConfig, LabelledConfig, LabelUse
from mvkt_ray.data.folds import choose_patients, may_share_patients, patients_in_several_folds
from mvkt_ray.data.shard_columns import SplitColumns
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.phrasing import number_ranges


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """Recordings of some folds, in the order of the shards."""

    name: str
    """`train` or `val`."""
    rows: np.ndarray
    """int64 `[n]`: rows of the shard set, ascending."""
    labels: np.ndarray
    """float32 `[n, n_classes]`, multi-hot; a row of NaN where the label is not known."""
    classes: tuple[str, ...]
    shards: Shards
    """Shards of the split."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def has_label(self) -> np.ndarray:
        """Return bool `[n]`: whether the label is known."""
        return ~np.isnan(self.labels[:, 0])

    def labelled(self) -> "Split":
        """Return the part of the split whose labels are known; the split itself if that is all."""
        known = self.has_label
        if known.all():
            return self
        return replace(self, rows=self.rows[known], labels=self.labels[known])

    @property
    def record_ids(self) -> np.ndarray:
        """Return str `[n]`; read anew each time, as few need them and they take much memory."""
        return self.shards.column("record_id").take(self.rows).to_numpy()

    @property
    def patient_ids(self) -> np.ndarray:
        """Return str `[n]`, likewise."""
        return self.shards.patients.ids(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSplits:
    """Splits for training and for model selection."""

    train: Split
    val: Split
    n_without_label: int
    """Recordings of the train and validation folds without a known label of the task: left out."""
    n_without_lead: int
    """Recordings of these folds that lack a lead: left out."""
    n_in_no_split: int
    """Recordings of the shard set whose fold no split names, or that have none."""
    n_test: int
    """Recordings that the test split has; which they are is not said here."""


def open_training_splits(
    shards: Shards,
    task: Task,
    folds: FoldsConfig,
    min_likelihood: float = 0.0,
    label_use: LabelUse = ALL_LABELS,
) -> TrainingSplits:
    """Return the training and validation splits, after checks that cover the test split too.

    Args:
        shards: Opened with the leads that will be used.
        task: Recordings without a label of it are unlabelled.
        folds: Which folds make which split.
        min_likelihood: Codes below it do not count.
        label_use: Of which training recordings labels are known, and whether the others are in the
            training split; if not they are left out, and counted.

    Raises:
        DataError: A split is empty, or a patient is in two folds.
    """
    columns = shards.split_columns(task, min_likelihood)
    fold_of, labels = columns.fold_N, columns.labels_NC
    if may_share_patients(columns.patient_hash_N, fold_of):
        _refuse_shared_patients(shards, fold_of, folds)
    has_label = np.any(labels, axis=1)
    has_leads = shards.has_all_leads()
    usable = has_label & has_leads
    inside = {name: np.isin(fold_of, getattr(folds, name)) for name in ("train", "val", "test")}
    for name, is_inside in inside.items():
        if not (is_inside & usable).any():
            _refuse_empty(name, is_inside, fold_of, has_label, has_leads, folds, task)

    def split(name: str, chosen: np.ndarray, known: np.ndarray) -> Split:
        rows = np.flatnonzero(chosen)
        of_rows = labels[rows].astype(np.float32)
        of_rows[~known[rows]] = np.nan
        return Split(name=name, rows=rows, labels=of_rows, classes=task.classes, shards=shards)

    known = _known(columns, has_label, inside["train"], label_use.labelled)
    train = inside["train"] & has_leads & known
    if not train.any():
        _refuse_no_known(label_use.labelled, int((inside["train"] & usable).sum()))
    if label_use.distils_unlabelled:
        others = (fold_of < 0) & ~_with_patient_in(columns, inside["val"] | inside["test"])
        train |= (inside["train"] | others) & has_leads & ~known
    seen = inside["train"] | inside["val"]
    return TrainingSplits(
        train=split("train", train, known),
        val=split("val", inside["val"] & usable, has_label),
        n_without_label=int((seen & ~known & ~train).sum()),
        n_without_lead=int((seen & known & ~has_leads).sum()),
        n_in_no_split=int((~seen & ~inside["test"] & ~train).sum()),
        n_test=int((inside["test"] & usable).sum()),
    )


def with_labels_of(split: Split, task: Task, min_likelihood: float = 0.0) -> Split:
    """Return a split with the labels of a second task in columns behind its own.

    A label that is not known stays so in all columns; one that is known, of a recording without any
    class of the second task, is 0 in each of these.

    Args:
        split: Any.
        task: The second task.
        min_likelihood: Codes below it do not count.
    """
    labels = split.shards.split_columns(task, min_likelihood).labels_NC[split.rows]
    added = labels.astype(np.float32)
    added[~split.has_label] = np.nan
    return replace(
        split,
        labels=np.concatenate([split.labels, added], axis=1),
        classes=(*split.classes, *(f"{task.name}/{name}" for name in task.classes)),
    )


def _known(
    columns: SplitColumns,
    has_label: np.ndarray,
    in_train: np.ndarray,
    labelled: LabelledConfig | None,
) -> np.ndarray:
    """Return bool `[n]`: of which recordings the study knows the label."""
    if labelled is None:
        return has_label
    if labelled.fraction is None:
        return has_label & (~in_train | np.isin(columns.fold_N, labelled.folds))
    rows = np.flatnonzero(has_label & in_train)
    labels = columns.labels_NC[rows]
    rank_C = np.argsort(np.argsort(labels.sum(axis=0), kind="stable"), kind="stable")
    rarest = np.where(labels, rank_C, len(rank_C)).min(axis=1, initial=len(rank_C))
    patients = columns.patient_hash_N[rows]
    drawn = choose_patients(patients, rarest, labelled.fraction, labelled.seed)
    known = has_label.copy()
    known[rows] = drawn
    return known


def _with_patient_in(columns: SplitColumns, chosen: np.ndarray) -> np.ndarray:
    """Return bool `[n]`: whether the recording's patient has one among those chosen."""
    return np.isin(columns.patient_hash_N, columns.patient_hash_N[chosen])


def _refuse_no_known(labelled: LabelledConfig | None, n_there: int) -> NoReturn:
    assert labelled is not None
    asked = (
        f"none of them is in the folds {_listed(labelled.folds)}"
        if labelled.fraction is None
        else f"a fraction of {labelled.fraction:g} is less than one patient of any class"
    )
    raise DataError(
        f"no training recording has a known label, so no teacher can be trained: {n_there:,} have "
        f"one, but {asked}. Set data.labelled to more."
    )


def _refuse_shared_patients(shards: Shards, fold_of: np.ndarray, folds: FoldsConfig) -> None:
    if not _any_in_several_folds(shards, fold_of):
        return
    import pandas as pd  # Half a second, which only the refusal needs.

    patients = shards.patient_ids()
    shared = patients_in_several_folds(patients, fold_of)
    split_of = {fold: name for name in ("train", "val", "test") for fold in getattr(folds, name)}
    split = np.array([split_of.get(fold, "") for fold in fold_of], dtype=object)
    used = pd.DataFrame({"patient": patients, "fold": fold_of, "split": split})
    used = used[used["patient"].isin(shared) & (used["fold"] >= 0)]
    n_splits = used[used["split"] != ""].groupby("patient")["split"].nunique()
    across = n_splits.index[n_splits > 1]
    patient = across[0] if len(across) else shared[0]
    where = used[used["patient"] == patient]
    written = sorted(set(shards.column("patient_id").take(where.index.to_numpy()).to_pylist()))
    spelled = f" (written {' and '.join(map(repr, written))})" if len(written) > 1 else ""
    names = " and ".join(dict.fromkeys(name for name in where["split"] if name))
    listed = _listed(sorted(where["fold"].unique()))
    leak = f"the splits {names} would share it" if len(across) else "folds must not share patients"
    others = f"; so are {len(shared) - 1} more patients" if len(shared) > 1 else ""
    raise DataError(
        f"the patient {patient!r}{spelled} is in the folds {listed}: {leak}{others}. A model must "
        "not be evaluated on a patient that it was trained on. Correct the folds of the source "
        "and ingest again, or remove them: ingest then makes patient-disjoint folds."
    )


def _any_in_several_folds(shards: Shards, fold_of: np.ndarray) -> bool:
    """Whether a patient has recordings in several folds; without a name, as these are many."""
    in_fold = fold_of >= 0
    patient, fold = shards.patients.number_N[in_fold], fold_of[in_fold]
    any_fold = np.full(len(shards.patients.names), -1, dtype=fold_of.dtype)
    any_fold[patient] = fold
    return bool((any_fold[patient] != fold).any())


def _refuse_empty(
    name: str,
    inside: np.ndarray,
    fold_of: np.ndarray,
    has_label: np.ndarray,
    has_leads: np.ndarray,
    folds: FoldsConfig,
    task: Task,
) -> NoReturn:
    chosen = getattr(folds, name)
    if not inside.any():
        held = "no recording is in"
    elif not has_leads[inside].any():
        held = f"none of the {inside.sum()} recordings has all leads in"
    else:
        held = f"none of the {inside.sum()} recordings has a label of the task {task.name!r} in"
    kinds, counts = np.unique(fold_of[has_label & has_leads], return_counts=True)
    there = {int(fold): int(n) for fold, n in zip(kinds, counts, strict=True) if fold >= 0}
    if not there:
        raise DataError(
            f"the {name} split is empty: {held} fold {_listed(chosen)}, and no recording that has "
            f"a label of the task {task.name!r} is in any fold. Give the recordings folds and "
            "labels, and ingest again."
        )
    counted = ", ".join(f"{fold} ({n})" for fold, n in there.items())
    raise DataError(
        f"the {name} split is empty: {held} fold {_listed(chosen)}; these shards have recordings "
        f"with a label in the folds {counted}. Set data.folds in the study file, or --folds, for "
        f"example {_suggestion(list(there))}."
    )


def _suggestion(there: list[int]) -> str:
    """Say folds as `--folds` takes them: the last for the test, the one before for validation."""
    if len(there) < 3:
        return "with other recordings: three folds at least are needed"
    return f"{number_ranges(there[:-2], ',')}/{there[-2]}/{there[-1]}"


def _listed(folds: Iterable[int]) -> str:
    return ", ".join(str(int(fold)) for fold in folds)
