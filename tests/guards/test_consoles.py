"""Text from data is never markup: one module makes consoles, and nobody asks rich to read tags."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mvkt_ray"
OWNER = PACKAGE / "display" / "console.py"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != OWNER]


def findings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich"):
            for name in node.names:
                if name.name in ("Console", "print", "print_json", "inspect"):
                    yield f"line {node.lineno}: imports {name.name} of {node.module}"
            if node.module in ("rich.markup", "rich.prompt", "rich.logging", "rich.traceback"):
                yield f"line {node.lineno}: imports {node.module}, which reads markup"
        if isinstance(node, ast.Attribute) and node.attr in ("from_markup", "render_markup"):
            yield f"line {node.lineno}: reads markup by {node.attr}"
        if isinstance(node, ast.Call):
            named = {word.arg: word.value for word in node.keywords}
            function = node.func
            name = function.id if isinstance(function, ast.Name) else ""
            plain = named.get("markup")
            is_off = isinstance(plain, ast.Constant) and plain.value is False
            if name == "TextColumn" and not is_off:
                yield f"line {node.lineno}: a TextColumn without markup=False"
            if "markup" in named and not is_off:
                yield f"line {node.lineno}: asks for markup"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_else_makes_a_console_or_reads_markup(module: Path) -> None:
    assert list(findings(module.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from rich.console import Console",
        "from rich import print",
        "from rich.markup import escape",
        "Text.from_markup(name)",
        "TextColumn('{task.description}')",
        "console.print(name, markup=True)",
    ],
)
def test_the_guard_sees_what_it_forbids(source: str) -> None:
    assert list(findings(source)) != []
