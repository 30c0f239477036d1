"""Sentences on the classes of a macro mean, and on excluded classes.

Reads: the report's values.
"""

from collections.abc import Sequence

from mvkt_ray.delivery.facts.class_means import left_out_of
from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.phrasing import listing

LISTED = 6
"""Most classes that the answer lists; more are counted."""


def over_classes(n_classes: int, left_out: Sequence[str], called: str = "classes") -> str:
    """Return the classes of a mean as `the 3 classes`, `2 of the 3 classes` or `the one class`.

    Args:
        n_classes: Number of the task's classes.
        left_out: Classes excluded from the mean.
        called: Plural noun for the classes.
    """
    if left_out:
        return f"{n_classes - len(left_out)} of the {n_classes} {called}"
    return f"the {n_classes} {called}" if n_classes != 1 else "the one class"


def left_out_sentence(report: StudyReport, split: Split, most: int | None = None) -> str:
    """Return the classes excluded from the means of a split, and why; empty without any.

    Args:
        report: Report with `leads`, and with `data` if the shards are there.
        split: `validation` or `test`.
        most: Most names to list; more are counted. None lists all.
    """
    left_out = left_out_of(report, split)
    if not left_out:
        return ""
    it, are = ("it", "is") if len(left_out) == 1 else ("they", "are")
    if most is not None and len(left_out) > most:
        return (
            f"Each of {len(left_out)} classes has no {split} recording, or every one, so they are "
            "in no mean; the limits name them."
        )
    everywhere = [name for name in left_out if _has_every_recording(report, split, name)]
    nowhere = [name for name in left_out if name not in everywhere]
    parts: list[str] = []
    if nowhere:
        parts.append(f"no {split} recording has {listing(nowhere)}")
    if everywhere:
        parts.append(f"every {split} recording has {listing(everywhere)}")
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}, so {it} {are} in no mean AUROC of that split."


def _has_every_recording(report: StudyReport, split: Split, name: str) -> bool:
    if report.data is None:
        return False
    counts = report.data.splits.of(split)
    positives = (counts.n_positive or {}).get(name)
    return bool(positives) and positives == counts.n_recordings
