"""The live table and the plain lines, over a study that exists only here."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig
from mvkt_ray.display.console import Output, PlainConsole
from mvkt_ray.display.live_table import LiveTable, PlainLines, condition_table, watch
from mvkt_ray.display.state_reader import state_of
from mvkt_ray.display.study_state import state_as_value
from mvkt_ray.records import (
    Arm,
    Condition,
    EpochMetrics,
    Reservation,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.slots import Node

N_EPOCHS = 6


@dataclass
class FakeStudy:
    """Offers what the table reads of a study."""

    leads: tuple[str, ...]
    n_trials: int
    records: list[TrialRecord] = field(default_factory=list)
    prices: PriceList = field(default_factory=lambda: PriceList(CostConfig()))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(Condition(leads=(lead,)) for lead in self.leads)

    def trials(self) -> Sequence[TrialRecord]:
        return self.records

    @property
    def spent(self) -> Spent:
        parts = (self.prices.spent(record.usage.reservations) for record in self.records)
        return sum(parts, Spent())

    def add(
        self,
        lead: str,
        state: TrialState,
        macro_auroc: float | None = None,
        arm: Arm = Arm.SEARCH,
        epochs: int = N_EPOCHS,
        wall_s: float = 10.0,
        reason: str = "",
    ) -> None:
        number = len(self.records)
        condition = Condition(leads=(lead,))
        trial = Trial(number=number, condition=condition, arm=arm, hyperparameters={})
        result = None
        if state.is_finished:
            result = TrialResult(
                number=number,
                state=state,
                macro_auroc=macro_auroc,
                epochs=epochs,
                wall_s=wall_s,
                reason=reason,
            )
        values = {epoch: 0.5 for epoch in range(1, epochs + 1)}
        record = TrialRecord(trial=trial, drawn={}, state=state, values=values, result=result)
        self.records.append(record)


@pytest.fixture
def study() -> FakeStudy:
    study = FakeStudy(leads=("I", "II", "V1"), n_trials=10)
    study.add("I", TrialState.COMPLETE, 0.70, Arm.STUDENT_ALONE)
    study.add("II", TrialState.COMPLETE, 0.72, Arm.STUDENT_ALONE, wall_s=20.0)
    study.add("I", TrialState.COMPLETE, 0.81)
    study.add("II", TrialState.PRUNED, 0.60, epochs=2)
    study.add("II", TrialState.DIVERGED, reason="loss is nan [x]")
    study.add("II", TrialState.RUNNING, epochs=3)
    study.add("V1", TrialState.RUNNING, epochs=0)
    return study


def output_to(file: io.StringIO, *, live: bool = False, width: int = 80) -> Output:
    console = PlainConsole(
        file=file, width=width, height=24, force_terminal=live, color_system=None
    )
    return Output(console, console, is_json=False, is_quiet=False)


def drawn(study: FakeStudy, width: int = 80, **options: int) -> str:
    file = io.StringIO()
    output_to(file, width=width).answers.print(
        condition_table(state_of(study, N_EPOCHS), **options)
    )
    return file.getvalue()


def test_the_state_counts_each_trial_once(study: FakeStudy) -> None:
    state = state_of(study, N_EPOCHS)
    first, second, third = state.rows
    assert (first.n_dealt, first.n_complete, first.best, first.student_alone) == (2, 2, 0.81, 0.70)
    assert (second.n_dealt, second.n_pruned, second.n_failed, second.best) == (4, 1, 1, None)
    assert second.running == ((5, 3),)
    assert third.running == ((6, 0),)
    assert (state.n_finished, state.n_running) == (5, 2)
    assert [row.n_planned for row in state.rows] == [4, 4, 3]


def test_time_left_is_the_mean_trial_for_each_missing_one_over_those_that_run_at_once(
    study: FakeStudy,
) -> None:
    state = state_of(study, N_EPOCHS)
    mean_s = sum(trial.wall_s for trial in state.finished) / 5
    missing = state.n_trials - 5
    assert state.left_s(2) == pytest.approx(missing * mean_s / 2)
    assert state_of(FakeStudy(leads=("I",), n_trials=4), N_EPOCHS).left_s(1) is None


def test_the_table_fits_80_columns_and_shows_all(study: FakeStudy) -> None:
    lines = drawn(study).splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.strip().startswith("II"))
    assert row.split() == ["II", "4/4", "1", "1", "1", "-", "0.720", "#5", "3/6"]


def test_with_too_many_leads_the_running_and_the_best_are_shown(study: FakeStudy) -> None:
    text = drawn(study, max_rows=2)
    assert "II " in text
    assert "V1 " in text
    assert "0.810" not in text
    assert "and 1 more leads" in text


def test_the_state_as_json_has_every_trial_and_its_reason(study: FakeStudy) -> None:
    value = state_as_value("s", state_of(study, N_EPOCHS))
    assert [trial["number"] for trial in value["trials"]] == [0, 1, 2, 3, 4]
    assert value["trials"][4]["reason"] == "loss is nan [x]"
    assert value["conditions"][1]["running"] == [{"trial": 5, "epoch": 3}]


def tell_a_search(view: LiveTable | PlainLines, study: FakeStudy) -> None:
    view.stage_finished("shards", "/data/shards", True)
    view.stage_started("teacher", "xresnet1d18 on 12 leads")
    view.stage_epoch(EpochMetrics(epoch=1, macro_auroc=None, losses={"total": 0.6931}, train_s=1.0))
    view.stage_epoch(EpochMetrics(epoch=2, macro_auroc=0.82, train_s=1.0))
    view.stage_finished("teacher", "xresnet1d18 on 12 leads", False)
    view.stage_started("trials", "10 trials")
    view.study_opened(study)
    study.add("V1", TrialState.COMPLETE, 0.9)
    view.study_changed()
    study.add("V1", TrialState.FAILED, reason="DataError: gone")
    view.study_changed()
    view.study_changed()
    view.stage_finished("trials", "10 trials", False)


def test_without_a_terminal_each_stage_and_each_new_trial_has_one_plain_line(
    study: FakeStudy,
) -> None:
    file = io.StringIO()
    with watch(
        output_to(file), name="s", where="in this process", n_epochs=N_EPOCHS, teacher_epochs=2
    ) as view:
        assert isinstance(view, PlainLines)
        tell_a_search(view, study)
    text = file.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text)
    lines = text.splitlines()
    assert "shards: reused, /data/shards" in lines
    assert sum(
        line.startswith("teacher: epoch 2/2, validation macro AUROC 0.820") for line in lines
    )
    assert "trials: 5 of 10 are done already" in lines
    trials = [line for line in lines if "] trial " in line]
    assert len(trials) == 2
    assert trials[0].startswith("[6/10, about ")
    assert trials[0].endswith("trial 7  V1  complete  0.900  6 epochs  10 s")
    assert trials[1].endswith("trial 8  V1  failed  -  6 epochs  10 s  DataError: gone")


def test_at_a_terminal_the_table_is_drawn_and_taken_away_and_stages_stay(study: FakeStudy) -> None:
    file = io.StringIO()
    with watch(
        output_to(file, live=True), name="s", where="here", n_epochs=N_EPOCHS, teacher_epochs=2
    ) as view:
        assert isinstance(view, LiveTable)
        tell_a_search(view, study)
    text = file.getvalue()
    assert "shards    reused       /data/shards" in text
    assert "macro AUROC 0.820" in text
    assert "7/10 trials" in text
    assert "0.900" in text


def test_the_header_fits_narrow_terminals(study: FakeStudy) -> None:
    file = io.StringIO()
    view = LiveTable(
        output_to(file, live=True, width=50),
        name="a-study-with-a-long-name",
        where="Ray: 128 CPUs, 16 GPUs, 4 nodes",
        n_epochs=N_EPOCHS,
        teacher_epochs=2,
    )
    view.study_opened(study)
    console = PlainConsole(file=file, width=50, height=24)
    lines = console.render_lines(view._render())
    assert len(lines) < 24
    assert all(sum(len(part.text) for part in line) <= 50 for line in lines)


def test_what_is_spent_is_shown_of_each_trial_and_in_all_and_no_price_is_guessed(
    study: FakeStudy,
) -> None:
    assert state_of(study, N_EPOCHS).spent == ""
    node_type = NodeTypeConfig(price_per_hour=4.0, cpus=4, gpus=1)
    study.prices = PriceList(CostConfig(currency="EUR", node_types={"gpu": node_type}))
    known = Node(group="gpu", cpus=4, gpus=1)
    for number, node in ((0, known), (1, None), (5, known)):
        held = Reservation(node=node, cpus=1, gpus=0.5, worker_s=1800)
        study.records[number] = replace(study.records[number], usage=Usage(kept=(held,)))
    state = state_of(study, N_EPOCHS)
    # The trial that runs (number 5) counts, too.
    assert state.spent == "0.75 GPU hours, 2.00 EUR, price unknown for 30 min 00 s of workers"
    assert [trial.money for trial in state.finished][:3] == [1.0, None, 0.0]
    file = io.StringIO()
    table = LiveTable(
        output_to(file, live=True, width=200),
        name="s",
        where="here",
        n_epochs=N_EPOCHS,
        teacher_epochs=3,
    )
    with table:
        table.study_opened(study)
    assert "2.00 EUR" in file.getvalue()
