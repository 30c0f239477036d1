"""Recordings that the distilled student gets right and the student alone gets wrong.

A decision is the mean probability over the seeds against a threshold that was chosen on validation
for the best F1. Recordings are shown to who has them anyway: the user, in the report.

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One class of one recording, by both students."""

    class_name: str
    is_present: bool
    distilled: float
    alone: float
    """Probabilities, means over the seeds."""
    alone_is_wrong: bool

    @property
    def alone_says(self) -> bool:
        """Whether the student alone calls the class; the other one is right by choice."""
        return self.is_present != self.alone_is_wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One recording where the teacher's help decided."""

    record_id: str
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """The clearest recordings, and how many there are of either kind."""

    condition: str
    baseline: str
    shown: tuple[Example, ...]
    thresholds: tuple[tuple[str, float | None, float | None], ...]
    """By class: the answer's, and that of the student alone; None for a class that no validation
    recording has, which is never said to be present."""
    n_only_distilled_right: int
    n_only_alone_right: int
    n_recordings: int


def find_examples(
    finals: FinalsResults, condition: str, baseline: str = "student_alone"
) -> Examples | None:
    """Choose at most `N_MOST` recordings, with classes as different as there are.

    A recording is right when every class of it is.

    Args:
        finals: Predictions on validation and test.
        condition: The lead.
        baseline: The contender that the answer is compared with.

    Returns:
        None where the finals did not compare the two.
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
    # How far apart the two are where the student alone is wrong.
    margin_N = np.where(alone_right_NC, 0.0, np.abs(distilled_NC - alone_NC)).max(axis=1)
    kind_of = {int(row): tuple(np.flatnonzero(~alone_right_NC[row]).tolist()) for row in rows}
    clearest = rows[np.argsort(-margin_N[rows], kind="stable")]
    chosen = _varied([int(row) for row in clearest], kind_of)
    return Examples(
        condition=condition,
        baseline=baseline,
        shown=tuple(
            Example(
                record_id=str(finals.test.record_ids_N[row]),
                judgements=tuple(
                    Judgement(
                        class_name=name,
                        is_present=bool(labels_NC[row, column]),
                        distilled=float(distilled_NC[row, column]),
                        alone=float(alone_NC[row, column]),
                        alone_is_wrong=not alone_right_NC[row, column],
                    )
                    for column, name in enumerate(finals.classes)
                ),
            )
            for row in chosen
        ),
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
    """Take the clearest of each kind of error first, then the clearest of what is left."""
    seen: set[tuple[int, ...]] = set()
    first: list[int] = []
    for row in rows:
        if kind_of[row] not in seen:
            seen.add(kind_of[row])
            first.append(row)
    return (first + [row for row in rows if row not in first])[:N_MOST]
