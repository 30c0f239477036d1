import io

import pytest

from mvkt_ray.display.console import Output, PlainConsole
from mvkt_ray.display.progress import StepProgress, rate_and_left


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "text"),
    [
        (0, 100, 5.0, ""),
        (50, 100, 5.0, "10/s, 5.0 s left"),
        (5, 100, 10.0, "0.5/s, 3 min 10 s left"),
        (12345, 12345, 1.0, "12,345/s"),
    ],
)
def test_rate_and_time_left(done: int, total: int, elapsed_s: float, text: str) -> None:
    assert rate_and_left(done, total, elapsed_s) == text


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_at_the_end() -> None:
    file, now = io.StringIO(), [0.0]
    console = PlainConsole(file=file, width=80)
    output = Output(console, console, is_json=False, is_quiet=False)
    with StepProgress(output, "ingest", "recordings", clock=lambda: now[0]) as progress:
        for second in range(1, 26):
            now[0] = float(second)
            progress.update(second * 4, 100, "2 in quarantine")
    assert file.getvalue().splitlines() == [
        "ingest, 2 in quarantine: 40 of 100 recordings, 4.0/s, 15 s left",
        "ingest, 2 in quarantine: 80 of 100 recordings, 4.0/s, 5.0 s left",
        "ingest, 2 in quarantine: 100 of 100 recordings, 4.0/s",
    ]


def test_at_a_terminal_there_is_a_bar_that_goes_away() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, width=100, force_terminal=True, color_system=None)
    output = Output(console, console, is_json=False, is_quiet=False)
    assert output.is_live
    with StepProgress(output, "ingest", "recordings") as progress:
        progress.update(50, 100)
    assert "50/100" in file.getvalue()
    assert "\x1b[2K" in file.getvalue()
