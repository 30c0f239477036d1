"""The view of a running search: a live table on a terminal, else plain lines; `watch` selects.

Both are listeners of the search: they read the study in the thread that runs it, and never write.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mvkt_ray.display.console import Output, grid
from mvkt_ray.display.progress import SECONDS_BETWEEN_LINES, StepProgress, rate_and_left
from mvkt_ray.display.state_reader import StateReader
from mvkt_ray.display.study_state import (
    ConditionRow,
    StudyState,
    TrialLine,
    WatchedStudy,
)
from mvkt_ray.phrasing import TERMINAL, duration

if TYPE_CHECKING:
    from mvkt_ray.records import EpochMetrics

_UNITS = {
    "shards": "recordings",
    "knowledge": "crops",
    "teacher": "epochs",
    "assistants": "epochs",
    "examination": "models",
}
_LINES_AROUND_TABLE = 9
"""Lines of the terminal for header, table's frame, stage and prompt."""
_SECONDS_BETWEEN_UPDATES = 0.2
"""Least time between two readings of the study's state, which cost more than drawing it."""


class PlainLines:
    """Writes a line per stage and per finished trial, without control characters."""

    def __init__(self, output: Output, *, n_epochs: int, teacher_epochs: int) -> None:
        self._output, self._n_epochs, self._teacher_epochs = output, n_epochs, teacher_epochs
        self._started = time.monotonic()
        self._stage, self._step = "", None
        self._last_epoch_line = 0.0
        self._reader: StateReader | None = None
        self._seen: set[int] = set()
        self._n_at_once = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: lines need no closing."""

    def stage_started(self, stage: str, what: str) -> None:
        """Write a line for the beginning of a stage."""
        self._stage = stage
        self._stage_started = time.monotonic()
        self._step = StepProgress(self._output, stage, _UNITS.get(stage, "steps"))
        self._output.say(f"{stage}: {what}")

    def stage_progress(self, done: int, total: int) -> None:
        """Write the stage's progress at intervals."""
        if self._step is not None:
            self._step.update(done, total)

    def stage_epoch(self, metrics: "EpochMetrics") -> None:
        """Write epochs of the teacher at intervals, and the last one."""
        now = time.monotonic()
        is_last = metrics.epoch == self._teacher_epochs
        if is_last or now - self._last_epoch_line > SECONDS_BETWEEN_LINES:
            self._last_epoch_line = now
            self._output.say(f"teacher: {epoch_text(metrics, self._teacher_epochs)}")

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Write a line for the end of a stage, or for a reused one."""
        if reused:
            self._output.say(f"{stage}: reused, {what}")
        else:
            self._output.say(f"{stage}: done in {duration(time.monotonic() - self._stage_started)}")

    def study_opened(self, study: WatchedStudy) -> None:
        """Note the trials that have ended already, so that each trial has one line."""
        self._reader = StateReader(study, self._n_epochs)
        state = self._reader.read()
        self._seen = {trial.number for trial in state.finished}
        if self._seen:
            self._output.say(f"trials: {len(self._seen)} of {state.n_trials} are done already")

    def study_changed(self) -> None:
        """Write a line for each trial that ended since the last call."""
        if self._reader is None:
            return
        state = self._reader.read()
        self._n_at_once = max(self._n_at_once, state.n_running)
        for trial in state.finished if state.n_finished > len(self._seen) else ():
            if trial.number not in self._seen:
                self._seen.add(trial.number)
                self._output.say(_trial_text(trial, state, self._n_at_once))


class LiveTable:
    """Live view: a header, one row per condition, and the current stage."""

    def __init__(
        self,
        output: Output,
        *,
        name: str,
        where: str,
        n_epochs: int,
        teacher_epochs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = output.progress
        self._name, self._where = name, where
        self._n_epochs, self._teacher_epochs = n_epochs, teacher_epochs
        self._clock = clock
        self._started = self._stage_started = clock()
        self._stage = self._what = self._note = ""
        self._done, self._total = 0, 0
        self._reader: StateReader | None = None
        self._state: StudyState | None = None
        self._n_at_once = 1
        self._updated_at_s = -1.0
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            vertical_overflow="ellipsis",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._read_final_state(kind)
        self._live.stop()

    def _read_final_state(self, kind: type[BaseException] | None) -> None:
        if self._reader is not None and kind is None:
            self._state = self._reader.read()

    def stage_started(self, stage: str, what: str) -> None:
        """Show the current stage."""
        self._stage, self._what, self._note = stage, what, ""
        self._done, self._total = 0, 0
        self._stage_started = self._clock()
        self._changed(at_once=True)

    def stage_progress(self, done: int, total: int) -> None:
        """Move the bar."""
        self._done, self._total = done, total
        self._changed()

    def stage_epoch(self, metrics: "EpochMetrics") -> None:
        """Move the bar by an epoch of the teacher."""
        self._done, self._total = metrics.epoch, self._teacher_epochs
        self._note = epoch_result(metrics)
        self._changed()

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Print a permanent line above the table for a completed stage."""
        took = "reused" if reused else duration(self._clock() - self._stage_started)
        note = f", {self._note}" if self._note and not reused else ""
        text = Text.assemble((f"{stage:<9} ", "bold"), (f"{took:<13}", "green"), f"{what}{note}")
        text.no_wrap, text.overflow = True, "ellipsis"
        self._print_line(text)
        self._stage = ""
        self._changed(at_once=True)

    def study_opened(self, study: WatchedStudy) -> None:
        """Show the study's table."""
        self._reader = StateReader(study, self._n_epochs)
        self._state = self._reader.read()
        self._changed(at_once=True)

    def study_changed(self) -> None:
        """Read the study's state again, at most every `_SECONDS_BETWEEN_UPDATES`."""
        now = self._clock()
        if self._reader is not None and now - self._updated_at_s > _SECONDS_BETWEEN_UPDATES:
            self._updated_at_s = now
            self._state = self._reader.read()
            self._n_at_once = max(self._n_at_once, self._state.n_running)
        self._changed()

    def _print_line(self, line: Text) -> None:
        self._console.print(line)

    def _changed(self, *, at_once: bool = False) -> None:
        """Redraw; here rich does so at intervals."""

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [self._header()]
        if self._state is not None:
            room = max(4, self._console.height - _LINES_AROUND_TABLE)
            parts.append(condition_table(self._state, max_rows=room))
        if self._stage and (self._state is None or self._total):
            parts.append(self._step())
        return Group(*parts)

    def _header(self) -> Text:
        text = Text.assemble((self._name, "bold"), f"  {duration(self._clock() - self._started)}")
        state = self._state
        if state is not None:
            text.append(f"  {state.n_finished}/{state.n_trials} trials", "bold")
            left_s = state.left_s(self._n_at_once)
            if left_s is not None and state.n_finished < state.n_trials:
                text.append(f"  about {duration(left_s)} left")
            if state.spent:
                text.append(f"  {state.spent}")
        text.append(f"\n{self._where}", "dim")
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def _step(self) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, Text(self._stage, "bold"), Text(self._what))
        if not self._total:
            return line
        unit = _UNITS.get(self._stage, "")
        pace = rate_and_left(self._done, self._total, self._clock() - self._stage_started)
        numbers = f"{self._done:,}/{self._total:,} {unit}"
        details = "  ".join(part for part in (numbers, pace, self._note) if part)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=self._total, completed=self._done, width=30), details)
        return Group(line, bar)


