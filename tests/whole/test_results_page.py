"""The results page: made by its one command, from the very numbers that the finals left."""

import importlib
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from mvkt_ray.cli import app
from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.recording import LEADS
from mvkt_ray.delivery.facts.material import gather_material
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import Examined, FinalsResults
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 200, "seed": 3, "duration_s": 5.0},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 2.5},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 2, "batch_size": 16, "learning_rate": 0.01},
    "student": {"epochs": 1},
    "space": {"student": "sepconv1d_tiny", "batch_size": 16, "n_negatives": 8, "clt_weight": 0.0},
    "search": {"leads": ["I", "V2"], "n_trials": 0, "baselines": []},
    "finals": {
        "n_seeds": 2,
        "n_configurations": 0,
        "baselines": [],
        "answer": "mkd",
        "contenders": {
            "alone": {"base": "defaults", "set": {"kd_weight": 0.0}},
            "mkd": {"base": "defaults"},
            "clt_any": {
                "base": "defaults",
                "set": {"kd_weight": 0.0, "clt_weight": 0.02, "negatives": "any"},
                "leads": ["V2"],
                "n_seeds": 1,
            },
        },
    },
}
TRIED = [
    {"name": "longer", "lead": "II", "setting": "60 epochs", "seeds": [0, 1], "macro_auroc": 0.8721,
     "note": "helps | a bit"},
]  # fmt: skip


@pytest.fixture(scope="module")
def results() -> Any:
    """The command; its folder is where it finds what it imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("results")


def module(name: str) -> Any:
    return importlib.import_module(f"results_page.{name}")


@pytest.fixture(scope="module")
def made(results: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FinalsResults, Path]:
    """A page made from nothing, and the finals that it is about."""
    root = tmp_path_factory.mktemp("page")
    (root / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (root / "tried.yaml").write_text(yaml.safe_dump(TRIED))
    words = ["--study", str(root / "tiny.yaml"), "--out", str(root / "study"), "--in-process"]
    words += ["--page", str(root / "RESULTS.md"), "--tried", str(root / "tried.yaml")]
    with pytest.MonkeyPatch.context() as patch:
        # In this process, as each new one takes seconds to begin.
        patch.setattr(results, "mvkt", lambda own: app([*own, "--quiet"], standalone_mode=False))
        assert results.main(words) == 0
    finals = gather_material(StudyFolder(Location.parse(root / "study"))).finals
    assert finals is not None
    return (root / "RESULTS.md").read_text(), finals, root


def tables(page: str) -> dict[str, list[list[str]]]:
    """Cells of every table, by the heading above it (the last table under a heading wins)."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^#+ ", page, flags=re.MULTILINE):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        found[part.splitlines()[0] if part else ""] = cells
    return found


def macro(examined: Examined, scores_NC: Any) -> float:
    """Mean over the classes that have both kinds of recordings, by scikit-learn."""
    labels_NC = examined.labels_NC
    return float(
        np.mean(
            [
                roc_auc_score(labels_NC[:, c], scores_NC[:, c])
                for c in range(labels_NC.shape[1])
                if 0 < labels_NC[:, c].sum() < len(labels_NC)
            ]
        )
    )


def test_the_scores_of_the_page_are_those_of_the_predictions(
    made: tuple[str, FinalsResults, Path],
) -> None:
    page, finals, _ = made
    rows = {row[0].rstrip(" *"): row for row in tables(page)["I and V2, 2 seeds each"][2:]}
    assert set(rows) == {"I", "V2", "mean"}
    for column, name in ((1, "alone"), (2, "mkd")):
        for lead in ("I", "V2"):
            by_seed = [macro(finals.test, s) for s in finals.test.scores[name, lead]]
            cell = rows[lead][column]
            assert cell.startswith(f"{np.mean(by_seed):.3f} (")
            assert cell.endswith(f") {np.std(by_seed, ddof=1):.3f}")
    teacher = {row[0]: row for row in tables(page)["The teacher"][2:]}
    assert teacher["macro"][2] == f"{macro(finals.test, finals.test.teacher_NC):.3f}"
    for c, name in enumerate(finals.classes):
        assert int(teacher[name][1].replace(",", "")) == finals.test.labels_NC[:, c].sum()


def test_gains_are_differences_of_the_same_seeds(made: tuple[str, FinalsResults, Path]) -> None:
    page, finals, _ = made

    def gain(name: str, lead: str, n_seeds: int) -> float:
        pairs = zip(
            finals.test.scores[name, lead][:n_seeds],
            finals.test.scores["alone", lead][:n_seeds],
            strict=True,
        )
        return float(np.mean([macro(finals.test, a) - macro(finals.test, b) for a, b in pairs]))

    rows = {row[0]: row for row in tables(page)["What the teacher bought"][2:]}
    both = [gain("mkd", lead, 2) for lead in ("I", "V2")]
    assert [rows[lead][1] for lead in ("I", "V2")] == [f"{value:+.4f}" for value in both]
    assert rows["mean"][1] == f"{np.mean(both):+.4f}"
    parts = {row[0]: row for row in tables(page)["Parts of the method: lead V2, 1 seed"][2:]}
    assert f"({gain('clt_any', 'V2', 1):+.4f})" in parts["CLT, any negatives"][1]


