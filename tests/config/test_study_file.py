"""Study files: what is right is read exactly, what is wrong is named."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.config.objectives import SizeLimitsConfig
from mvkt_ray.config.recipes import TeacherConfig
from mvkt_ray.config.resources import CostConfig, NodeTypeConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import (
    parse_folds,
    read_prices,
    read_study,
    study_from_mapping,
    study_from_yaml,
    write_prices,
    write_study,
)
from mvkt_ray.errors import ConfigError


def write(tmp_path: Path, text: str, name: str = "study.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def complaint(tmp_path: Path, text: str) -> str:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_study(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_numbers_that_yaml_reads_as_text_arrive_as_numbers(tmp_path: Path) -> None:
    # PyYAML reads 1e-4 as a string; an optimiser must never see that.
    text = "{name: a, space: {learning_rate: {low: 1e-4, high: 1e-2, log: true}}}"
    row = read_study(write(tmp_path, text)).space["learning_rate"]
    assert (row.low, row.high) == (1e-4, 1e-2)


def test_short_forms_of_a_parameter_mean_fixed_and_choices(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, "{name: a, space: {kd_weight: 2.0, batch_size: [64, 128]}}"))
    assert study.space["kd_weight"].value == 2.0
    assert study.space["batch_size"].choices == (64, 128)


def test_an_assistant_is_the_teachers_network_unless_another_is_named(tmp_path: Path) -> None:
    def made(assistant: str) -> TeacherConfig | None:
        text = f"{{name: a, teacher: {{epochs: 7, members: 3, seed: 4, assistant: {assistant}}}}}"
        study = read_study(write(tmp_path, text))
        assert study_from_yaml(write_study(study), "again") == study
        return study.teacher.of_assistant()

    assert made("false") is None
    assert made("null") is None
    assert made("true") == made("{}") == TeacherConfig(epochs=7, seed=4)
    expected = TeacherConfig(network="sepconv1d_tiny", epochs=9, seed=4)
    assert made("{network: sepconv1d_tiny, epochs: 9}") == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{name: a, n_trails: 3}", ["n_trails", "search.n_trials"]),
        ("{name: a, search: {n_trails: 3}}", ["search.n_trails", "'n_trials'"]),
        (
            "{name: a, data: {labelled: {folds: [1, 9]}}}",
            ["data: labelled.folds must be training folds", "[9]"],
        ),
        (
            "{name: a, data: {labelled: {folds: [1], fraction: 0.5}}}",
            ["either folds"],
        ),
        ("{name: a, data: {labelled: {fraction: 1.5}}}", ["data.labelled", "at most 1", "1.5"]),
        ("{name: a, data: {unlabelled: use}}", ["data.unlabelled", "'distil'", "'use'"]),
        ("{name: a, space: {epochs: [5, 30]}}", ["student.epochs, which is 15", "got 30"]),
        ("{name: a, space: {epochs: {low: 5, high: 16}}}", ["student.epochs", "got 16"]),
        (
            "{name: a, finals: {contenders: {b: {base: defaults, where: {kd_weight: 0}}}}}",
            ["finals.contenders.b", "where", "base: defaults"],
        ),
        ("{name: a, data: {taks: form}}", ["data.taks", "'task'"]),
        ("{name: a, space: {kd_weight: {low: 5, high: 1}}}", ["space.kd_weight", "5", "swap"]),
        ("{name: a, space: {kd_weight: {low: 0, high: 1, log: true}}}", ["low must be > 0", "0"]),
        ("{name: a, space: {kd_weight: {low: 1}}}", ["both low and high"]),
        ("{name: a, teacher: {epochs: many}}", ["teacher.epochs", "'many'"]),
        ("{name: a, teacher: {epochs: 0}}", ["epochs must be > 0", "0"]),
        ("{name: a, teacher: {members: 0}}", ["members must be > 0", "0"]),
        ("{name: a, teacher: {assistant: {epochs: 0}}}", ["epochs must be > 0", "0"]),
        ("{name: a, teacher: {assistant: {netwerk: b}}}", ["assistant.netwerk", "'network'"]),
        ("{name: a, teacher: {cross_fitting: 1}}", ["cross_fitting must be 0", "got 1"]),
        (
            "{name: a, teacher: {cross_fitting: 4}, student: {knowledge: online}}",
            ["teacher.cross_fitting 4", "online", "cached or record"],
        ),
        (
            "{name: a, space: {finer_weight: [0, 0.5]}}",
            ["finer_weight", "0.5", "data.finer_task"],
        ),
        (
            "{name: a, space: {kd_class_weights: [even, auto]}, search: {baselines: []}}",
            ["kd_class_weights: auto", "search.baselines", "student_alone"],
        ),
        ("{name: a, teacher: {assistant: big}}", ["teacher.assistant", "'big'"]),
        (
            "{name: a, teacher: {assistant: true}, student: {knowledge: online}}",
            ["teacher.assistant", "online", "cached or record"],
        ),
        ("{name: a, search: {objectives: []}}", ["begin with macro_auroc", "[]"]),
        ("{name: a, search: {objectives: [macs]}}", ["begin with macro_auroc", "['macs']"]),
        ("{name: a, search: {objectives: [macro_auroc, macs, macs]}}", ["repeat", "['macs']"]),
        ("{name: a, search: {objectives: [macro_auroc, size]}}", ["objectives.1", "'size'"]),
        ("{name: a, search: {limits: {params: 9}}}", ["search.limits.params", "'parameters'"]),
        ("{name: a, search: {limits: {parameters: 0}}}", ["parameters must be > 0", "0"]),
        ("{name: a, search: {limits: {macs: -1e6}}}", ["macs must be > 0", "-1000000"]),
        ("{name: a, search: {sampler: nsga2}}", ["nsga2 sorts", "['macro_auroc']", "set sampler"]),
        (
            "{name: a, search: {sampler: gp, objectives: [macro_auroc, macs]}}",
            ["sampler gp", "['macro_auroc', 'macs']", "Set sampler to tpe or nsga2"],
        ),
        (
            "{name: a, search: {sampler: nsga2, objectives: [macro_auroc, macs], "
            "n_startup_trials: 1}}",
            ["population", "2 or more", "got 1"],
        ),
        (
            "{name: a, search: {conditions: race, objectives: [macro_auroc, parameters]}}",
            ["race and objectives ['macro_auroc', 'parameters'] exclude", "Set conditions"],
        ),
        ("{name: a, search: {conditions: race, sampler: grid}}", ["race and sampler: grid"]),
        ("{name: a b}", ["name", "'a b'"]),
        ("{seed: 1}", ["name"]),
        ("{name: a, seed: 1, seed: 2}", ["'seed' is given twice"]),
        ("{name: a, data: {folds: {train: [1], val: [1], test: [2]}}}", ["must not share", "[1]"]),
        ("name: [", ["not YAML"]),
        ("just words", ["keys to values"]),
        ("{name: !!python/object/apply:os.getcwd []}", ["not YAML"]),
    ],
)
def test_what_is_wrong_is_named_with_its_value(tmp_path: Path, text: str, parts: list[str]) -> None:
    message = complaint(tmp_path, text)
    for part in parts:
        assert part in message


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml cannot be read"):
        read_study(tmp_path / "nothing.yaml")


def test_a_base_is_overridden_key_by_key_and_has_none_itself(tmp_path: Path) -> None:
    write(tmp_path, "{name: base, seed: 4, teacher: {epochs: 3, batch_size: 8}}", "base.yaml")
    study = read_study(write(tmp_path, "{base: base.yaml, name: top, teacher: {epochs: 9}}"))
    assert (study.name, study.seed) == ("top", 4)
    assert (study.teacher.epochs, study.teacher.batch_size) == (9, 8)
    write(tmp_path, "{base: base.yaml, name: middle}", "middle.yaml")
    assert "base itself" in complaint(tmp_path, "{base: middle.yaml}")


def test_what_stands_below_a_section_of_a_base_is_replaced_as_a_whole(tmp_path: Path) -> None:
    base = {
        "name": "base",
        "data": {"folds": {"train": [1, 2], "val": [3], "test": [4]}, "task": "rhythm"},
        "search": {"leads": ["I", "II"], "pruner": {"kind": "none", "min_epochs": 7}},
        "finals": {"n_seeds": 3, "contenders": {"old": {"set": {"kd_weight": 0.5}}}},
        "space": {"kd_weight": 1.0, "clt_weight": 0.0},
    }
    write(tmp_path, yaml.safe_dump(base), "base.yaml")
    over = {
        "base": "base.yaml",
        "data": {"folds": {"val": [9], "train": [1], "test": [5]}},
        "search": {"leads": ["V1"], "pruner": {"kind": "hyperband"}},
        "finals": {"contenders": {"new": {"set": {"kd_weight": 2.0}}}},
        "space": {"dropout": 0.1},
    }
    study = read_study(write(tmp_path, yaml.safe_dump(over)))
    assert list(study.finals.contenders) == ["new"]
    assert study.finals.n_seeds == 3
    assert study.search.leads == ("V1",)
    assert (study.search.pruner.kind, study.search.pruner.min_epochs) == ("hyperband", 3)
    assert (study.data.task, study.data.folds.train) == ("rhythm", (1,))
    assert list(study.space) == ["dropout"]


def test_a_written_study_is_read_back_equal(tmp_path: Path) -> None:
    study = study_from_mapping(
        {
            "name": "whole",
            "data": {"source": "synthetic", "source_options": {"n_recordings": 10}},
            "space": {
                "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "student": ["xresnet1d18", "sepconv1d_small"],
                "clt_temperature": {"low": 0.1, "high": 0.5, "when": {"clt_loss": "infonce"}},
                "clt_loss": ["crd", "infonce"],
                "dropout": 0.25,
            },
            "search": {
                "leads": ["I", "I+II"],
                "objectives": ["macro_auroc", "macs"],
                "limits": {"parameters": 1e5, "macs": "2e6"},
            },
        },
        "test",
    )
    assert read_study(write(tmp_path, write_study(study))) == study
    assert study.search.limits == SizeLimitsConfig(parameters=100_000, macs=2e6)


AMOUNTS = st.floats(0, 1e6, allow_subnormal=False)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
NODE_TYPES = st.builds(
    NodeTypeConfig,
    price_per_hour=AMOUNTS,
    cpus=AMOUNTS.filter(bool),
    gpus=AMOUNTS,
    accelerator_type=st.none() | TEXTS,
)


@given(
    prices=st.builds(
        CostConfig, currency=TEXTS, node_types=st.dictionaries(TEXTS, NODE_TYPES, min_size=1)
    )
)
def test_written_prices_are_read_back_equal(
    prices: CostConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text(write_prices(prices), encoding="utf-8")
    assert read_prices(file) == prices


def test_folds_are_written_as_ranges_and_lists() -> None:
    assert parse_folds("1-7/8/9") == FoldsConfig(train=tuple(range(1, 8)), val=(8,), test=(9,))
    assert parse_folds("1-2,5/3,4/6") == FoldsConfig(train=(1, 2, 5), val=(3, 4), test=(6,))


@pytest.mark.parametrize("text", ["1-7/8", "a/b/c", "1-3/3/4", "3-1/4/5", ""])
def test_folds_that_make_no_splits_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="for example 1-7/8/9"):
        parse_folds(text)


def test_a_minimal_study_has_the_benchmarks_folds() -> None:
    study = StudyConfig(name="minimal")
    assert study.data.folds == FoldsConfig(train=tuple(range(1, 9)), val=(9,), test=(10,))
