"""Formats predictions as one JSON object per recording, or as rows of a CSV file.

Shapes: C classes, W windows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.predicting.predict_recordings import Answer, Predicted, Refused

_DIGITS = 6
"""Significant digits of a probability, about the precision of float32."""


class AnswerRows:
    """Formats answers with calibrated probabilities and decisions."""

    def __init__(self, model: ModelFile, threshold: str, *, with_windows: bool = False) -> None:
        """Look up the thresholds.

        Args:
            model: Model of the answers.
            threshold: One of `THRESHOLD_KINDS`.
            with_windows: Whether to include each window's times and probabilities.
        """
        self.classes, self.threshold_kind = model.class_names, threshold
        self.thresholds_C = model.thresholds(threshold)
        """Threshold by class; None for a class without decisions."""
        self._temperature = model.temperature
        self._rate_hz, self._window_samples = model.sampling_rate_hz, model.window_samples
        self._with_windows = with_windows

    @property
    def columns(self) -> list[str]:
        """Columns of a CSV file."""
        times = ["start_s", "end_s"] if self._with_windows else []
        kinds = ("probability", "calibrated", "decision")
        scores = [f"{kind}_{name}" for kind in kinds for name in self.classes]
        return ["record", *times, *scores, "remark", "error"]

    def decisions(self, probabilities_C: Sequence[float] | NDArray[Any]) -> list[bool | None]:
        """Return whether each class is predicted; None for a class without a threshold."""
        return [
            None if threshold is None else bool(probability >= threshold)
            for probability, threshold in zip(probabilities_C, self.thresholds_C, strict=True)
        ]

    def value(self, answer: Answer) -> dict[str, Any]:
        """Return an answer as a JSON object; scores are keyed by class name."""
        if isinstance(answer, Refused):
            error = {"reason": answer.reason, "message": answer.message}
            return {"record": answer.record, "error": error}
        value = {"record": answer.record, **self._scores(answer.probabilities_C)}
        if self._with_windows:
            value["windows"] = [
                {"start_s": start_s, "end_s": end_s, **self._scores(probabilities_C)}
                for (start_s, end_s), probabilities_C in zip(
                    self.window_times_s(answer), answer.window_probabilities_WC, strict=True
                )
            ]
        return {**value, "remark": "; ".join(answer.signal.remarks) or None}

    def rows(self, answer: Answer) -> list[list[Any]]:
        """Return the rows of an answer for a CSV file: the recording, then its windows."""
        value = self.value(answer)
        if isinstance(answer, Refused):
            error = f"{answer.reason}: {answer.message}"
            return [[value["record"], *[""] * (len(self.columns) - 2), error]]
        times = ["", ""] if self._with_windows else []
        rows = [[value["record"], *times, *self._cells(value), value["remark"] or "", ""]]
        for window in value.get("windows", []):
            times = [window["start_s"], window["end_s"]]
            rows.append([value["record"], *times, *self._cells(window), "", ""])
        return rows

    def window_times_s(self, answer: Predicted) -> list[tuple[float, float]]:
        """Return begin and end of each window in seconds; a repeated signal ends at its end."""
        n_samples = answer.signal.bits_LS.shape[1]
        return [
            (
                int(start) / self._rate_hz,
                min(int(start) + self._window_samples, n_samples) / self._rate_hz,
            )
            for start in answer.signal.starts_W
        ]

    def _scores(self, probabilities_C: NDArray[np.float32]) -> dict[str, Any]:
        def by_class(values: Sequence[Any]) -> dict[str, Any]:
            return dict(zip(self.classes, values, strict=True))

        calibrated_C = calibrated(probabilities_C, self._temperature)
        return {
            "probabilities": by_class([_rounded(each) for each in probabilities_C]),
            "calibrated": by_class([_rounded(each) for each in calibrated_C]),
            "decisions": by_class(self.decisions(probabilities_C)),
        }

    def _cells(self, value: dict[str, Any]) -> list[Any]:
        decisions = ["" if d is None else int(d) for d in value["decisions"].values()]
        return [*value["probabilities"].values(), *value["calibrated"].values(), *decisions]


def calibrated(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Return sigmoid(logit(probability) / temperature); 0 and 1 stay what they are."""
    exact = np.asarray(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        logits = np.log(exact) - np.log1p(-exact)
        return 1.0 / (1.0 + np.exp(-logits / temperature))


def _rounded(probability: float) -> float:
    return float(f"{probability:.{_DIGITS}g}")
