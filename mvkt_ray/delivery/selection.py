"""What was chosen on validation, and what is left of its score once that is corrected for.

Reads: the validation predictions of complete trials of the search.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvkt_ray.delivery.evidence import LEVEL, SEED
from mvkt_ray.delivery.material import ReportMaterial
from mvkt_ray.delivery.plain import ends, number
from mvkt_ray.errors import DataError
from mvkt_ray.search.trial_record import TrialRecord
from mvkt_ray.statistics.resampling import draw_patients
from mvkt_ray.statistics.selection import SelectionEstimate, corrected_best
from mvkt_ray.training.predictions_file import StoredPredictions

N_RESAMPLES = 1000
"""The mean of so many is known to a few thousandths of the interval around it."""

BASIS = (
    "Bootstrap bias corrected cross-validation (Tsamardinos et al. 2018): in every resample of the "
    "validation patients the trial that is best on the drawn ones is scored on the others. Pruned "
    "trials left no predictions, and are not among the candidates."
)


class Selections:
    """Choices among complete trials of the search, corrected for having been choices."""

    def __init__(self, material: ReportMaterial) -> None:
        """Read all predictions once.

        Raises:
            ArtifactError: A file of predictions is damaged.
            DataError: Trials predicted different recordings.
        """
        self._found: dict[int, StoredPredictions] = {}
        first: StoredPredictions | None = None
        for record in material.searched:
            found = material.validation_predictions(record.number)
            if found is None:
                continue
            first = first or found
            _expect_same(record, found, first)
            self._found[record.number] = found
        self._first = first
        self._of_leads: dict[str, tuple[TrialRecord, SelectionEstimate, int] | None] = {}
        self._resamples = (
            None
            if first is None or len(np.unique(first.patient_ids_N)) < 2
            else draw_patients(first.patient_ids_N, N_RESAMPLES, SEED)
        )

    @property
    def n_recordings(self) -> int:
        """Of the validation split."""
        return 0 if self._first is None else len(self._first.record_ids_N)

    @property
    def n_patients(self) -> int:
        """Of the validation split."""
        return 0 if self._first is None else len(np.unique(self._first.patient_ids_N))

    def correct(
        self, records: Sequence[TrialRecord]
    ) -> tuple[TrialRecord, SelectionEstimate, int] | None:
        """Return the best of some trials with its estimates, and how many were chosen among.

        None where none of them left predictions.
        """
        candidates = [record for record in records if record.number in self._found]
        if not candidates or self._first is None or self._resamples is None:
            return None
        scores = np.stack([self._found[each.number].probabilities_NC for each in candidates])
        estimate = corrected_best(self._first.labels_NC, scores, self._resamples, level=LEVEL)
        return candidates[estimate.best], estimate, len(candidates)

    def describe_study(self, material: ReportMaterial) -> dict[str, Any] | None:
        """Return the report's `selection`: the best trial of the whole study."""
        found = self.correct(material.searched)
        if found is None:
            return None
        record, estimate, n_candidates = found
        return {
            "lead": record.condition,
            "trial": record.number,
            "naive": number(estimate.naive),
            "corrected": number(estimate.corrected),
            "ci": ends(estimate.interval),
            "n_candidates": n_candidates,
            "n_recordings": self.n_recordings,
            "basis": BASIS,
        }

    def describe_lead(self, lead: str, records: Sequence[TrialRecord]) -> dict[str, Any]:
        """Return what a lead's `validation` says of having chosen among these trials of it."""
        if lead not in self._of_leads:
            self._of_leads[lead] = self.correct(records)
        found = self._of_leads[lead]
        if found is None:
            return {"corrected": None, "corrected_ci": None, "n_candidates": len(records)}
        _, estimate, n_candidates = found
        return {
            "corrected": number(estimate.corrected),
            "corrected_ci": ends(estimate.interval),
            "n_candidates": n_candidates,
        }


def _expect_same(record: TrialRecord, found: StoredPredictions, first: StoredPredictions) -> None:
    if np.array_equal(found.record_ids_N, first.record_ids_N) and found.classes == first.classes:
        return
    raise DataError(
        f"the validation predictions of trial {record.number} are of {len(found.record_ids_N)} "
        f"recordings and {len(found.classes)} classes that differ from those of the trials before "
        f"it ({len(first.record_ids_N)} recordings, {len(first.classes)} classes). The file was "
        "changed after it was written: restore it from a copy, or remove it."
    )