def condition_table(state: StudyState, *, max_rows: int | None = None) -> Table:
    """Return one row per condition; at most `max_rows`, with running ones and the best first."""
    table = grid(["lead"])
    for name in ("trials", "done", "pruned", "failed", state.best_name, "alone"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(state.open_name, no_wrap=True, overflow="ellipsis")
    best = max((row.best for row in state.rows if row.best is not None), default=None)
    shown = state.rows
    if max_rows is not None and len(shown) > max_rows:
        order = sorted(shown, key=lambda row: (not row.running, -(row.best or 0.0)))
        keep = {row.name for row in order[:max_rows]}
        shown = tuple(row for row in shown if row.name in keep)
        table.caption = f"and {len(state.rows) - max_rows} more leads"
        table.caption_justify = "left"
    for row in shown:
        is_best = row.best is not None and row.best == best
        table.add_row(
            Text(row.name, "bold"),
            f"{row.n_dealt}/{row.n_planned}",
            str(row.n_complete or TERMINAL.nothing),
            str(row.n_pruned or TERMINAL.nothing),
            Text(str(row.n_failed or TERMINAL.nothing), "red" if row.n_failed else ""),
            Text(TERMINAL.score(row.best), "bold green" if is_best else ""),
            TERMINAL.score(row.student_alone),
            _running(row, state.n_epochs),
        )
    return table


def epoch_text(metrics: "EpochMetrics", n_epochs: int) -> str:
    """Write an epoch's result with its duration."""
    seconds = metrics.train_s + metrics.validate_s
    result = epoch_result(metrics)
    return f"epoch {metrics.epoch}/{n_epochs}, {result}, {duration(seconds)} per epoch"


def epoch_result(metrics: "EpochMetrics") -> str:
    """Write the validation score of an epoch, or else its training loss."""
    if metrics.macro_auroc is not None:
        return f"validation macro AUROC {TERMINAL.score(metrics.macro_auroc)}"
    return f"training loss {TERMINAL.score(metrics.losses['total'])}"


def watch(
    output: Output, *, name: str, where: str, n_epochs: int, teacher_epochs: int
) -> LiveTable | PlainLines:
    """Return the live table for a terminal or a notebook, else plain lines (none if quiet)."""
    table: type[LiveTable] | None = LiveTable if output.is_live else None
    if output.is_notebook:
        from mvkt_ray.display.notebook_table import NotebookTable

        table = NotebookTable
    if table is not None:
        return table(
            output, name=name, where=where, n_epochs=n_epochs, teacher_epochs=teacher_epochs
        )
    output.say(f"{name}: {where}")
    return PlainLines(output, n_epochs=n_epochs, teacher_epochs=teacher_epochs)


def _running(row: ConditionRow, n_epochs: int) -> Text:
    # Epoch 0: the trial has not reported yet.
    parts = [
        f"#{number} {epoch}/{n_epochs}" if epoch else f"#{number}" for number, epoch in row.running
    ]
    return Text(", ".join(parts), "cyan")


def _trial_text(trial: TrialLine, state: StudyState, n_at_once: int) -> str:
    words = [f"trial {trial.number}", trial.condition, trial.state]
    words += [TERMINAL.score(trial.macro_auroc), f"{trial.epochs} epochs", duration(trial.wall_s)]
    if trial.reason and trial.state != "pruned":
        words.append(trial.reason)
    left_s = state.left_s(n_at_once)
    left = (
        f", about {duration(left_s)} left" if left_s and state.n_finished < state.n_trials else ""
    )
    return f"[{state.n_finished}/{state.n_trials}{left}] {'  '.join(words)}"
