import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.text import Text

from mvkt_ray.display.console import Output, PlainConsole, facts, grid, heading
from mvkt_ray.phrasing import TERMINAL


def plain(width: int = 80) -> tuple[PlainConsole, io.StringIO]:
    file = io.StringIO()
    return PlainConsole(file=file, width=width), file


@pytest.mark.parametrize("wanted", [True, False])
def test_there_are_colours_at_a_terminal_unless_the_environment_has_no_color(
    monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not wanted:
        monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = PlainConsole(file=file, width=80, force_terminal=True)
    console.print(Text("Error:", "bold red"))
    assert "Error:" in file.getvalue()
    assert ("31m" in file.getvalue()) == wanted


@pytest.mark.parametrize(
    ("value", "text"), [(0.8761, "0.876"), (None, "-"), (float("nan"), "-"), (1.0, "1.000")]
)
def test_scores_have_three_digits(value: float | None, text: str) -> None:
    assert TERMINAL.score(value) == text


def test_with_json_only_the_answer_is_on_stdout() -> None:
    (answers, stdout), (progress, stderr) = plain(), plain()
    output = Output(answers, progress, is_json=True, is_quiet=False)
    output.say("working")
    output.answer({"x": float("nan"), "long": "word " * 60}, ["a table"])
    assert json.loads(stdout.getvalue()) == {"x": None, "long": "word " * 60}
    assert stderr.getvalue() == "working\n"


def test_with_quiet_only_the_answer_is_written() -> None:
    (console, file) = plain()
    output = Output(console, console, is_json=False, is_quiet=True)
    output.say("working")
    with output.waiting("for something"):
        output.say("still")
    output.answer({}, ["the answer"])
    assert file.getvalue() == "the answer\n"


def test_a_line_of_progress_is_one_line_however_long() -> None:
    console, file = plain(width=20)
    Output(console, console, is_json=False, is_quiet=False).say("word " * 20 + "[x]")
    assert file.getvalue().count("\n") == 1
    assert "[x]" in file.getvalue()


def test_tables_without_a_terminal_have_no_control_characters() -> None:
    console, file = plain()
    table = grid(["lead", "n"], right=["n"])
    table.add_row("II", "3")
    console.print(table, facts({"a": "[b]"}))
    text = file.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "[b]" in text


AWKWARD = ["AF [permanent]", "LBBB [new/old]", "[/old]", "[bold]x[/bold]", ":warning: 12", "a\\[b]"]


@pytest.mark.parametrize("text", AWKWARD)
def test_text_from_data_is_shown_as_it_is(text: str) -> None:
    console, file = plain(width=200)
    output = Output(console, console, is_json=False, is_quiet=False)
    table = grid([text, "n"])
    table.add_row(text, "3")
    table.caption = text
    output.say(text)
    with output.waiting(text):
        pass
    output.answer({}, [heading(text), text, table, facts({text: text})])
    console.print(table, facts({text: text}))
    assert file.getvalue().count(text) == 14


@given(st.text(max_size=30))
@example("\x1b[2J\x1b[H")
@example("\x9b2J")
@example("caf\udce9 \u202etxt.exe")
@settings(max_examples=100)
def test_no_text_from_data_acts_on_the_terminal(text: str) -> None:
    for is_terminal in (False, True):
        file = io.StringIO()
        console = PlainConsole(
            file=file, width=80, force_terminal=is_terminal, color_system=None, legacy_windows=False
        )
        output = Output(console, console, is_json=False, is_quiet=False)
        table = grid([text])
        table.add_row(text)
        output.say(text)
        output.answer({}, [text, heading(text), table, facts({text: text})])
        shown = file.getvalue()
        assert not ACTING & set(shown)
        assert shown.encode()


ACTING = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066)}


def test_a_line_of_progress_is_one_line_whatever_is_in_it() -> None:
    console, file = plain()
    Output(console, console, is_json=False, is_quiet=False).say("a\nb\tc\r\x1b[2Jd")
    assert file.getvalue() == "a\\nb\\tc\\r\\x1b[2Jd\n"
