from pathlib import Path
from typing import Any

import pytest

import mvkt_ray as mvkt


def test_a_study_that_is_built_here_is_read_back_equal(tmp_path: Path) -> None:
    study = mvkt.StudyConfig(
        name="built",
        data=mvkt.DataConfig(source="synthetic", task="synthetic"),
        space={"batch_size": mvkt.ParameterConfig(choices=(32, 64))},
        search=mvkt.SearchConfig(leads=("II",), n_trials=4),
        finals=mvkt.FinalsConfig(n_seeds=3),
    )
    path = tmp_path / "built.yaml"
    mvkt.write_study(study, path)
    assert mvkt.read_study(path) == study
    assert mvkt.read_study({"name": "built"}) == mvkt.StudyConfig(name="built")


def test_values_of_a_wrong_type_are_refused_at_once_or_when_they_are_written(
    tmp_path: Path,
) -> None:
    wrong: Any = "1.5"
    with pytest.raises(mvkt.ConfigError, match=r"seed must be a number, got '1\.5'"):
        mvkt.StudyConfig(name="built", seed=wrong)
    with pytest.raises(mvkt.ConfigError, match="name must be letters"):
        mvkt.StudyConfig(name="a study")
    study = mvkt.StudyConfig(name="built", data=mvkt.DataConfig(source_options=wrong))
    with pytest.raises(mvkt.ConfigError, match=r"the study 'built': data\.source_options: "):
        mvkt.write_study(study, tmp_path / "built.yaml")
    assert not (tmp_path / "built.yaml").exists()


def test_a_wrong_study_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(mvkt.ConfigError, match="n_trails: there is no such key"):
        mvkt.read_study({"name": "a", "search": {"n_trails": 3}})
    with pytest.raises(mvkt.ConfigError, match="cannot be read"):
        mvkt.read_study(tmp_path / "none.yaml")
    (tmp_path / "file").touch()
    with pytest.raises(mvkt.ArtifactError, match="cannot be written"):
        mvkt.write_study(mvkt.StudyConfig(name="a"), tmp_path / "file" / "study.yaml")
