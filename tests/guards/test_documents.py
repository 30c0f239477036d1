"""Documents are true where a machine can tell: commands are described, links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mvkt_ray.cli import VERBS, app

ROOT = Path(__file__).parents[2]
HIDDEN = {"build", "dist", "node_modules"}
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in HIDDEN for part in path.relative_to(ROOT).parts[:-1])
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def help_of(*verb: str) -> str:
    done = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_in_the_readme(verb: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\bmvkt {re.escape(verb)}\b", readme), f"README.md lacks `mvkt {verb}`"


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_and_every_option_has_help(verb: str) -> None:
    assert VERBS[verb].__doc__
    lines = help_of(verb).splitlines()
    rows = [line.strip("│ ") for line in lines if line.startswith("│")]
    options = [row for row in rows if re.match(r"(\*\s+)?(--?[a-z]|[a-zA-Z_.]+\s+<)", row)]
    assert any(row.startswith("--help") for row in options)
    for row in options:
        # A name, a type, and then at least two words that say what it is for.
        words = re.sub(r"^(\*\s+)?(--?[\w-]+[,\s]*)+", "", row).split()
        assert len(words) >= 3, f"mvkt {verb}: no help in {row!r}"


WITHOUT_JSON = {
    ("cluster", "logs"): "what it answers with is a log",
    ("schema",): "what it answers with is JSON",
    ("cluster", "submit"): "its --json is that of the search, which it is passed on to",
}


def test_every_command_answers_in_json() -> None:
    group: Any = get_command(app)
    verbs = {(name,): command for name, command in group.commands.items() if name != "cluster"}
    cluster = group.commands["cluster"].commands
    verbs |= {("cluster", name): command for name, command in cluster.items()}
    without = {
        verb
        for verb, command in verbs.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == set(WITHOUT_JSON)


def test_the_help_lists_every_command() -> None:
    text = help_of()
    for verb in VERBS:
        assert re.search(rf"│ {re.escape(verb)}\s+\w+", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in LINK.findall(text)]
    relative = [target for target in targets if target and "://" not in target]
    missing = [
        target
        for target in relative
        if not target.startswith("mailto:") and not (document.parent / target).exists()
    ]
    assert missing == []