def test_the_page_says_how_it_was_made(made: tuple[str, FinalsResults, Path]) -> None:
    page, finals, root = made
    facts = {row[0]: row[1] for row in tables(page)["Facts of the run"][2:]}
    assert facts["trainings"] == "9: 9 complete"
    assert facts["test split opened"].startswith("1 time: ")
    assert finals.openings[0].code[:12] in facts["test split opened"]
    assert f"test {len(finals.test.record_ids_N)}" in facts["recordings"]
    assert str(root / "study") in page
    tried = tables(page)["What was tried to gain more"][2]
    assert tried == ["longer", "II", "60 epochs", "0 1", "0.8721", "helps / a bit"]
    compared = tables(page)["What was compared"]
    assert compared[0][:2] == ["contender", "trainings"]
    assert [row[1] for row in compared[2:]] == ["4", "4", "1"]
    for line in page.splitlines():
        assert line.count("|") == 0 or line.startswith("|")


def test_a_finished_study_is_read_and_not_run_or_opened_again(
    results: Any, made: tuple[str, FinalsResults, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _, root = made
    monkeypatch.setattr(results, "mvkt", lambda words: pytest.fail(f"ran {words}"))
    out = ["--out", str(root / "study"), "--page", str(root / "again.md")]
    assert results.main([*out, "--tried", str(root / "tried.yaml")]) == 0
    assert tables((root / "again.md").read_text()) == tables(page)


def test_a_command_that_fails_ends_the_making_with_its_exit_code(
    results: Any, tmp_path: Path
) -> None:
    words = ["--study", str(tmp_path / "none.yaml"), "--out", str(tmp_path / "study")]
    assert results.main([*words, "--in-process", "--page", str(tmp_path / "page.md")]) == 2
    assert not (tmp_path / "page.md").exists()


def test_a_row_of_tried_with_an_unknown_key_is_refused_by_its_number(
    results: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tried.yaml").write_text("[{name: a, macro_auroc: 0.8, tset: 1}]")
    words = ["--tried", str(tmp_path / "tried.yaml"), "--out", str(tmp_path / "study")]
    assert results.main(words) == 2
    assert "row 1 has the keys" in capsys.readouterr().err


def invented(gain: float, *, n_recordings: int = 400) -> FinalsResults:
    """Finals in which MKD is better than nothing by a shift of the scores of the positives."""
    rng = np.random.default_rng(0)
    labels_NC = (rng.random((n_recordings, 2)) < 0.4).astype(np.float32)
    leads, seeds = ("I", "II", "V5"), (0, 1, 2)
    noise_NC = rng.normal(size=labels_NC.shape)
    shift = {"I": 0.8, "II": 1.6, "V5": 1.59}
    scores = {}
    for lead in leads:
        for name, more in (("alone", 0.0), ("mkd", gain), ("mkd_clt", gain)):
            own = [
                noise_NC + (shift[lead] + more) * labels_NC + 0.1 * rng.normal(size=labels_NC.shape)
                for _ in seeds
            ]
            scores[name, lead] = np.stack(own).astype(np.float32)
    ids = np.arange(n_recordings).astype(str)
    examined = Examined(
        record_ids_N=ids,
        patient_ids_N=ids,
        labels_NC=labels_NC,
        scores=scores,
        seeds=dict.fromkeys(scores, seeds),
        teacher_NC=(noise_NC + 3.0 * labels_NC).astype(np.float32),
    )
    plan = tuple(
        Contender(
            name=name,
            condition=Condition.from_name(lead),
            hyperparameters={"kd_weight": float(name != "alone")},
            n_seeds=3,
            chosen_trial=None,
        )
        for lead in leads
        for name in ("alone", "mkd", "mkd_clt")
    )
    return FinalsResults(
        number=1, plan=plan, records=(), openings=(), classes=("A", "B"), answer="mkd",
        refit=False, test=examined, validation=examined,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "said"), [(0.5, "**gain**"), (0.0, "**no gain shown**"), (-0.5, "**loss**")]
)
@pytest.mark.usefixtures("results")
def test_the_words_follow_the_numbers(gain: float, said: str) -> None:
    compared = module("compared").compare(invented(gain), n_resamples=300)
    sentence = module("sentences").mean_sentence(compared.every_lead, "mkd")
    assert said in sentence
    found = compared.every_lead.mean_gain("mkd")
    assert f"{found.difference:+.4f}" in sentence
    page = module("result_tables").gains_part(compared)
    assert ("no gain shown" in page) == (gain == 0.0)


@pytest.mark.usefixtures("results")
def test_the_best_set_names_the_leads_that_cannot_be_told_apart() -> None:
    compared = module("compared").compare(invented(0.0), n_resamples=300)
    assert set(compared.best_leads) == {"II", "V5"}
    assert compared.best_on_validation == compared.ranked[0]


@pytest.mark.usefixtures("results")
def test_the_gap_closed_is_the_gain_over_what_the_teacher_is_ahead() -> None:
    finals = invented(0.3)
    compared = module("compared").compare(finals, n_resamples=300)
    teacher = macro(finals.test, finals.test.teacher_NC)

    def mean(name: str, lead: str) -> float:
        return float(np.mean([macro(finals.test, s) for s in finals.test.scores[name, lead]]))

    for leads in (["II"], ["I", "II", "V5"]):
        alone = np.mean([mean("alone", lead) for lead in leads])
        mkd = np.mean([mean("mkd", lead) for lead in leads])
        closed = compared.gap_closed("mkd", leads)
        assert closed.fraction == pytest.approx((mkd - alone) / (teacher - alone))
        assert closed.interval.low < closed.fraction < closed.interval.high


@pytest.mark.usefixtures("results")
def test_a_contender_that_lacks_a_lead_is_left_out_and_named() -> None:
    finals = invented(0.3)
    scores = {key: s for key, s in finals.test.scores.items() if key != ("mkd_clt", "V5")}
    test = replace(finals.test, scores=scores)
    compared = module("compared").compare(replace(finals, test=test), n_resamples=50)
    assert compared.missing == ("mkd_clt",)
    assert compared.every_lead.names == ("alone", "mkd")


def searched(number: int, lead: str, kd_weight: float, score: float) -> TrialRecord:
    trial = Trial(
        number=number,
        condition=Condition.from_name(lead),
        arm=Arm.SEARCH,
        hyperparameters=asdict(Hyperparameters(kd_weight=kd_weight)),
    )
    result = TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=score)
    return TrialRecord(
        trial=trial, drawn={"kd_weight": kd_weight}, state=TrialState.COMPLETE, result=result
    )


@pytest.mark.usefixtures("results")
def test_the_good_range_does_not_depend_on_which_lead_is_good() -> None:
    # On each lead the score falls with the distance from 4, but V2 is worse everywhere.
    weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    by_lead = {
        lead: [searched(i, lead, w, level - abs(w - 4.0) / 64) for i, w in enumerate(weights)]
        for lead, level in (("II", 0.875), ("V2", 0.6875))
    }
    (found,) = module("optimum").good_ranges(by_lead)
    assert found.name == "kd_weight"
    assert found.searched == (1.0, 8.0)
    # The best quarter has the weights 3, 4 and 5 of both leads: 3 and 5 are equally good.
    assert found.middle_half == (3.25, 4.75)
    assert found.median == 4.0
    assert found.n_trials == 16


@pytest.mark.usefixtures("results")
def test_the_optimum_is_read_from_the_ledger_of_a_search(tmp_path: Path) -> None:
    space = {"student": "sepconv1d_tiny", "kd_weight": {"low": 0.1, "high": 10.0, "log": True}}
    search = {"leads": ["I", "V2"], "n_trials": 22, "sampler": "random"}
    config = study_from_mapping({**TINY, "space": space, "search": search}, "tiny")
    folder = StudyFolder(Location.parse(tmp_path / "searched"))
    folder.root.make_directory()
    folder.write_config(config)
    study = begun_study(
        config,
        SearchSpace.from_config(config, LEADS),
        LedgerDatabase(folder.ledger_url),
        inputs={},
    )
    while (trial := study.ask()) is not None:
        # The more distillation the better, and V2 the better lead.
        weight = float(trial.hyperparameters["kd_weight"])
        score = 0.7 + 0.1 * (trial.condition.name == "V2") + weight / 100
        state = TrialState.COMPLETE
        study.tell(TrialResult(number=trial.number, state=state, macro_auroc=score))
    drawn = [r for r in study.trials() if r.trial.arm is Arm.SEARCH and r.condition == "V2"]
    study.close()

    optimum = module("optimum").read_optimum(folder.root)
    best = max(drawn, key=lambda record: record.drawn["kd_weight"])
    assert [each.lead for each in optimum.best] == ["V2", "I"]
    assert optimum.best[0].number == best.number
    assert optimum.best[0].alone == pytest.approx(0.8)
    (found,) = optimum.ranges
    assert found.correlation > 0.5
    assert found.median > np.median([float(record.drawn["kd_weight"]) for record in drawn])
    page = module("run_tables").optimum_part(optimum)
    rows = {
        row[0]: row for row in tables(page.split("Over all leads")[0])[page.splitlines()[0][3:]]
    }
    assert rows["V2"][5] == f"{best.drawn['kd_weight']:.3g}"
    assert f"{found.correlation:+.2f} (p " in page
