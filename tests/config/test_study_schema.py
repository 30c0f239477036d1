"""The schema of study files: what can be read is valid, what is misspelled is not."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study, study_from_mapping, write_study
from mvkt_ray.config.study_schema import study_schema
from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.choosing.space import SearchSpace

SPACES = Path(__file__).parents[2] / "search_spaces"
FILES = sorted(SPACES.glob("*.yaml"))
FIRST_LINE = "# yaml-language-server: $schema=study_schema.json"


@pytest.fixture(scope="module")
def checker() -> jsonschema.Draft202012Validator:
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_beside_the_studies_is_what_the_command_prints() -> None:
    written = json.loads((SPACES / "study_schema.json").read_text())
    assert written == study_schema(), (
        "write it again: mvkt schema > search_spaces/study_schema.json"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_study_names_the_schema_and_is_valid(path: Path, checker: Any) -> None:
    text = path.read_text()
    assert text.splitlines()[0] == FIRST_LINE
    checker.validate(yaml.safe_load(text))
    # A resolved study has every key there is.
    checker.validate(yaml.safe_load(write_study(read_study(path))))


@pytest.mark.parametrize(
    "study",
    [
        {"base": "other.yaml"},
        {"name": "a", "teacher": {"assistant": True}},
        {"name": "a", "teacher": {"assistant": {"epochs": 3}}},
        {"name": "a", "space": {"kd_weight": 2, "student": ["a", "b"]}},
        {"name": "a", "space": {"clt_temperature": {"value": 1, "when": {"clt_loss": "infonce"}}}},
    ],
)
def test_shorthands_are_valid(study: Mapping[str, Any], checker: Any) -> None:
    checker.validate(study)
    if "base" not in study and "kd_weight" not in study.get("space", {}):
        assert study_from_mapping(study, "it").name == "a"


@pytest.mark.parametrize(
    "study",
    [
        {"n_trails": 4},
        {"name": "a", "n_trails": 4},
        {"name": "a", "search": {"n_trails": 4}},
        {"name": "a", "search": {"n_trials": "many"}},
        {"name": "a", "space": {"kd_wieght": 1.0}},
        {"name": "a", "space": {"kd_loss": "multi"}},
        {"name": "a", "space": {"kd_weight": {"hihg": 1.0}}},
        {"name": "a", "data": {"unlabelled": "forget"}},
        {"name": "a", "teacher": {"assistant": "yes"}},
    ],
)
def test_what_is_refused_when_it_is_read_is_marked_before(
    study: Mapping[str, Any], checker: Any
) -> None:
    assert not checker.is_valid(study)
    with pytest.raises(ConfigError):
        SearchSpace.from_config(study_from_mapping(study, "it"), LEADS)


def test_keys_are_described_by_what_stands_below_their_fields() -> None:
    schema = study_schema()
    labelled = schema["$defs"]["DataConfig"]["properties"]["labelled"]
    assert labelled["description"].startswith("The training recordings")
    space = schema["properties"]["space"]
    assert list(space["properties"]) == [item.name for item in fields(Hyperparameters)]
    assert space["properties"]["mixup"]["description"].startswith("Above 0: mixes pairs")
    assert set(schema["properties"]) == {item.name for item in fields(StudyConfig)} | {"base"}
