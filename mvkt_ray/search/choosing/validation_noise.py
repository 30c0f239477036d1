"""Covariance of trials' validation scores over samples of patients.

Reads: `validation.arrow` of complete trials.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import ArtifactError
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import StoredPredictions
from mvkt_ray.training.trial_files import TrialFolder

N_RESAMPLES = 1000
"""Resamples of the bootstrap: enough for a relative error of a standard error of about 2 %."""


class ValidationNoise:
    """Estimates the covariance by a bootstrap over the patients, which all trials share."""

    def __init__(self, trials: Location) -> None:
        """Take the folder of the trials' folders."""
        self._trials = trials

    def __call__(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """Return the covariance of the trials' macro AUROC over samples of patients.

        Args:
            numbers: Numbers of n complete trials.

        Returns:
            float64 `[n, n]`, in squared units of AUROC.

        Raises:
            ArtifactError: Predictions of a trial are missing, cannot be read, or are of other
                recordings than those of the others.
        """
        found = [self._read(number) for number in numbers]
        first = found[0]
        for number, other in zip(numbers, found, strict=True):
            if not np.array_equal(other.record_ids_N, first.record_ids_N):
                raise ArtifactError(
                    f"{self._path(number)} and {self._path(numbers[0])} hold predictions of "
                    "different recordings, so their trials cannot be compared. Restore the "
                    "trials' files, or start a new study."
                )
        scores_KRNC = np.stack([each.probabilities_NC for each in found])[:, None]
        resamples = draw_patients(first.patient_ids_N, n_resamples=N_RESAMPLES, seed=0)
        resampled = bootstrap_auroc(first.labels_NC, scores_KRNC, resamples, n_threads=1)
        defined = ~np.isnan(resampled.macro_BK).any(axis=1)
        return np.atleast_2d(np.cov(resampled.macro_BK[defined], rowvar=False))

    def _path(self, number: int) -> Location:
        return TrialFolder.of(self._trials, number).validation

    def _read(self, number: int) -> StoredPredictions:
        path = self._path(number)
        if not path.exists():
            raise ArtifactError(
                f"{path} is missing: racing compares conditions by the predictions of their best "
                "trials. Restore it, or start a new study with search.conditions: balanced."
            )
        return TrialFolder.of(self._trials, number).read_validation()
