"""`mvkt doctor`: what is installed, what the machine has, and whether Ray starts on it."""

import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from mvkt_ray import __version__
from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.options import Address, VerbOutput
from mvkt_ray.display.console import Output, grid
from mvkt_ray.errors import MvktError
from mvkt_ray.phrasing import byte_size, duration

PACKAGES = ("torch", "ray", "optuna", "pyarrow", "numpy", "pandas", "wfdb")


def doctor_verb(
    output: VerbOutput,
    address: Address = None,
    ray: Annotated[bool, typer.Option(help="Also start Ray, or connect to the cluster.")] = True,
) -> None:
    """Check versions, processors, memory, GPUs and disk, and whether Ray starts.

    Exits with 1 when something that a search needs does not work.
    """
    found: dict[str, str] = {"mvkt-ray": __version__, "Python": platform.python_version()}
    found |= _versions()
    found |= _machine()
    problem = ""
    if ray:
        try:
            found["Ray"] = _try_ray(output, address)
        except MvktError as error:
            found["Ray"] = problem = str(error)
    table = grid(["", "found"])
    for name, value in found.items():
        table.add_row(Text(name, "dim"), Text(value, "red" if problem == value else ""))
    verdict = "Ray does not work" if problem else "all is well"
    answer: dict[str, Any] = {"ok": not problem, "found": found}
    output.answer(answer, [table, verdict])
    if problem:
        raise typer.Exit(EXIT_FAILED)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in PACKAGES}


def _machine() -> dict[str, str]:
    import torch

    from mvkt_ray.slots import own_cores

    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    n_gpus = torch.cuda.device_count()
    gpus = ", ".join(torch.cuda.get_device_name(index) for index in range(n_gpus))
    temporary = Path(tempfile.gettempdir())
    return {
        "CPUs": f"{own_cores()}",
        "memory": byte_size(memory_bytes),
        "GPUs": gpus or "none",
        "free here": byte_size(shutil.disk_usage(Path.cwd()).free),
        f"free in {temporary}": byte_size(shutil.disk_usage(temporary).free),
    }


def _try_ray(output: Output, address: str | None) -> str:
    from mvkt_ray.interface.arguments import RunnerChoice
    from mvkt_ray.interface.sessions.choose_runner import open_runner

    started = time.monotonic()
    with open_runner(output, RunnerChoice(address)) as runner:
        took = duration(time.monotonic() - started)
        return f"{runner.describe()}, up in {took}"
