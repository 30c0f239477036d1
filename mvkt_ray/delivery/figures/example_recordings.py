"""Recordings that the distilled student classifies correctly, and the student alone does not.

A class is predicted if the mean probability over the seeds reaches the threshold with the best F1
on validation. The recordings are shown only in the study's own report, to a user who has them.

Shapes: R seeds, N recordings of the test split, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.json_values import finite
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.statistics.decisions import decide, f1_thresholds

N_MOST = 4
"""Most recordings in the report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One class of one recording, with the probabilities of both students."""

    class_name: str
    is_present: bool
    distilled: float
    alone: float
    """Probability by the student alone, mean over the seeds, as is `distilled`."""
    alone_is_wrong: bool

    @property
    def alone_predicts(self) -> bool:
        """Whether the student alone predicts the class; the distilled student is right here."""
        return self.is_present != self.alone_is_wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One recording that only the distilled student classifies correctly."""

    record_id: str
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """The clearest recordings, and the numbers of recordings that only one student gets right."""

    condition: str
    baseline: str
    shown: tuple[Example, ...]
    thresholds: tuple[tuple[str, float | None, float | None], ...]
    """Name of each class, threshold of the answer, and threshold of the student alone; None for a
    class without a validation recording, which is never predicted."""
    n_only_distilled_right: int
    n_only_alone_right: int
    n_recordings: int


def find_examples(
    finals: FinalsResults, condition: str, baseline: str = "student_alone"
) -> Examples | None:
    """Choose at most `N_MOST` recordings with different errors of the baseline.

    A recording is classified correctly if all of its classes are.

    Args:
        finals: Predictions on validation and test.
        condition: Name of the lead.
        baseline: Name of the contender that the answer is compared with.

    Returns:
        None if the finals lack one of the two contenders.
    """
    answer_key, alone_key = (finals.answer, condition), (baseline, condition)
    if answer_key == alone_key or not {answer_key, alone_key} <= set(finals.test.scores):
        return None
    labels_NC = finals.test.labels_NC > 0
    distilled_NC, distilled_C = _mean_and_thresholds(finals, answer_key)
    alone_NC, alone_C = _mean_and_thresholds(finals, alone_key)
    distilled_right_NC = decide(distilled_NC, distilled_C) == labels_NC
    alone_right_NC = decide(alone_NC, alone_C) == labels_NC
    distilled_right_N, alone_right_N = distilled_right_NC.all(axis=1), alone_right_NC.all(axis=1)
    rows = np.flatnonzero(distilled_right_N & ~alone_right_N)
    # Largest difference of the two probabilities among the classes that the baseline gets wrong.
    margin_N = np.where(alone_right_NC, 0.0, np.abs(distilled_NC - alone_NC)).max(axis=1)
    kind_of = {int(row): tuple(np.flatnonzero(~alone_right_NC[row]).tolist()) for row in rows}
    clearest = rows[np.argsort(-margin_N[rows], kind="stable")]

    def example(row: int) -> Example:
        judgements = [
            Judgement(
                class_name=name,
                is_present=bool(labels_NC[row, c]),
                distilled=float(distilled_NC[row, c]),
                alone=float(alone_NC[row, c]),
                alone_is_wrong=not alone_right_NC[row, c],
            )
            for c, name in enumerate(finals.classes)
        ]
        return Example(record_id=str(finals.test.record_ids_N[row]), judgements=tuple(judgements))

    return Examples(
        condition=condition,
        baseline=baseline,
        shown=tuple(map(example, _varied([int(row) for row in clearest], kind_of))),
        thresholds=tuple(
            (name, finite(distilled), finite(alone))
            for name, distilled, alone in zip(finals.classes, distilled_C, alone_C, strict=True)
        ),
        n_only_distilled_right=len(rows),
        n_only_alone_right=int((alone_right_N & ~distilled_right_N).sum()),
        n_recordings=len(labels_NC),
    )


def _mean_and_thresholds(
    finals: FinalsResults, key: tuple[str, str]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    validation_NC = finals.validation.scores[key].mean(axis=0)
    thresholds_C = f1_thresholds(finals.validation.labels_NC, validation_NC)
    return finals.test.scores[key].mean(axis=0), thresholds_C


def _varied(rows: Sequence[int], kind_of: dict[int, tuple[int, ...]]) -> list[int]:
    """Return the clearest row of each kind of error first, then the clearest of the others."""
    first: dict[tuple[int, ...], int] = {}
    for row in rows:
        first.setdefault(kind_of[row], row)
    return [*first.values(), *(row for row in rows if row not in first.values())][:N_MOST]
