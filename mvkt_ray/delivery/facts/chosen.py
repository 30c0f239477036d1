"""Trials chosen on validation, and their scores corrected for the choice.

Reads: the validation predictions of complete trials of the search.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.evidence import LEVEL, SEED
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.reported_scores import (
    ChosenValidation,
    Selection,
    ValidationScores,
)
from mvkt_ray.errors import DataError
from mvkt_ray.json_values import finite
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.statistics.intervals import ends
from mvkt_ray.statistics.resampling import draw_patients
from mvkt_ray.statistics.selection import SelectionEstimate, corrected_best
from mvkt_ray.training.predictions_file import StoredPredictions

MAX_RESAMPLES, MIN_RESAMPLES = 1000, 200
SCORINGS = 1_000_000
"""Most trials times resamples: many trials get fewer resamples. The estimate is a mean over
resamples; with `MIN_RESAMPLES` its standard error is a fourteenth of their standard deviation."""


class Selections:
    """Choices among complete trials of the search, and their scores corrected for the choice."""

    def __init__(self, material: ReportMaterial) -> None:
        """Read the validation predictions of all complete trials.

        Raises:
            ArtifactError: A file of predictions is damaged.
            DataError: Trials predicted different recordings.
        """
        self._found: dict[int, NDArray[np.float32]] = {}
        """Probabilities `[N, C]` by trial; recordings and labels are the same for all trials."""
        first: StoredPredictions | None = None
        # A trial of several seeds leaves only the predictions of its first seed, but its score is
        # the mean over all seeds: the two do not match.
        searched = material.searched if material.config.search.seeds_per_trial == 1 else ()
        for record in searched:
            found = material.validation_predictions(record.number)
            if found is None:
                continue
            first = first or found
            _expect_same(record, found, first)
            self._found[record.number] = found.probabilities_NC
        self._first = first
        self._of_leads: dict[str, tuple[TrialRecord, SelectionEstimate, int] | None] = {}
        self.n_resamples = int(
            np.clip(SCORINGS // max(1, len(self._found)), MIN_RESAMPLES, MAX_RESAMPLES)
        )
        self._resamples = (
            None
            if first is None or len(np.unique(first.patient_ids_N)) < 2
            else draw_patients(first.patient_ids_N, self.n_resamples, SEED)
        )

    @property
    def n_recordings(self) -> int:
        """Number of recordings in the validation split."""
        return 0 if self._first is None else len(self._first.record_ids_N)

    def correct(
        self, records: Sequence[TrialRecord]
    ) -> tuple[TrialRecord, SelectionEstimate, int] | None:
        """Return the best of some trials, its estimates, and the number of candidates.

        Returns:
            None if no trial has predictions, or there are fewer than two patients.
        """
        candidates = [record for record in records if record.number in self._found]
        if not candidates or self._first is None or self._resamples is None:
            return None
        scores = np.stack([self._found[each.number] for each in candidates])
        estimate = corrected_best(self._first.labels_NC, scores, self._resamples, level=LEVEL)
        return candidates[estimate.best], estimate, len(candidates)

    def describe_study(self, material: ReportMaterial) -> Selection | None:
        """Return the report's `selection`: the best trial of the study."""
        found = self.correct(material.searched)
        if found is None:
            return None
        record, estimate, n_candidates = found
        return Selection(
            lead=record.condition,
            trial=record.number,
            naive=finite(estimate.naive),
            corrected=finite(estimate.corrected),
            ci=ends(estimate.interval),
            n_candidates=n_candidates,
            n_recordings=self.n_recordings,
            basis="Bootstrap bias corrected cross-validation (Tsamardinos et al. 2018): in each "
            f"of {self.n_resamples} resamples of the validation patients the trial that is best on "
            "the drawn ones is scored on the others. Pruned trials left no predictions, and are "
            "not among the candidates.",
        )

    def describe_lead(
        self, lead: str, records: Sequence[TrialRecord], scores: ValidationScores
    ) -> ChosenValidation:
        """Return a lead's `validation`: the chosen trial's scores, corrected for the choice.

        Args:
            lead: Name of the lead.
            records: Complete trials of the lead.
            scores: Scores of the chosen trial.
        """
        if lead not in self._of_leads:
            self._of_leads[lead] = self.correct(records)
        found = self._of_leads[lead]
        # One candidate is no choice to correct for. Pruning other trials was a choice, too, but
        # pruned trials left no predictions to correct it by.
        if found is None or found[2] < 2:
            corrected, interval, n_candidates = None, None, len(records)
        else:
            _, estimate, n_candidates = found
            corrected, interval = finite(estimate.corrected), ends(estimate.interval)
        return ChosenValidation(
            **asdict(scores),
            corrected=corrected,
            corrected_ci=interval,
            n_candidates=n_candidates,
        )


def _expect_same(record: TrialRecord, found: StoredPredictions, first: StoredPredictions) -> None:
    if np.array_equal(found.record_ids_N, first.record_ids_N) and found.classes == first.classes:
        return
    raise DataError(
        f"the validation predictions of trial {record.number} have {len(found.record_ids_N)} "
        f"recordings and {len(found.classes)} classes, which differ from those of earlier trials "
        f"({len(first.record_ids_N)} recordings, {len(first.classes)} classes). The file was "
        "changed after it was written: restore it from a copy, or remove it."
    )
