"""Errors as somebody who calls a function reads them: no traceback to interpret, no flags.

What the machine does becomes a `MachineError`, as on the command line. A text that names a flag,
`--max-cost`, names the argument instead, `max_cost`; a whole command in it stays one.
"""

import contextlib
import re
from collections.abc import Generator

from mvkt_ray.errors import MvktError
from mvkt_ray.machine_faults import machine_fault

_FLAG = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
_COMMAND = re.compile(r"\bmvkt [a-z-]+")
_SWITCHES = frozenset(
    {
        "resume",
        "in-process",
        "refit",
        "now",
        "start-over",
        "without-failed",
        "strict",
        "from-search",
    }
)
"""Flags without a value: as an argument, one that is set."""


@contextlib.contextmanager
def told_to_python() -> Generator[None]:
    """Raise what goes wrong in the block as a caller of this package expects it.

    Raises:
        MvktError: Of any kind.
    """
    try:
        yield
    except MvktError as error:
        # Written as words: the type, and what an error says beside its text, stay.
        error.args = (without_flags(str(error)), *error.args[1:])
        raise
    except Exception as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        raise fault from error


def without_flags(text: str) -> str:
    """Write flags as arguments, but for those of a command that a text quotes.

    >>> without_flags("x is in use. Go on by --resume, or give another --out.")
    'x is in use. Go on by resume=True, or give another out.'
    >>> without_flags("Go on with it: mvkt search --resume --out x")
    'Go on with it: mvkt search --resume --out x'
    """
    quoted = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _plain_text(part) for part in quoted)


def _plain_text(text: str) -> str:
    # A command that stands after a colon goes to the end of its sentence.
    sentences = re.split(r"(?<=[.;:])(\s+)", text)
    return "".join(
        part if _COMMAND.search(part) else _FLAG.sub(_argument, part) for part in sentences
    )


def _argument(flag: re.Match[str]) -> str:
    name = flag[1]
    return name.replace("-", "_") + ("=True" if name in _SWITCHES else "")
