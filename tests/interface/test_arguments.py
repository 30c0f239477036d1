import pytest

from mvkt_ray.cli.options import parse_pairs
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import RunnerChoice, parse_time_budget


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
    with pytest.raises(ConfigError, match=r"--time-budget .* is no time.*30m"):
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
