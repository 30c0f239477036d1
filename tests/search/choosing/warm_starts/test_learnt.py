"""A study that learns from another: what its sampler sees, and what never becomes its own."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.data_config import DataConfig
from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig, Scalar, SearchConfig
from mvkt_ray.errors import ArtifactError, ConfigError, StaleArtifactError
from mvkt_ray.records import Arm, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.warm_starts.learnt import Learnt, learn_from
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study

LEADS = ("II", "V1")
BEST = 0.5
SPACE = {
    "kd_weight": ParameterConfig(low=0.01, high=10.0, log=True),
    "clt_loss": ParameterConfig(choices=("crd", "infonce")),
}


def study_of(name: str, **changes: Any) -> StudyConfig:
    search: dict[str, Any] = {"n_trials": 34, "leads": LEADS, **changes.pop("search", {})}
    search.setdefault("pruner", PrunerConfig(min_epochs=1, reduction_factor=2))
    fields: dict[str, Any] = {"space": SPACE, "student": StudentConfig(epochs=3), **changes}
    return StudyConfig(name=name, search=SearchConfig(**search), **fields)


def height(trial: Trial) -> float:
    level = {"II": 0.9, "V1": 0.6}[trial.condition.name]
    # The student alone has none.
    kd_weight = max(0.01, float(trial.hyperparameters["kd_weight"]))
    return level - 0.02 * math.log(kd_weight / BEST) ** 2


def open_study(
    config: StudyConfig, url: str, learnt: Learnt | None = None, *, resume: bool = False
) -> Study:
    space = SearchSpace.from_config(config, LEADS)
    database = LedgerDatabase(url)
    return begun_study(config, space, database, resume=resume, inputs={}, learnt=learnt)


def run(study: Study, most: int = 999) -> list[dict[str, Scalar]]:
    """Run trials; return what was drawn for all search trials so far."""
    for _ in range(most):
        trial = study.ask()
        if trial is None:
            break
        state, epoch, value = TrialState.COMPLETE, 0, height(trial)
        for epoch in range(1, 4):
            told = study.report(trial.number, EpochMetrics(epoch=epoch, macro_auroc=value))
            if told.value == "prune":
                state = TrialState.PRUNED
                break
        study.tell(TrialResult(number=trial.number, state=state, macro_auroc=value, epochs=epoch))
    return [dict(each.drawn) for each in study.trials() if each.trial.arm is Arm.SEARCH]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A finished study to learn from."""
    folder = StudyFolder(Location.parse(tmp_path_factory.mktemp("other") / "study"))
    folder.root.make_directory()
    config = study_of("other")
    folder.write_config(config)
    study = open_study(config, folder.ledger_url)
    run(study)
    study.close()
    return folder


OWN = StudyFolder(Location.parse("/runs/own"))


def learn(folder: StudyFolder, config: StudyConfig) -> Learnt:
    return learn_from(folder, OWN, config, SearchSpace.from_config(config, LEADS))


def learning(**changes: Any) -> StudyConfig:
    search = {"learn_from": "/runs/other", "n_trials": 12, "baselines": ()}
    return study_of("own", search={**search, **changes.pop("search", {})}, **changes)


def distance(drawn: list[dict[str, Scalar]]) -> float:
    return sum(abs(math.log(float(each["kd_weight"]) / BEST)) for each in drawn) / len(drawn)


def test_its_first_proposals_are_better_than_those_of_a_study_that_begins_with_nothing(
    teacher: StudyFolder,
) -> None:
    learned: list[dict[str, Scalar]] = []
    by_chance: list[dict[str, Scalar]] = []
    for seed in range(3):
        config = replace(learning(search={"n_trials": 8}), seed=seed)
        learnt = learn(teacher, config)
        assert learnt.n_trials == 30
        study = open_study(config, "sqlite://", learnt)
        learned += run(study)
        # None of what was learnt is a trial of this study.
        assert [record.number for record in study.trials()] == list(range(8))
        alone = replace(config, search=replace(config.search, learn_from=None))
        by_chance += run(open_study(alone, "sqlite://"))
    assert distance(learned) < distance(by_chance) - 0.2


