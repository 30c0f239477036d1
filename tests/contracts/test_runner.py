"""What every runner that runs trials must do: the same study gives the same trials and numbers."""

import operator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig, ResourcesConfig, WorkersConfig
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.distill.knowledge import CROPS_FILE, RECORDINGS_FILE
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.errors import AllFailedError, ClusterError, ConfigError, MachineError
from mvkt_ray.records import Arm, EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.spending.budget import Budget, Limits
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import command_line
from mvkt_ray.training.teacher import open_teacher
from mvkt_ray.training.teaching.asked_teacher import AskedTeacher, answer

if TYPE_CHECKING:
    from conftest import TinySearch


def outcome(study: Study) -> list[Any]:
    """All that must not depend on where and when a trial ran."""
    facts: list[Any] = []
    for record in study.trials():
        result = record.result
        assert result is not None
        scores = (result.macro_auroc, dict(result.per_class_auroc), result.epochs)
        facts.append((record.trial, record.state, dict(record.values), scores))
    return facts


@pytest.fixture(scope="session")
def expected(tiny_search: "TinySearch", tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the study comes to in this process, undisturbed."""
    folder = tmp_path_factory.mktemp("expected")
    study = tiny_search.open(folder)
    InProcess().run_trials(study, tiny_search.inputs_in(folder), lambda: None)
    facts = outcome(study)
    study.close()
    states = {state for _, state, _, _ in facts}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED}
    return facts


class TestRunner:
    def test_a_study_comes_to_the_same_trials_and_numbers(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path, expected: list[Any]
    ) -> None:
        study = tiny_search.open(tmp_path)
        seen: list[int] = []
        runner.run_trials(
            study,
            tiny_search.inputs_in(tmp_path),
            lambda: seen.append(sum(record.result is not None for record in study.trials())),
        )
        assert outcome(study) == expected
        assert study.ask() is None
        assert seen[-1] == len(expected)
        assert sorted(set(seen)) == list(range(len(expected) + 1))
        study.close()

    def test_an_interrupted_study_goes_on_to_the_same_trials_and_numbers(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path, expected: list[Any]
    ) -> None:
        study = tiny_search.open(tmp_path)

        def interrupt_in_the_third_trial() -> None:
            records = study.trials()
            if len(records) == 3 and records[2].values:
                raise KeyboardInterrupt

        inputs = tiny_search.inputs_in(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            runner.run_trials(study, inputs, interrupt_in_the_third_trial)
        study.close()
        resumed = tiny_search.open(tmp_path, resume=True)
        assert [r.number for r in resumed.trials() if r.state is TrialState.RUNNING] == [2]
        runner.run_trials(resumed, inputs, lambda: None)
        assert outcome(resumed) == expected
        resumed.close()

    def test_a_study_that_may_spend_no_more_stops_and_goes_on_to_the_same_trials_and_numbers(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path, expected: list[Any]
    ) -> None:
        [here] = set(runner.node_kinds())
        node = NodeTypeConfig(price_per_hour=1.0, cpus=here.cpus, gpus=here.gpus)
        prices = PriceList(CostConfig(node_types={"here": node}))
        study = tiny_search.open(tmp_path, budget=Budget(prices, Limits(money=1e-12)))
        inputs = tiny_search.inputs_in(tmp_path)
        runner.run_trials(study, inputs, lambda: None)
        # The first report is the first that costs: its trial keeps its checkpoint.
        [stopped] = study.trials()
        assert (stopped.state, stopped.last_epoch) == (TrialState.RUNNING, 1)
        assert (tmp_path / "trials" / "00000" / "checkpoint.pt").exists()
        assert study.spent.money > 0
        assert study.spent.unpriced_s == 0
        study.close()
        resumed = tiny_search.open(tmp_path, resume=True)
        runner.run_trials(resumed, inputs, lambda: None)
        assert outcome(resumed) == expected
        assert all(record.usage.worker_s > 0 for record in resumed.trials())
        resumed.close()

    def test_trials_that_cannot_run_are_recorded_with_the_reason_and_the_others_go_on(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path
    ) -> None:
        study = tiny_search.open(tmp_path)
        runner.run_trials(study, tiny_search.inputs_in(tmp_path, knowledge=None), lambda: None)
        for record in study.trials():
            assert record.result is not None
            if record.trial.arm is Arm.STUDENT_ALONE:
                assert record.state is TrialState.COMPLETE
            else:
                assert record.state is TrialState.FAILED
                assert record.result.reason.startswith("ConfigError: ")
                assert "no knowledge is given" in record.result.reason
                folder = tmp_path / "trials" / f"{record.number:05d}"
                assert "Traceback" in (folder / "error.txt").read_text()
        study.close()

    def test_a_study_whose_trials_all_fail_stops_and_goes_on_when_the_cause_is_mended(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path
    ) -> None:
        study = tiny_search.open(tmp_path, stop_after_failures=2)
        with pytest.raises(AllFailedError, match=r"no knowledge is given.*error\.txt.*--resume"):
            runner.run_trials(study, tiny_search.inputs_in(tmp_path, knowledge=None), lambda: None)
        states = [record.state for record in study.trials()]
        assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAILED] * 2
        study.close()
        mended = tiny_search.open(tmp_path, resume=True, stop_after_failures=2)
        runner.run_trials(mended, tiny_search.inputs_in(tmp_path), lambda: None)
        assert [record.state for record in mended.trials()][:4] == states
        assert all(record.macro_auroc is not None for record in mended.trials()[4:6])
        mended.close()

    def test_inputs_that_are_gone_stop_the_study_and_its_trials_stay_open(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path
    ) -> None:
        study = tiny_search.open(tmp_path)
        nowhere = str(tmp_path / "unmounted")
        with pytest.raises(MachineError, match=r"knowledge.*unmounted.*--resume"):
            runner.run_trials(
                study, tiny_search.inputs_in(tmp_path, knowledge=nowhere), lambda: None
            )
        states = {record.state for record in study.trials()}
        assert states == {TrialState.COMPLETE, TrialState.RUNNING}
        study.close()

    def test_a_teacher_is_published_and_its_epochs_are_told(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path
    ) -> None:
        # As many threads as trained the other, on whatever machine this is.
        runner.check(ResourcesConfig(teacher=WorkersConfig(cpus_per_worker=1)))
        seen: list[EpochMetrics] = []
        out = Location.parse(tmp_path / "teacher")
        used = runner.train_teacher(tiny_search.job, out, seen.append)
        assert {each.node for each in used.reservations} == set(runner.node_kinds())
        assert used.worker_s > 0
        assert [metrics.epoch for metrics in seen] == [1, 2]
        assert tiny_search.inputs.teacher is not None
        before, again = open_teacher(tiny_search.inputs.teacher), open_teacher(out)
        assert again.fingerprint == before.fingerprint
        # That of the driver, wherever it was trained.
        assert again.manifest.command == tiny_search.job.command == command_line()
        assert seen[-1].macro_auroc == again.macro_auroc

    def test_map_gives_the_result_of_every_item(self, runner: Runner) -> None:
        assert sorted(runner.map(operator.neg, list(range(7)))) == list(range(-6, 1))

    def test_items_that_run_a_network_are_all_answered_and_the_first_error_is_raised(
        self, runner: Runner
    ) -> None:
        runner.check(ResourcesConfig())
        one = WorkersConfig().asked
        found = runner.map(operator.neg, list(range(7)), reserving=one)
        assert sorted(found) == list(range(-6, 1))
        with pytest.raises(ZeroDivisionError):
            list(runner.map(partial(operator.floordiv, 6), [3, 2, 1, 0], reserving=one))
        assert sorted(runner.map(operator.neg, [1], reserving=one)) == [-1]

    def test_knowledge_has_the_same_bytes_wherever_the_teacher_is_asked(
        self, runner: Runner, tiny_search: "TinySearch", tmp_path: Path
    ) -> None:
        inputs = tiny_search.inputs
        assert inputs.teacher is not None
        assert inputs.knowledge is not None
        shards = open_shards(inputs.shards)
        splits = open_training_splits(shards, inputs.task, inputs.folds)
        teacher = open_teacher(inputs.teacher)
        asked = AskedTeacher(shards=inputs.shards, teacher=inputs.teacher, view=inputs.view)
        write_knowledge(
            str(tmp_path / "knowledge"),
            ask=partial(answer, asked),
            shards=shards,
            split=splits.train,
            view=inputs.view,
            teacher_fingerprint=teacher.fingerprint,
            embedding_dim=teacher.network.embedding_dim,
            map_function=partial(runner.map, reserving=WorkersConfig().asked),
            crops_per_part=50,
        )
        for name in (CROPS_FILE, RECORDINGS_FILE):
            one, other = (Path(each) / name for each in (tmp_path / "knowledge", inputs.knowledge))
            assert one.read_bytes() == other.read_bytes()

    def test_more_gpus_than_there_are_are_refused_by_name(self, runner: Runner) -> None:
        asked = ResourcesConfig(trial=WorkersConfig(gpus_per_worker=64))
        with pytest.raises((ConfigError, ClusterError), match=r"resources\.trial.*64"):
            runner.check(asked)
        runner.check(ResourcesConfig())

    def test_a_runner_says_where_it_is_in_one_line(self, runner: Runner) -> None:
        assert runner.describe()
        assert "\n" not in runner.describe()
