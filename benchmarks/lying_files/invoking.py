"""How a command is run in this process, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from mvkt_ray.cli import app


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str


Answer = Mapping[str, Any]
"""Plain values by dotted path."""

Command = Callable[[Path], tuple[Done, Answer]]
"""Given the folder of a case."""

TRAINED_AGAIN: Answer = {"trained again": True}
"""The answer of a reader that finds nothing it can use, and lets its caller make it again."""


def invoke(*line: object) -> Done:
    """Run a command line in this process."""
    result = CliRunner().invoke(app, [str(word) for word in line])
    return Done(result.exit_code, result.stdout, result.stderr)
