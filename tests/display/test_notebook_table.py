"""In a notebook the live table is one output, which is drawn again and stays."""

from typing import Any

from mvkt_ray.display.console import Output, as_html, open_console
from mvkt_ray.display.notebook_table import SECONDS_BETWEEN_DRAWINGS, NotebookTable, Shown


class Kept(Shown):
    """Keeps what a cell would show."""

    def __init__(self, html: str) -> None:
        self.pieces = [html]

    def update(self, html: str) -> None:
        self.pieces.append(html)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> tuple[NotebookTable, list[Kept]]:
    shown: list[Kept] = []

    def show(html: str) -> Kept:
        shown.append(Kept(html))
        return shown[-1]

    output = Output(open_console(), open_console(), is_json=False, is_quiet=False)
    options: dict[str, Any] = {"name": "tiny", "where": "here", "n_epochs": 2, "teacher_epochs": 2}
    return NotebookTable(output, **options, clock=clock, show=show), shown


def test_stages_stay_above_and_the_one_at_work_is_below() -> None:
    clock = Clock()
    table, shown = opened(clock)
    with table:
        table.stage_started("shards", "ingest 10 recordings")
        clock.now = 1.0
        table.stage_progress(5, 10)
        assert "5/10 recordings" in shown[0].pieces[-1]
        table.stage_finished("shards", "10 recordings", reused=False)
        table.stage_started("teacher", "train it")
    (only,) = shown
    assert only.pieces[-1].index("shards") < only.pieces[-1].index("teacher")


def test_it_is_not_drawn_for_everything_that_happens() -> None:
    clock = Clock()
    table, shown = opened(clock)
    with table:
        table.stage_started("shards", "ingest")
        before = len(shown[0].pieces)
        for done in range(100):
            table.stage_progress(done, 100)
        assert len(shown[0].pieces) == before
        clock.now += SECONDS_BETWEEN_DRAWINGS
        table.stage_progress(99, 100)
        assert len(shown[0].pieces) == before + 1


def test_text_in_a_cell_is_no_markup() -> None:
    assert "<b>" not in as_html("<b>[red]x[/red]")
    assert "[red]x" in as_html("<b>[red]x[/red]")
