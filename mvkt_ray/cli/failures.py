"""How the command line ends: exit codes, a paragraph for a wrong input or a machine that fails.

A defect keeps its traceback.

0 done, 1 failed, 2 wrong input, 130 interrupted, by SIGINT (Ctrl-C) or SIGTERM.
"""

import os
import shlex
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from mvkt_ray.cli.stopping import stopping_cleanly
from mvkt_ray.display.console import open_console
from mvkt_ray.display.visible_text import visible
from mvkt_ray.errors import MachineError, MvktError, TrialError
from mvkt_ray.machine_faults import machine_fault
from mvkt_ray.phrasing import hide_passwords, without_passwords

EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130

RESUMABLE_VERBS = frozenset({"ingest", "train-teacher", "cache", "search", "demo", "label-budget"})
"""Verbs that have `--resume`."""

GOES_ON_WITH = "mvkt.goes_on_with"
"""Under which a verb keeps, in `meta` of its context, the line that goes on in its place."""

VERBS_THAT_GO_ON = frozenset({"download", "finalize"})
"""Verbs that go on by themselves: the same line again is all that it takes."""


class MvktGroup(TyperGroup):
    """The group of all verbs; it turns what they raise into exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let `--debug` stand anywhere on the line, and keep the line for the hint to resume."""
        ctx.meta["mvkt.args"] = list(args)
        if "--debug" in args:
            args = ["--debug", *(arg for arg in args if arg != "--debug")]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb and report what it raised."""
        debug = bool(ctx.params.get("debug"))
        try:
            with stopping_cleanly():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except MvktError as error:
            _report_error(error, debug=debug)
            # A teacher that diverges, or a disk that is full: nothing in the input need be wrong.
            failed = isinstance(error, TrialError | MachineError)
            raise typer.Exit(EXIT_FAILED if failed else EXIT_WRONG_INPUT) from error
        except KeyboardInterrupt:
            _report_interruption(ctx.meta, debug=debug)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output (`| head`) is gone; what Python still wants to flush at its
            # end must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_FAILED) from None
        except Exception as error:
            fault = machine_fault(error)
            if fault is None:
                traceback.print_exc(file=sys.stderr)
            else:
                _report_error(fault, debug=debug)
            raise typer.Exit(EXIT_FAILED) from error


def resume_line(args: list[str]) -> str:
    """Write the command that goes on where this one was interrupted."""
    words = [arg for arg in args if arg != "--debug"]
    if "--resume" not in words and not VERBS_THAT_GO_ON & set(words[:1]):
        words.append("--resume")
    return shlex.join(["mvkt", *map(without_passwords, words)])


def _report_error(error: MvktError, *, debug: bool) -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    # Wrapped for a person at a terminal; one line where a program reads.
    text = hide_passwords(" ".join(str(error).split()))
    paragraph = Text.assemble(("Error:", "bold red"), " ", text)
    open_console(to_stderr=True).print(paragraph, soft_wrap=not sys.stderr.isatty())


def _report_interruption(meta: Mapping[str, Any], *, debug: bool) -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    args: list[str] = meta["mvkt.args"]
    verb = next((arg for arg in args if not arg.startswith("-")), "")
    text = "Interrupted."
    line: str | None = meta.get(GOES_ON_WITH)
    if line is None and verb in RESUMABLE_VERBS | VERBS_THAT_GO_ON:
        line = resume_line(args)
    if line is not None and "--dry-run" not in args:
        text = f"Interrupted; all progress is saved. Resume with: {line}"
    sys.stderr.write(f"\n{visible(text)}\n")
