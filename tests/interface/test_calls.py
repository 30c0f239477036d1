"""What verbs do, called from Python: the same work, objects, and errors without flags."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import mvkt_ray as mvkt

pytestmark = pytest.mark.usefixtures("without_images")


def test_a_study_goes_on_and_is_finalized_once(searched: mvkt.Study, finished: mvkt.Study) -> None:
    again = mvkt.search(out=searched.path, resume=True, in_process=True, progress=False)
    assert len(again.table("trials").query("stage == 'search'")) == 6
    assert again.is_final
    # The one that was opened before is as it was.
    assert not searched.is_final
    with pytest.raises(mvkt.MvktError, match="again"):
        mvkt.finalize(finished, in_process=True, progress=False)


def test_where_a_study_is_already_the_argument_that_goes_on_is_named(
    searched: mvkt.Study, tiny_config: mvkt.StudyConfig
) -> None:
    with pytest.raises(mvkt.ArtifactError, match=r"Continue it by resume=True, or give .* out\."):
        mvkt.search(tiny_config, out=searched.path, in_process=True, progress=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_trials": 0}, "^max_trials must be at least 1, got 0"),
        ({"max_cost": -1.0}, "^max_cost must be above 0"),
        ({"time_budget": "soon"}, "^time_budget 'soon' is not a time"),
        ({"address": "auto"}, "^in_process=True and address 'auto' exclude each other"),
        ({"folds": "1/1/2"}, "folds '1/1/2'"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_a_wrong_argument_is_one_error_that_names_it_and_nothing_is_left(
    tiny_config: mvkt.StudyConfig, tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(mvkt.MvktError, match=said):
        mvkt.search(tiny_config, out=out, in_process=True, progress=False, **arguments)
    assert not (out / "study.yaml").exists()


def test_a_study_built_here_is_checked_as_a_file_is(
    tiny_config: mvkt.StudyConfig, shards_dir: Path, tmp_path: Path
) -> None:
    search = dataclasses.replace(tiny_config.search, leads=("II", "V9"))
    nowhere = dataclasses.replace(tiny_config, search=search)
    with pytest.raises(mvkt.MvktError, match="V9"):
        mvkt.search(nowhere, data=shards_dir, out=tmp_path / "o", in_process=True, progress=False)
    text = dataclasses.replace(tiny_config, seed=1, data=dataclasses.replace(tiny_config.data))
    object.__setattr__(text.data, "task", 7)
    with pytest.raises(mvkt.ConfigError, match=r"the study 'tiny': data\.task: .*7"):
        mvkt.search(text, data=shards_dir, out=tmp_path / "o", in_process=True, progress=False)


def test_an_ingest_returns_its_shards_and_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(mvkt.MvktError, match="synthetik"):
        mvkt.ingest("synthetik", out=tmp_path / "o", in_process=True, progress=False)
    with pytest.raises(mvkt.MvktError, match="n_folds"):
        mvkt.ingest("synthetic", out=tmp_path / "o", n_folds=1, in_process=True, progress=False)
    made = mvkt.ingest(
        "synthetic",
        out=tmp_path / "shards",
        options={"n_recordings": 4, "duration_s": 1},
        leads=["v5", "II"],
        in_process=True,
        progress=False,
    )
    assert made.leads == ("II", "V5")
    assert len(made) == 4
