"""`import mvkt_ray` is light, and its public names are exactly those that it lists."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import mvkt_ray as mvkt

SOURCE = Path(mvkt.__file__)
HEAVY = (
    *("torch", "ray", "optuna", "pyarrow", "pandas", "numpy", "scipy", "matplotlib", "pydantic"),
    *("yaml", "rich", "typer", "sqlalchemy", "IPython"),
)


def names_for_checkers() -> set[str]:
    """Return what a checker of types sees the package import."""
    (block,) = [
        node
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for each in imports for alias in each.names}


def test_to_import_it_loads_nothing_heavy() -> None:
    program = (
        f"import mvkt_ray, sys; print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
        "dir(mvkt_ray), mvkt_ray.MvktError, mvkt_ray.LEADS\n"
        "print('torch' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\nFalse False\n", done.stderr


def test_a_checker_sees_the_names_that_there_are() -> None:
    assert (SOURCE.parent / "py.typed").exists()
    assert names_for_checkers() | {"__version__"} == set(mvkt.__all__) == set(dir(mvkt))


@pytest.mark.parametrize("name", [name for name in mvkt.__all__ if name != "__version__"])
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(mvkt, name)
    if inspect.isclass(value):
        assert value.__name__ == name
        members = [m for key, m in vars(value).items() if not key.startswith("_")]
        described = [m for m in members if inspect.isfunction(m) or isinstance(m, property)]
        assert all(inspect.getdoc(each) for each in [value, *described])
    elif callable(value):
        assert inspect.getdoc(value)
        for parameter in inspect.signature(value).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty


def test_a_name_that_is_not_public_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        _ = mvkt.serach  # pyright: ignore[reportAttributeAccessIssue]


def test_a_search_is_called_by_the_name_of_its_room_whatever_was_imported_before() -> None:
    from mvkt_ray.interface.calls import search

    assert inspect.signature(mvkt.search) == inspect.signature(search)
    with pytest.raises(mvkt.ConfigError, match=r"STUDY\.yaml is missing"):
        mvkt.search(out="nowhere")
