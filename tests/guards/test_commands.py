"""What documents tell a reader to type is what the programs take, and what they say of study files.

Commands of ours are parsed as a shell and `mvkt` would parse them; those of others by the program's
own parser, where it comes with what we install.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.config.study_file import read_mapping, study_from_mapping
from mvkt_ray.errors import ConfigError

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / name
    for name in (
        *("README.md", "CONTRIBUTING.md", "cluster/README.md", "search_spaces/README.md"),
        "mvkt_ray/DEBUGGING.md",
    )
]
PROSE = [*DOCUMENTS, ROOT / "mvkt_ray" / "README.md", *sorted((ROOT / "benchmarks").glob("*.md"))]
NOT_OURS = {"kubectl", "sbatch"}
"""Programs that no package brings; what is typed for them is nobody's to check here."""

GROUP = typer.main.get_command(app)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SECTIONS = (None, "data", "view", "teacher", "student", "space", "search", "finals", "resources")


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line of a document."""

    document: str
    text: str
    comment: str = ""

    @property
    def words(self) -> list[str]:
        """What a shell makes of it; dots that stand for further options are left out."""
        words = shlex.split(self.text)
        before = ["", *words]
        return [w for w, last in zip(words, before, strict=False) if w != "..." or last[:2] == "--"]

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"


def blocks(document: Path) -> Iterator[list[str]]:
    """The indented blocks of a document, without their indentation."""
    block: list[str] = []
    for line in [*document.read_text(encoding="utf-8").splitlines(), "end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield block
            block = []


def typed_in_blocks() -> list[Typed]:
    found: list[Typed] = []
    for document in DOCUMENTS:
        for block in blocks(document):
            lines = re.sub(r"\s*\\\n\s*", " ", "\n".join(block)).splitlines()
            for line in lines:
                code, _, comment = line.partition("  #")
                if re.match(r"(mvkt|make|pip|ray|docker|optuna-dashboard|kubectl|sbatch)\s", line):
                    found += [
                        Typed(str(document.relative_to(ROOT)), part.strip(), comment)
                        for part in code.split("&&")
                    ]
    return found


def typed_in_prose(program: str) -> list[Typed]:
    found = [
        Typed(str(document.relative_to(ROOT)), " ".join(text.split()))
        for document in PROSE
        for text in re.findall(rf"`({program} [^`]+)`", document.read_text(encoding="utf-8"))
    ]
    return list(dict.fromkeys(found))


IN_BLOCKS = typed_in_blocks()


def test_there_are_commands_and_no_program_is_unknown() -> None:
    programs = {line.words[0] for line in IN_BLOCKS}
    assert {"mvkt", "make", "ray", "docker", "pip"} <= programs
    assert programs - {"mvkt", "make", "ray", "docker", "pip"} <= NOT_OURS


def verb_of(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command of a verb, of a group of verbs, too, and the words behind it."""
    command, rest = GROUP, words
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"there is no `mvkt {' '.join(words)}`"  # pyright: ignore[reportAttributeAccessIssue]
        command, rest = command.commands[rest[0]], rest[1:]  # pyright: ignore[reportAttributeAccessIssue]
    return command, rest


def options_of(command: Any) -> set[str]:
    own = {name for parameter in command.params for name in parameter.opts}
    # What a job is told is what a search on this machine is told.
    passes_on = command.context_settings.get("allow_extra_args")
    others = options_of(verb_of(["search"])[0]) if passes_on else set[str]()
    return own | others | {"--help"}


@pytest.mark.parametrize("line", [e for e in IN_BLOCKS if e.words[0] == "mvkt"], ids=str)
def test_a_command_in_a_block_is_one_that_mvkt_takes(line: Typed) -> None:
    command, rest = verb_of(line.words[1:])
    with command.make_context(line.words[1], rest) as context:
        if context.args:
            search, _ = verb_of(["search"])
            search.make_context("search", [*context.args]).close()
    # Options that a comment names, as alternatives.
    assert set(re.findall(r"--[a-z-]+", line.comment)) <= options_of(command)


@pytest.mark.parametrize("line", typed_in_prose("mvkt"), ids=str)
def test_a_command_in_a_sentence_names_a_verb_and_its_options(line: Typed) -> None:
    command, rest = verb_of(line.words[1:])
    assert {word for word in rest if word.startswith("--")} <= options_of(command)


