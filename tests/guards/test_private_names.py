"""Names of other packages that may go with their next release: each is known, with its test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mvkt_ray"
ROW = re.compile(r"^\| `([\w.]+)` \| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def own_names(tree: ast.AST) -> Iterator[str]:
    """Yield what a module defines or sets, as attributes of its own classes are."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name("self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.ClassDef(name=name):
                yield name
            case _:
                pass


def private_names(tree: ast.AST, own: set[str]) -> Iterator[str]:
    """Yield the private names of other packages that a module uses."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(level=0, module=str(module)) if not module.startswith("mvkt_ray"):
                names = [f"{module}.{alias.name}" for alias in node.names]
                yield from (name for name in names if any(map(is_private, name.split("."))))
            case ast.Import():
                names = [alias.name for alias in node.names]
                yield from (name for name in names if any(map(is_private, name.split("."))))
            case ast.Attribute(value=ast.Call(func=ast.Name("super")), attr=name):
                if is_private(name):
                    yield name
            case ast.Attribute(attr=name) if is_private(name) and name not in own:
                yield name
            case _:
                pass


def found() -> dict[str, set[str]]:
    """Return the modules that use each name."""
    trees = {file: ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py")}
    own = {name for tree in trees.values() for name in own_names(tree)}
    used: dict[str, set[str]] = {}
    for file, tree in trees.items():
        for name in private_names(tree, own):
            used.setdefault(name, set()).add(file.relative_to(PACKAGE).as_posix())
    return used


def paths_in(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


ROWS = ROW.findall((PACKAGE / "UPGRADING.md").read_text("utf-8"))


def test_every_private_name_of_another_package_is_in_the_table_with_where_it_is_used() -> None:
    assert {name: paths_in(where) for name, where, _ in ROWS} == found()


@pytest.mark.parametrize(("name", "tests"), [(name, tests) for name, _, tests in ROWS])
def test_the_tests_of_a_name_are_there(name: str, tests: str) -> None:
    assert paths_in(tests)
    assert [path for path in paths_in(tests) if not (ROOT / path).is_file()] == [], name
