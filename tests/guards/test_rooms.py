"""Rooms are small and say what they are for, modules have one name, documents name what exists."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mvkt_ray"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(file.parent for file in MODULES if file.name == "__init__.py")
MOST_MODULES = 17

NO_MIRROR = {"cluster", "contracts", "guards", "whole"}
"""Folders of tests/ that are about more than one room."""

DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "tests/README.md", "mvkt_ray/README.md"),
    *("mvkt_ray/DEBUGGING.md", "mvkt_ray/DECISIONS.md", "mvkt_ray/UPGRADING.md"),
]
NAME = re.compile(r"`([a-z_]+|mvkt_ray\.[a-z_.]+)`")
"""A room or a module in a docstring."""

PATH = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|toml|txt|j2|ya?ml|json|csv|sbatch))")
CODE = (".py", ".md", ".toml")
"""Kinds of files that are the project's own wherever they are."""

ARTIFACTS = {
    "shards",
    "teacher",
    "knowledge",
    "ledger",
    "trials",
    "logs",
    "finals",
    "report",
    "model",
    "assistants",
}
"""Folders that documents name and that users make."""


def name_of(room: Path) -> str:
    return room.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_holds_no_more_modules_than_one_looks_through(room: Path) -> None:
    modules = [file.name for file in room.glob("*.py")]
    assert len(modules) <= MOST_MODULES, f"make a room of some of them: {sorted(modules)}"


MAKES_TEMPORARY_FOLDERS = {
    "mvkt_ray/storage/scratch_folder.py",
    "mvkt_ray/on_ray/own_nodes/local_nodes.py",
}
"""The second one's belong to nodes that outlast the process, and go when they are stopped."""


def test_temporary_folders_are_made_where_those_of_killed_processes_are_removed() -> None:
    by = {name_of(file) for file in MODULES if re.search(r"mkdtemp|TemporaryDi", file.read_text())}
    assert by == MAKES_TEMPORARY_FOLDERS


def test_no_two_modules_share_a_name() -> None:
    counted = Counter(file.name for file in MODULES if file.name != "__init__.py")
    assert [name for name, count in counted.items() if count > 1] == []


def test_a_module_is_in_a_room_and_is_not_taken_for_a_test() -> None:
    assert {file.parent for file in MODULES} == set(ROOMS)
    assert [name_of(file) for file in MODULES if file.name.startswith("test_")] == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != PACKAGE], ids=name_of)
def test_a_room_says_what_belongs_there_and_what_does_not(room: Path) -> None:
    first, *others = sentences(docstring(room))
    own = {file.stem for file in room.iterdir()} | {room.name}
    elsewhere = ({file.stem for file in MODULES} | {each.name for each in ROOMS}) - own
    named = {
        sentence: {name.rpartition(".")[2] for name in NAME.findall(sentence)}
        for sentence in [first, *others]
    }
    missing = set().union(*named.values()) - elsewhere - own
    assert missing == set(), "it names rooms or modules that there are not"
    assert any(
        named[sentence] & elsewhere or re.search(r"\b(not|nothing|below|up)\b", sentence)
        for sentence in others
    ), "say in a second sentence what does not belong there, and where it is"


def docstring(room: Path) -> str:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert text, "a room begins with a docstring"
    return text


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.)\s+", " ".join(text.split()))


def test_tests_mirror_the_rooms() -> None:
    folders = {file.parent.relative_to(ROOT / "tests") for file in ROOT.glob("tests/**/*.py")}
    mirrors = {each.as_posix() for each in folders if each.parts and each.parts[0] not in NO_MIRROR}
    rooms = {room.relative_to(PACKAGE).as_posix() for room in ROOMS}
    assert mirrors - rooms == set()
    untested = {room for room in rooms if "/" not in room and room != "."} - mirrors
    assert untested == {"cluster_files"}, "tests/cluster/ has those of cluster_files"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    missing = list(missing_paths((ROOT / document).read_text(encoding="utf-8"), document))
    assert not missing, "\n".join(missing)


def missing_paths(text: str, document: str) -> Iterator[str]:
    """Yield the paths in backticks that lead nowhere, each with its line.

    A path counts from the project's root, from the package, or from the document's folder; in a
    table also from the folder that its row is about, or from that of the path before it in a cell.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        row = re.match(r"\| `([\w/]+/)` \|", line)
        about = [PACKAGE / row[1]] if row else []
        bases = [*about, ROOT, PACKAGE, (ROOT / document).parent]
        for cell in line.split("|"):
            beside: list[Path] = []
            for path in paths(cell):
                found = [base / path for base in [*beside, *bases] if (base / path).exists()]
                if not found:
                    yield f"{document}:{number}: {path}"
                elif "/" in path:
                    beside = [found[0] if found[0].is_dir() else found[0].parent]


def paths(text: str) -> Iterator[str]:
    """Yield what is in backticks and stands for a file or folder of the project."""
    # Several may stand in one pair: `data/ models/`. Patterns such as `config*.py` are left out.
    for word in " ".join(re.findall(r"`([^`]+)`", text)).split():
        if PATH.fullmatch(word) is None or word.startswith("."):
            continue
        first = word.partition("/")[0]
        if word.endswith("/"):
            if first not in ARTIFACTS:
                yield word
        elif word.endswith(CODE) or (ROOT / first).is_dir() or (PACKAGE / first).is_dir():
            yield word


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("| `search/study.py` | `tests/search/test_study.py`, `test_kills.py` |", []),
        ("| `data/sources/`, `wfdb_folder.py` | `tests/guards/` |", []),
        ("`training/*.py`, `trials/00012/`, `--out`, `study.yaml`, `python -m mvkt_ray`", []),
        ("| `models/network.py`, `student.py` |", ["student.py"]),
        ("| `models/network.py` | `student.py` |", ["student.py"]),
        ("| `data/` | shards; `sources/`, `ingest/` and `splits.py` |", []),
        ("| `data/` | shards; `figures/` |", ["figures/"]),
        ("`search/no_such.py` and `no_such_room/`", ["search/no_such.py", "no_such_room/"]),
    ],
)
def test_the_guard_reads_paths_as_people_do(text: str, missing: list[str]) -> None:
    found = list(missing_paths(text, "mvkt_ray/README.md"))
    assert [each.rpartition(" ")[2] for each in found] == missing