RENDERING = [e for e in IN_BLOCKS if e.text.startswith("mvkt cluster render")]


@pytest.mark.parametrize("line", [e for e in RENDERING if "PLATFORM" not in e.text], ids=str)
def test_a_line_that_renders_does_render(line: Typed, tmp_path: Path) -> None:
    if "..." in line.text:
        # It says that there is more to give: the keys of the platform are not all there.
        words = [*line.words[1:4], "--keys"]
    else:
        named = {"STUDY.yaml": str(ROOT / "search_spaces" / "best_single_lead.yaml")}
        words = [named.get(word, word) for word in line.words[1:]]
        words[words.index("--out") + 1] = str(tmp_path / "made")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "line", [*(e for e in IN_BLOCKS if e.words[0] == "make"), *typed_in_prose("make")], ids=str
)
def test_make_has_the_word(line: Typed) -> None:
    words = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(line.words[1:]) <= set(words)


@pytest.mark.parametrize(
    "line",
    [*(e for e in IN_BLOCKS if e.words[0] == "pip"), *typed_in_prose("pip install")],
    ids=str,
)
def test_pip_installs_extras_that_there_are(line: Typed) -> None:
    assert line.words[1] == "install"
    for package in line.words[2:]:
        name, _, extras = package.rstrip("]").partition("[")
        if name == "mvkt-ray":
            assert set(extras.split(",")) <= set(EXTRAS)


@pytest.mark.parametrize("line", [e for e in IN_BLOCKS if e.words[0] == "docker"], ids=str)
def test_docker_builds_a_target_that_there_is(line: Typed) -> None:
    if "--target" in line.words:
        stages = re.findall(r"^FROM .* AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert line.words[line.words.index("--target") + 1] in stages


@pytest.mark.parametrize("line", [e for e in IN_BLOCKS if e.words[0] == "ray"], ids=str)
def test_ray_takes_its_commands(line: Typed, tmp_path: Path, monkeypatch: Any) -> None:
    from ray.scripts.scripts import cli

    # `ray up` wants its file to be there.
    monkeypatch.chdir(tmp_path)
    for word in line.words:
        if word.endswith(".yaml"):
            (tmp_path / word).write_text("cluster_name: one\n")
    verb, rest = line.words[1], line.words[2:]
    with cli.commands[verb].make_context(verb, rest):
        pass


def fragments() -> Iterator[tuple[str, str]]:
    """Parts of study files: blocks that begin with a key, and keys with values in sentences."""
    for document in (*DOCUMENTS, ROOT / "mvkt_ray" / "README.md"):
        name = str(document.relative_to(ROOT))
        yield from ((name, "\n".join(b)) for b in blocks(document) if re.match(r"[a-z_]+:$", b[0]))
        text = document.read_text(encoding="utf-8")
        yield from ((name, found) for found in re.findall(r"`([a-z_.]+: [^`]+)`", text))


def nested(value: Any) -> Any:
    """Read `a.b: c` as `a: {b: c}`."""
    made: dict[str, Any] = {}
    for key, below in value.items():
        first, _, rest = key.partition(".")
        made[first] = nested({rest: below}) if rest else below
    return made


@pytest.mark.parametrize(("document", "text"), list(fragments()))
def test_what_is_said_of_study_files_is_what_they_may_hold(
    document: str, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "part.yaml"
    file.write_text(text)
    value = nested(read_mapping(file))
    if "base" in value:
        assert isinstance(value["base"], str)
        return
    problems: list[str] = []
    for section in SECTIONS:
        part = value if section is None else {section: value}
        if section is None and not set(value) <= set(SECTIONS):
            continue
        try:
            study_from_mapping({"name": "part", **part}, origin=document)
        except ConfigError as error:
            problems.append(str(error))
        else:
            return
    if "where" in value:
        contender = {"contenders": {"other": value}}
        study_from_mapping({"name": "part", "finals": contender}, origin=document)
        return
    pytest.fail(f"{text!r} is nothing that a study file may hold: {problems}")


def test_the_parts_of_study_files_are_found() -> None:
    found = [text for _, text in fragments()]
    assert len(found) >= 15
    assert any(isinstance(yaml.safe_load(text).get("space"), dict) for text in found)
