"""The examples in `cluster/` are what their own lines render, and pass `mvkt cluster check`."""

import shlex
from pathlib import Path

import pytest
from rendering import PAPER, ROOT
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.cluster_files.platforms import PLATFORMS

EXAMPLES = sorted((ROOT / "cluster").glob("*/*example.*"))


def line_of(text: str) -> list[str]:
    (line,) = [row for row in text.splitlines() if row.startswith("# mvkt cluster render ")]
    return shlex.split(line.removeprefix("# mvkt "))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT)))
def test_an_example_is_what_its_line_renders(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = file.read_text()
    done = CliRunner().invoke(app, line_of(text))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == text, f"render it again: mvkt {shlex.join(line_of(text))} > {file}"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT)))
def test_an_example_fits_its_study(file: Path) -> None:
    done = CliRunner().invoke(app, ["cluster", "check", str(file), "--study", str(PAPER)])
    assert done.exit_code == 0, done.stderr
    assert "paper fits" in done.stdout


def test_every_platform_has_an_example() -> None:
    assert {line_of(file.read_text())[2] for file in EXAMPLES} == set(PLATFORMS)
