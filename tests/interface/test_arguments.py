import inspect
from collections.abc import Callable
from typing import Any

import pytest

from mvkt_ray.cli.options import parse_pairs
from mvkt_ray.cli.verbs.cache import cache_verb
from mvkt_ray.cli.verbs.demo import demo_verb
from mvkt_ray.cli.verbs.finished.extend import extend_verb
from mvkt_ray.cli.verbs.finished.finalize import finalize_verb
from mvkt_ray.cli.verbs.ingest import ingest_verb
from mvkt_ray.cli.verbs.label_budget import label_budget_verb
from mvkt_ray.cli.verbs.search import search_verb
from mvkt_ray.cli.verbs.train_teacher import train_teacher_verb
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import RunnerChoice, parse_time_budget
from mvkt_ray.interface.budget_run import budget_call
from mvkt_ray.interface.calls import finalize, ingest, search
from mvkt_ray.interface.finals_run import finals_call
from mvkt_ray.interface.ingest_run import ingest_call
from mvkt_ray.interface.search_run import search_call
from mvkt_ray.interface.teaching_run import stage_call


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("45", 45),
        ("1.5h", 5400),
        ("1d", 86400),
        (None, None),
    ],
)
def test_time_budgets(text: str | None, seconds: float | None) -> None:
    assert parse_time_budget(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "0", "0m", "-5m", "3 weeks", "5mm", "1h bla"])
def test_a_time_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--time-budget .* is not a time.*30m"):
        parse_time_budget(text)


def test_pairs() -> None:
    pairs = parse_pairs("--option", ["n=5", "path=a=b", "empty="])
    assert pairs == {"n": "5", "path": "a=b", "empty": ""}


@pytest.mark.parametrize("text", ["n", "=5"])
def test_a_pair_without_a_key_or_an_equals_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be KEY=VALUE"):
        parse_pairs("--option", [text])


def test_in_process_and_a_cluster_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        RunnerChoice("auto", in_process=True)
    assert RunnerChoice("auto") != RunnerChoice(in_process=True)


PASSED_ON: list[tuple[Callable[..., Any], Callable[..., Any], set[str]]] = [
    (search, search_call, {"progress"}),
    (search_verb, search_call, {"output", "dry_run"}),
    (demo_verb, search_call, {"output"}),
    (extend_verb, search_call, {"output", "context", "folder", "trials", "dry_run"}),
    (ingest, ingest_call, {"progress"}),
    (ingest_verb, ingest_call, {"output", "option"}),
    (finalize, finals_call, {"study", "config", "progress"}),
    (finalize_verb, finals_call, {"output", "dry_run"}),
    (label_budget_verb, budget_call, {"output", "report", "dry_run"}),
    (train_teacher_verb, stage_call, {"output"}),
    (cache_verb, stage_call, {"output", "teacher"}),
]


@pytest.mark.parametrize(
    ("door", "call", "own"), PASSED_ON, ids=[door.__name__ for door, _, _ in PASSED_ON]
)
def test_what_is_passed_on_is_what_the_call_takes_with_the_same_defaults(
    door: Callable[..., Any], call: Callable[..., Any], own: set[str]
) -> None:
    asked, taken = (inspect.signature(each).parameters for each in (door, call))
    assert own <= set(asked)
    assert set(asked) - own <= set(taken)
    for name in set(asked) - own - {"out"}:
        if taken[name].default is not inspect.Parameter.empty:
            # An empty list of trackers is none.
            assert (asked[name].default or None) == (taken[name].default or None), name
