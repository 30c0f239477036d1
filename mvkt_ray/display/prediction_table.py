"""The output of `mvkt predict`: a table of predicted recordings, then refusals."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.display.console import grid, heading
from mvkt_ray.phrasing import TERMINAL, duration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
    from mvkt_ray.delivery.predicting.predict_recordings import Answer, Predicted, Refused

ROWS_SHOWN = 50
"""Most rows of predictions, and of refusals; a file or `--json` has all."""
_MOST_CLASSES = 9
"""Most classes with a column of their own; of more, only predicted ones are shown."""
_DECIDED = {True: "yes", False: "no", None: "-"}


@dataclass(slots=True)
class PredictionTable:
    """Collects the answers to show, and counts all."""

    rows: "AnswerRows"
    with_windows: bool
    n_predicted: int = 0
    refusals: Counter[str] = field(default_factory=Counter[str])
    """Number of refusals by reason."""
    predicted: "list[Predicted]" = field(default_factory=list)
    refused: "list[Refused]" = field(default_factory=list)

    def add(self, answer: "Answer") -> None:
        """Add the next answer."""
        from mvkt_ray.delivery.predicting.predict_recordings import Predicted

        if isinstance(answer, Predicted):
            self.n_predicted += 1
            if len(self.predicted) < ROWS_SHOWN:
                self.predicted.append(answer)
        else:
            self.refusals[answer.reason] += 1
            if len(self.refused) < ROWS_SHOWN:
                self.refused.append(answer)

    @property
    def reasons(self) -> str:
        """Number of refusals by reason, as `2 nan, 1 flat_lead`."""
        return ", ".join(f"{n:,} {reason}" for reason, n in self.refusals.most_common())

    @property
    def refused_note(self) -> str:
        """Number of refusals so far in words; empty for none."""
        n_refused = self.refusals.total()
        return f"{n_refused:,} refused" if n_refused else ""

    def shown(self, elapsed_s: float) -> list[RenderableType]:
        """Return the table, a line per refusal, and a summary."""
        parts: list[RenderableType] = []
        if self.predicted:
            parts += [self._heading(), self._table(self._folder())]
        if self.n_predicted > len(self.predicted):
            n_more = self.n_predicted - len(self.predicted)
            parts.append(Text(f"and {n_more:,} more, which --out FILE or --json has"))
        parts += [
            Text(f"Refused: {each.record} ({each.reason}): {each.message}") for each in self.refused
        ]
        if self.refusals.total() > len(self.refused):
            parts.append(Text(f"and others, in all {self.reasons}"))
        per_s = self.n_predicted / max(elapsed_s, 1e-9)
        summary = f"predicted: {self.n_predicted:,} in {duration(elapsed_s)}, {per_s:,.0f}/s"
        refused = f"; refused: {self.reasons}" if self.refusals else ""
        return [*parts, Text(summary + refused)]

    def _heading(self) -> RenderableType:
        thresholds = ", ".join(
            f"{name} {'none' if threshold is None else TERMINAL.score(threshold)}"
            for name, threshold in zip(self.rows.classes, self.rows.thresholds_C, strict=True)
        )
        where = f"; recordings of {self._folder()}" if self._folder() else ""
        return heading(f"Decided at {self.rows.threshold_kind}: {thresholds}{where}")

    def _folder(self) -> str:
        """Return the common folder of all recordings, which rows omit to save width."""
        folders = (answer.record.split("/")[:-1] for answer in self.predicted)
        common = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
        return "".join(f"{name}/" for name, *_ in common)

    def _table(self, folder: str) -> RenderableType:
        has_remarks = any(each.signal.remarks for each in self.predicted)
        is_wide = len(self.rows.classes) <= _MOST_CLASSES
        scores = list(self.rows.classes) if is_wide else ["decided", "highest"]
        columns = ["recording", *scores, *(["remark"] if has_remarks else [])]
        table = grid(columns, right=scores if is_wide else ())
        for answer in self.predicted:
            name = answer.record.removeprefix(folder)
            remark = ["; ".join(answer.signal.remarks)] if has_remarks else []
            table.add_row(name, *self._cells(answer.probabilities_C), *remark)
            if self.with_windows:
                times_s = self.rows.window_times_s(answer)
                each_window = zip(times_s, answer.window_probabilities_WC, strict=True)
                for (start_s, end_s), probabilities_C in each_window:
                    when = f"  {start_s:g} to {end_s:g} s"
                    table.add_row(when, *self._cells(probabilities_C), *[""] * has_remarks)
        return table

    def _cells(self, probabilities_C: "NDArray[np.float32]") -> list[str]:
        decisions = self.rows.decisions(probabilities_C)
        if len(self.rows.classes) <= _MOST_CLASSES:
            return [
                f"{TERMINAL.score(float(probability))} {_DECIDED[decision]:>3}"
                for probability, decision in zip(probabilities_C, decisions, strict=True)
            ]
        decided = [
            f"{name} {TERMINAL.score(float(probability))}"
            for name, probability, decision in zip(
                self.rows.classes, probabilities_C, decisions, strict=True
            )
            if decision
        ]
        highest = int(probabilities_C.argmax())
        best = f"{self.rows.classes[highest]} {TERMINAL.score(float(probabilities_C[highest]))}"
        return [", ".join(decided) or "none", best]
