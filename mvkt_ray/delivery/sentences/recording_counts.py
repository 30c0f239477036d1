"""Sentence on the use of all recordings; its numbers add up to the recordings of the shards.

Reads: the report's `data`.
"""

from mvkt_ray.delivery.report.reported_data import DataCard
from mvkt_ray.phrasing import listing, number_ranges


def use_sentence(data: DataCard) -> str:
    """Return the number of recordings in each split, and the reasons for the unused ones."""
    sizes = [split.n_recordings for split in data.splits.all]
    total, used = data.n_recordings, sum(sizes)
    train, val, test = (f"{size:,}" for size in sizes)
    n_unlabelled = sizes[0] - data.splits.train.n_labelled
    if n_unlabelled:
        train += f" ({n_unlabelled:,} of them without a known label, to distil over)"
    said = (
        f"Of {total:,} recordings {train} are for training, {val} for validation and {test} for "
        "the test"
    )
    reasons = _reasons(data)
    if not reasons:
        return f"{said}: every one is in a split."
    return f"{said}. The other {total - used:,} are in no split and not used: {listing(reasons)}."


def _reasons(data: DataCard) -> list[str]:
    folds = number_ranges(data.other_folds)
    counted = (
        (data.n_without_fold, "have no fold", "has no fold"),
        (
            data.n_in_other_folds,
            f"are of folds that no split names ({folds})",
            f"is of a fold that no split names ({folds})",
        ),
        (
            data.n_without_label,
            "have no known label of the task",
            "has no known label of the task",
        ),
        (data.n_without_lead, "lack a lead", "lacks a lead"),
    )
    return [f"{n:,} {one if n == 1 else several}" for n, several, one in counted if n]
