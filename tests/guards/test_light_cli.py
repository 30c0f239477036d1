"""The command line answers at once: what is heavy is imported by the verb that needs it."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "optuna", "pyarrow", "pandas", "scipy", "sklearn", "matplotlib", "yaml")

PROGRAM = """
import sys
from mvkt_ray.cli import app
{action}
heavy = sorted(set({heavy!r}) & set(sys.modules))
assert not heavy, f"loaded: {{heavy}}"
"""

HELP = """
try:
    app({args!r}, prog_name="mvkt")
except SystemExit as end:
    assert not end.code, end.code
"""


def run(action: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(action=action, heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    done = run("")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["search", "--help"]])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    done = run(HELP.format(args=args))
    assert done.returncode == 0, done.stderr
    assert "mvkt" in done.stdout


def test_the_guard_sees_a_heavy_import() -> None:
    done = run("import pyarrow")
    assert done.returncode != 0
    assert "loaded: ['pyarrow'" in done.stderr


def imported_of(heavy: set[str], program: str) -> list[str]:
    """Return those of some modules that a program has imported at its end."""
    tell = f"\nimport sys; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program + tell], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_search_and_its_workers_start_without_what_takes_half_a_second() -> None:
    heavy = {"scipy.stats", "scipy.signal", "sklearn", "matplotlib"}
    assert imported_of(heavy, "import mvkt_ray.search.pipeline, mvkt_ray.training.student") == []


def test_looking_at_a_study_needs_neither_torch_nor_what_else_takes_half_a_second() -> None:
    """`mvkt status`, `report`, `compare` and `gc`; tests in `tests/cli` run the verbs."""
    heavy = {"torch", "ray", "pandas", "sklearn", "scipy.stats", "scipy.signal", "wfdb"}
    program = (
        "import mvkt_ray.search.study_opening, mvkt_ray.display.state_reader\n"
        "import mvkt_ray.search.leftovers, mvkt_ray.delivery.comparing.compared_studies\n"
        "import mvkt_ray.interface.made_report"
    )
    assert imported_of(heavy, program) == []


def test_predicting_needs_neither_torch_nor_ray() -> None:
    """Where a model is used there is no cluster; `tests/cli/test_predict.py` runs the verb so."""
    heavy = {"torch", "ray", "optuna", "sklearn", "matplotlib", "scipy.signal", "onnx"}
    program = (
        "import importlib, pkgutil, mvkt_ray.delivery.predicting as room\n"
        "for module in pkgutil.iter_modules(room.__path__):\n"
        "    if module.name != 'strip_picture':\n"
        "        importlib.import_module(f'{room.__name__}.{module.name}')"
    )
    assert imported_of(heavy, program) == []


def test_the_guard_of_programs_sees_a_heavy_import() -> None:
    assert imported_of({"pyarrow", "torch"}, "import pyarrow") == ["pyarrow"]
