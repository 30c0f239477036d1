"""Numbers that documents, help and comments state are those that the code holds."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import VERBS, app
from mvkt_ray.cli.failures import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_WRONG_INPUT
from mvkt_ray.config.ports import CLIENT_PORT, DASHBOARD_PORT, HEAD_PORT
from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.drawing.ecg_paper import MM_PER_MV, MM_PER_S, SCALE, SMALL_SQUARE_MM
from mvkt_ray.data.recording import LEADS
from mvkt_ray.delivery.facts.evidence import LEVEL
from mvkt_ray.on_ray.connecting.cluster import CLIENT_ATTEMPTS
from mvkt_ray.phrasing import percent

ROOT = Path(__file__).parents[2]
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that states numbers; every place where the pattern matches must agree."""

    file: str
    pattern: str
    """Its groups are the numbers."""
    values: tuple[object, ...]


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXIT_CODES = (EXIT_FAILED, EXIT_WRONG_INPUT, EXIT_INTERRUPTED)
CODES = r"\b(\d+)\s+failed,\s+(\d+)\s+wrong\s+input,\s+(\d+)\s+interrupted"
CLAIMS = [
    Claim(file="README.md", pattern=CODES, values=EXIT_CODES),
    Claim(file="mvkt_ray/cli/__init__.py", pattern=CODES, values=EXIT_CODES),
    Claim(file="mvkt_ray/cli/failures.py", pattern=CODES, values=EXIT_CODES),
    Claim(
        file="README.md",
        pattern=r"Python (\d\.\d+) or later",
        values=(PROJECT["requires-python"].removeprefix(">="),),
    ),
    Claim(
        file="mvkt_ray/README.md",
        pattern=r"(\d+ %)(?:, all statements| together)",
        values=(percent(LEVEL),),
    ),
    Claim(
        file="cluster/README.md",
        pattern=r"mvkt tries (\w+) times",
        values=(WORDS[CLIENT_ATTEMPTS],),
    ),
    Claim(
        file="cluster/README.md",
        pattern=r"KubeRay (\d\.\d\.\d) or later",
        values=tuple(
            re.findall(
                r"KubeRay \((\S+) or later\)",
                (ROOT / "cluster/kubernetes/_cluster_spec.j2").read_text(),
            )
        ),
    ),
]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "mvkt_ray").glob("*.md"), *(ROOT / "cluster").glob("*.md")]
)
ADDRESSES = (
    (r"http://(?:HOST|HEAD|localhost):(\d+)", DASHBOARD_PORT),
    (r"(?<![/\w])(?:HOST|HEAD):(\d+)", HEAD_PORT),
    (r"ray://(?:HOST|HEAD):(\d+)", CLIENT_PORT),
)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim.file}: {claim.pattern}")
def test_a_document_states_the_numbers_of_the_code(claim: Claim) -> None:
    text = (ROOT / claim.file).read_text(encoding="utf-8")
    stated = [match.groups() for match in re.finditer(claim.pattern, text)]
    assert stated, "the sentence is gone: correct the pattern, or remove the claim"
    assert set(stated) == {tuple(map(str, claim.values))}


def test_no_sentence_of_the_package_writes_the_level_of_its_intervals_itself() -> None:
    level = re.compile(rf"\b{100 * LEVEL:g}\s?%")
    sources = [*(ROOT / "mvkt_ray").rglob("*.py"), *(ROOT / "mvkt_ray").rglob("*.html")]
    assert [str(path) for path in sources if level.search(path.read_text(encoding="utf-8"))] == []


def texts_with_addresses() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        yield document.name, document.read_text(encoding="utf-8")
    for verb in (*(name.split() for name in VERBS), *(["cluster", v] for v in CLUSTER_VERBS)):
        yield " ".join(verb), help_of(*verb)


CLUSTER_VERBS = ("start", "submit", "status", "logs", "stop")


def help_of(*verb: str) -> str:
    done = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return " ".join(done.stdout.split())


def test_addresses_in_documents_and_help_have_the_ports_of_the_code() -> None:
    found = 0
    for name, text in texts_with_addresses():
        for pattern, port in ADDRESSES:
            for stated in re.findall(pattern, text):
                found += 1
                assert int(stated) == port, f"{name} has port {stated} for {port}"
    assert found >= 8


def test_help_states_the_scale_of_the_sheet_that_is_drawn() -> None:
    text = help_of("inspect")
    assert SCALE.replace(" and", ",") in text
    assert (
        f"{1000 * SMALL_SQUARE_MM / MM_PER_S:g} ms and {SMALL_SQUARE_MM / MM_PER_MV:g} mV" in text
    )


@pytest.mark.parametrize("name", ["best_single_lead", "quickstart"])
def test_a_comment_says_how_the_trials_of_a_study_are_spent(name: str) -> None:
    path = ROOT / "search_spaces" / f"{name}.yaml"
    study = read_study(path)
    n_leads, n_baselines = len(study.search.leads or LEADS), len(study.search.baselines)
    tries, rest = divmod(study.search.n_trials - n_leads * n_baselines, n_leads)
    assert rest == 0
    comment = next(
        line.partition("#")[2] for line in path.read_text().splitlines() if "n_trials:" in line
    )
    assert f"{WORDS[tries]} tries for each lead" in comment
    baselines = (f"{n_leads * n_baselines} of them baselines", f"{WORDS[n_baselines]} baselines")
    assert any(words in comment for words in baselines)