def test_proposals_are_the_same_after_a_restart_and_without_the_other_study(
    teacher: StudyFolder, tmp_path: Path
) -> None:
    config = learning()
    copy = StudyFolder(Location.parse(shutil.copytree(teacher.root.local_path, tmp_path / "other")))
    learnt = learn(copy, config)
    whole = run(open_study(config, "sqlite://", learnt))
    learnt.write(Location.parse(tmp_path / "learnt.json"))
    copy.root.delete_tree()
    url = f"sqlite:///{tmp_path}/ledger.db"
    drawn: list[dict[str, Scalar]] = []
    for n_trials in (3, 1, 99):
        again = Learnt.read(Location.parse(tmp_path / "learnt.json"))
        study = open_study(config, url, again, resume=True)
        drawn = run(study, n_trials)
        study.close()
    assert drawn == whole


def test_it_is_not_resumed_with_other_trials_and_damage_is_seen(
    teacher: StudyFolder, tmp_path: Path
) -> None:
    config = learning()
    learnt = learn(teacher, config)
    url = f"sqlite:///{tmp_path}/ledger.db"
    open_study(config, url, learnt).close()
    other = replace(learnt, records=learnt.records[:-1])
    with pytest.raises(StaleArtifactError, match="trials that are learnt from"):
        open_study(config, url, other, resume=True)
    file = tmp_path / "learnt.json"
    learnt.write(Location.parse(file))
    assert Learnt.read(Location.parse(file)) == learnt
    file.write_bytes(file.read_bytes().replace(b'"crd"', b'"cdr"', 1))
    with pytest.raises(ArtifactError, match=r"cannot be resumed without it"):
        Learnt.read(Location.parse(file))


def test_what_is_beyond_the_ranges_is_left_out_and_counted(teacher: StudyFolder) -> None:
    narrow = {**SPACE, "kd_weight": ParameterConfig(low=0.1, high=1.0, log=True)}
    learnt = learn(teacher, learning(space=narrow))
    assert 0 < learnt.n_trials < 30
    assert learnt.n_trials + learnt.n_left_out == 30
    searched = [record for record in learnt.records if record.trial.arm is Arm.SEARCH]
    assert all(0.1 <= float(record.drawn["kd_weight"]) <= 1.0 for record in searched)


def test_pruned_trials_tell_something_only_where_as_many_epochs_are_to_come(
    teacher: StudyFolder,
) -> None:
    def states(config: StudyConfig) -> set[TrialState]:
        return {record.state for record in learn(teacher, config).records}

    assert states(learning()) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert states(learning(student=StudentConfig(epochs=9))) == {TrialState.COMPLETE}


MISMATCHES: dict[str, tuple[Callable[[], StudyConfig], str]] = {
    "task": (lambda: learning(data=DataConfig(task="rhythm")), "is of the task"),
    "objectives": (
        lambda: learning(search={"objectives": ("macro_auroc", "parameters")}),
        "optimises macro_auroc, this study macro_auroc and parameters",
    ),
    "drawn": (
        lambda: learning(space={"kd_weight": SPACE["kd_weight"]}),
        "draws other parameters: clt_loss only there",
    ),
    "fixed": (
        lambda: learning(space={**SPACE, "batch_size": ParameterConfig(value=32)}),
        "another space: batch_size",
    ),
    "ranges": (
        lambda: learning(space={**SPACE, "kd_weight": ParameterConfig(low=20.0, high=30.0)}),
        "none of the",
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_study_that_was_asked_something_else_is_refused(teacher: StudyFolder, name: str) -> None:
    make, said = MISMATCHES[name]
    with pytest.raises(ConfigError) as caught:
        learn(teacher, make())
    assert said in str(caught.value)
    assert "search.learn_from" in str(caught.value)


def test_itself_nothing_and_samplers_that_it_does_not_help_are_refused(
    teacher: StudyFolder, tmp_path: Path
) -> None:
    config = learning()
    space = SearchSpace.from_config(config, LEADS)
    with pytest.raises(ConfigError, match="the study itself"):
        learn_from(teacher, teacher, config, space)
    with pytest.raises(ArtifactError, match="holds no study"):
        learn(StudyFolder(Location.parse(tmp_path)), config)
    for sampler in ("random", "gp"):
        with pytest.raises(ConfigError, match="only tpe"):
            SearchConfig(learn_from="/runs/other", sampler=sampler)
