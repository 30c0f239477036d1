"""README's pictures: small, alone, and of a screen that is read as rich draws it."""

import io
import re
from collections import deque
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text

pytest.importorskip("selenium", reason="selenium is not installed")
from docs.pictures import draw_screen, screens_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_a_terminal_shows_what_live_drew_last_however_its_writes_are_cut(size: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=40)
    with Live(Text("one\ntwo\nthree", "red"), console=console, auto_refresh=False) as live:
        console.print("a stage is done")
        live.update(Text("four", "green"), refresh=True)
        live.update(Text("five\nsix", "bold"), refresh=True)
    written = stream.getvalue()
    pieces = (written[start : start + size] for start in range(0, len(written), size))
    [last] = deque(screens_of(pieces), maxlen=1)
    shown = Text.from_ansi(last)
    assert [line.rstrip() for line in shown.plain.splitlines()] == [
        "a stage is done",
        "five",
        "six",
    ]
    assert any("bold" in str(span.style) for span in shown.spans)


def test_a_drawn_screen_has_its_lines_and_asks_no_other_machine(tmp_path: Path) -> None:
    draw_screen("\x1b[1mlead\x1b[0m  score\nV5    0.871", tmp_path / "screen.svg")
    svg = (tmp_path / "screen.svg").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]*>", "", svg).replace("&#160;", " ")
    assert all(word in text for word in ("mvkt search", "lead", "V5", "0.871"))
    assert not re.search(r"url\([\"']?http|href=", svg)


def test_the_pictures_of_the_readme_are_small() -> None:
    pictures = [DOCS / "live_table.svg", DOCS / "report.png"]
    assert sum(picture.stat().st_size for picture in pictures) < 150 * 1024
