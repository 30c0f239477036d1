"""A study opened from Python says what its report says, takes no lock, and writes nothing."""

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

import mvkt_ray as mvkt
from mvkt_ray.delivery.tables import TABLES
from mvkt_ray.interface import opened_study
from mvkt_ray.interface.study_tables import kind_of
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding
from tests.images import skip_images

WRITTEN_AS = {True: "true", False: "false"}


def content_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fields_of(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Write a frame as the CSV tables do: an empty field is a value that is not there."""
    return [
        {
            str(name): ""
            if pd.isna(value)
            else WRITTEN_AS.get(value, str(value))
            if isinstance(value, bool)
            else str(value)
            for name, value in row.items()
        }
        for row in frame.astype(object).to_dict("records")
    ]


@pytest.fixture(scope="module")
def written_report(study_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> mvkt.Report:
    """The report of a copy of the study after its finals."""
    copy = shutil.copytree(study_dir, tmp_path_factory.mktemp("copy") / "study")
    shutil.rmtree(copy / "report")
    with pytest.MonkeyPatch.context() as patch:
        skip_images(patch)
        return mvkt.open_study(copy).report()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_the_csv_file_of_the_report(
    table: Any, finished: mvkt.Study, written_report: mvkt.Report
) -> None:
    frame = finished.table(table.name)
    path = Path(written_report.folder) / f"{table.name}.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert list(frame.columns) == list(table.columns)
    for found, written in zip(fields_of(frame), rows, strict=True):
        for name, text in written.items():
            if kind_of(name) == "float64" and text:
                assert float(found[name]) == float(text)
            else:
                assert found[name] == text


@pytest.mark.parametrize("state", ["searched", "finished"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_have_the_same_types_and_meanings_whatever_is_in_them(
    table: Any, state: str, request: pytest.FixtureRequest
) -> None:
    study: mvkt.Study = request.getfixturevalue(state)
    frame = study.table(table.name)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        name: kind_of(name) for name in table.columns
    }
    assert frame.attrs["columns"] == table.columns
    assert frame.attrs["what"] == table.what


def test_what_is_said_is_that_of_the_report(finished: mvkt.Study) -> None:
    facts = finished.facts
    assert finished.answer == facts.answer.sentence
    assert finished.best_set == facts.best_set
    assert set(finished.best_set) == set(finished.leads.query("in_best_set")["lead"])
    assert finished.finals.equals(finished.table("contenders"))
    assert (finished.gains["over"] == "student_alone").all()
    assert finished.is_final


def test_before_finals_nothing_is_claimed(searched: mvkt.Study) -> None:
    assert searched.best_set == ()
    assert searched.gains.empty
    assert not searched.is_final
    with pytest.raises(mvkt.ConfigError, match=r"no completed finals.*mvkt_ray\.finalize"):
        _ = searched.finals


def test_facts_are_computed_once_and_only_when_they_are_asked_for(
    study_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    describe = opened_study.describe

    def counted(material: Any) -> Any:
        calls.append(material)
        return describe(material)

    monkeypatch.setattr(opened_study, "describe", counted)
    study = mvkt.open_study(study_dir)
    _ = study.config, repr(study)
    assert calls == []
    _ = study.answer, study.best_set, study.leads, study.classes, study.trials
    study._repr_html_()
    assert len(calls) == 1


def test_reading_takes_no_lock_and_writes_nothing(study_dir: Path) -> None:
    before = content_of(study_dir)
    with holding(Location.parse(study_dir)):  # as a search that runs does
        study = mvkt.open_study(study_dir)
        _ = study.leads, study.finals, study.optuna, study._repr_html_()
    assert content_of(study_dir).keys() - {study_dir / ".lock"} == before.keys() - {
        study_dir / ".lock"
    }
    assert all(content_of(study_dir)[path] == content for path, content in before.items())


def test_the_report_is_written_where_it_is_asked_for(written_report: mvkt.Report) -> None:
    assert Path(written_report.page).name == "index.html"
    assert Path(written_report.page).exists()
    assert (Path(written_report.folder) / "report.json").exists()
    assert written_report.facts.study == "tiny"


def test_optuna_sees_every_trial_and_cannot_change_the_study(
    study_dir: Path, finished: mvkt.Study
) -> None:
    before = content_of(study_dir)
    seen = finished.optuna
    assert len(seen.trials) == 6
    best = finished.trials.query("stage == 'search'")["validation_macro_auroc"].max()
    assert seen.best_value == best
    seen.tell(seen.ask(), 1.0)
    assert len(mvkt.open_study(study_dir).optuna.trials) == 6
    assert content_of(study_dir) == before


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_can_draw_it(finished: mvkt.Study) -> None:
    from matplotlib import pyplot as plt
    from optuna.visualization import matplotlib as drawn

    with mpl.rc_context({"backend": "agg"}):
        drawn.plot_slice(finished.optuna, params=["learning_rate"])
        plt.close("all")


def test_a_notebook_shows_sentence_table_and_forest_plot(finished: mvkt.Study) -> None:
    html = finished._repr_html_()
    assert "says nothing about ECGs" in html
    assert "<svg" in html
    assert html.count('<th scope="row">') == 2


def test_a_study_that_is_none_or_not_begun_is_one_clear_error(
    study_dir: Path, shards_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(mvkt.ArtifactError, match="holds no study"):
        mvkt.open_study(shards_dir)
    with pytest.raises(mvkt.ArtifactError, match="holds no study"):
        mvkt.open_study(tmp_path / "nowhere")
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(study_dir / "study.yaml", begun)
    with pytest.raises(mvkt.MvktError, match="ledger"):
        mvkt.open_study(begun)
    with pytest.raises(mvkt.ConfigError, match="no table 'lead'; did you mean 'leads'"):
        mvkt.open_study(study_dir).table("lead")
