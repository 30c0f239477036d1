"""Runs finals: trains the plan of a finished search, then examines it once on the test split.

Reads: a study's folder. Writes: its ledger, and `finals/01/` with every training's files.
"""

import contextlib
import dataclasses
import json
from typing import Protocol

from mvkt_ray.errors import TrialError
from mvkt_ray.machine_faults import naming_the_ledger
from mvkt_ray.records import Trial, TrialState
from mvkt_ray.search.assistants.provide_assistants import ask_assistants, assistants_at
from mvkt_ray.search.finals.examine import Examination, examine_all
from mvkt_ray.search.finals.finals import Finals, listed
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_outlook import FinalsOutlook, FinalsRequest
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.study_folder import FinalsFolder
from mvkt_ray.search.pipeline import (
    StageListener,
    provide_knowledge,
    trial_inputs,
)
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.spending.breakdown import Spending, teacher_usage
from mvkt_ray.search.spending.budget import Budget
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.search.stage_timer import timed_stage
from mvkt_ray.training.students.refit import with_validation
from mvkt_ray.training.students.trial_inputs import TrialInputs


class FinalsListener(StageListener, Protocol):
    """Receives the progress of finals: the live table, or a test."""

    def study_opened(self, study: Finals) -> None:
        """Receive the finals, once, before their first training."""
        ...

    def study_changed(self) -> None:
        """Be notified that a training reported or ended."""
        ...


def run_finals(outlook: FinalsOutlook, runner: Runner, listener: FinalsListener) -> FinalsResults:
    """Train the plan, open the test split once, and examine all students on it.

    After a kill at any instant the same call continues: trainings from their checkpoints, the
    examination with the missing predictions, under the same opening.

    Args:
        outlook: The decision; the caller is the study's driver.
        runner: Executes trainings and examinations.
        listener: Receives every step.

    Raises:
        ConfigError: The runner does not support the configuration, or a limit cannot be kept.
        TrialError: A training failed and may not be left out, or a limit was reached.
        ClusterError: The plan does not fit the cluster.
        MachineError: The machine failed under a training or the ledger.
    """
    config = outlook.config
    runner.check(config.resources)
    runner.expect_plugins(outlook.folder.read_plugins())
    outlook.request.limits.check_nodes(runner.node_kinds(), config.resources)
    budget = _budget(outlook)
    with (
        naming_the_ledger(outlook.database.name),
        contextlib.closing(_begin(outlook)) as ledger,
    ):
        finals = Finals(config, outlook.space, ledger, budget)
        _train_and_examine(finals, outlook, runner, listener)
    with FinalsLedger.open_all(outlook.database, config.name) as ledgers:
        results = read_finals(outlook.folder, ledgers)
    assert results is not None
    return results


def _budget(outlook: FinalsOutlook) -> Budget:
    """Return the limits, with the earlier spending of the search and other finals."""
    before = Spending.of(
        prices := PriceList(outlook.config.resources.cost),
        teacher=teacher_usage(outlook.folder, outlook.config),
        trials=outlook.searched,
        finals=outlook.earlier,
    )
    return Budget(prices, outlook.request.limits, before=before.total)


def _begin(outlook: FinalsOutlook) -> FinalsLedger:
    """Continue the finals of an outlook, or begin them."""
    if outlook.begun is not None:
        outlook.begun.mend()
        if outlook.begun.opening is None:
            outlook.begun.write_reason(outlook.reason)
        return outlook.begun
    if outlook.abandoned is not None:
        outlook.abandoned.leave_behind()
    return FinalsLedger.begin(
        outlook.database,
        outlook.config.name,
        outlook.number,
        plan=outlook.plan,
        facts=outlook.facts,
        reason=outlook.reason,
    )


def _train_and_examine(
    finals: Finals, outlook: FinalsOutlook, runner: Runner, listener: FinalsListener
) -> None:
    folder = outlook.folder
    files = folder.final(finals.number)
    files.root.make_directory()
    files.plan.write_bytes(_plan_for_people(finals, outlook.reason))
    inputs = _inputs(outlook, files, runner, listener)
    listener.study_opened(finals)
    if not finals.is_trained:
        with timed_stage(folder, listener, "finals", f"{finals.n_trials} trainings"):
            runner.run_trials(finals, inputs, listener.study_changed)
    if finals.stopped_by:
        n_ended = sum(record.state.is_finished for record in finals.trials())
        raise TrialError(
            f"the finals were stopped: {finals.stopped_by}. {n_ended} of {finals.n_trials} "
            "trainings have ended, and the test split stays closed. Finalize again with a higher "
            "limit to continue."
        )
    if finals.ledger.opening is None:
        # Recorded before anything of the test split is read, so that no kill can hide a look.
        _settle_problems(finals, outlook.request)
        finals.ledger.write_opening(_opening(outlook, finals))
    opening = finals.ledger.opening
    assert opening is not None
    trials = [record.trial for record in finals.trials() if record.state is TrialState.COMPLETE]
    examination = Examination(inputs=inputs, folder=str(files.root), opening=opening)
    what = f"{len(trials)} students and the teacher on {opening.n_recordings:,} test recordings"
    with timed_stage(folder, listener, "examination", what):
        predictions = examine_all(examination, trials, runner, listener.stage_progress)
    finals.ledger.write_opening(opening.complete(predictions))


def _inputs(
    outlook: FinalsOutlook, files: FinalsFolder, runner: Runner, listener: FinalsListener
) -> TrialInputs:
    """Gather the inputs of the trainings; with `refit`, knowledge of both splits."""
    folder, config, prepared = outlook.folder, outlook.config, outlook.prepared
    inputs = trial_inputs(config, folder, prepared, outlook.cpu_precision)
    # Finals are never pruned, so no epoch but the last needs a validation.
    inputs = dataclasses.replace(inputs.writing_to(str(files.trials)), validated_epochs=frozenset())
    if not config.finals.refit:
        return inputs
    teacher = folder.read_inputs()["teacher"]
    if config.student.knowledge != "online" and teacher is not None:
        joined = dataclasses.replace(prepared, splits=with_validation(prepared.splits))
        provide_knowledge(config, folder, runner, listener, joined, teacher, files.knowledge)
        inputs = dataclasses.replace(inputs, knowledge=str(files.knowledge))
        if config.teacher.assistant is not None:
            at, conditions = files.assistants, outlook.space.conditions
            ask_assistants(config, outlook.space, folder, runner, listener, joined, at)
            assistants = assistants_at(folder.assistants, at, conditions)
            inputs = dataclasses.replace(inputs, assistants=assistants)
    return dataclasses.replace(inputs, refit=True)


def _settle_problems(finals: Finals, request: FinalsRequest) -> None:
    """Refuse to open the test split without a training, unless `without_failed`.

    Raises:
        TrialError: Names those that failed and what to do.
    """
    problems = finals.problems()
    if not problems:
        return
    said = (
        f"{len(problems)} of {finals.n_trials} trainings of the finals failed: {listed(problems)}"
    )
    if not request.without_failed:
        raise TrialError(
            f"{said}. The test split stays closed. Remove the cause and finalize again to retry "
            "the failed trainings; or examine without them by --without-failed."
        )
    left = {_key(r.trial) for r in finals.trials() if r.state is TrialState.COMPLETE}
    answer = finals.config.finals.answer
    empty = [c for c in finals.plan if c.name == answer and _key(c) not in left]
    if empty:
        raise TrialError(
            f"{said}. No training of {answer} for {empty[0].condition.name} is left, which ranks "
            "the leads, so --without-failed cannot be used. Remove the cause and finalize again, "
            "or give other finals by --study and --start-over."
        )
    finals.give_up_failed()


def _key(item: Trial | Contender) -> tuple[str, str]:
    name = item.contender if isinstance(item, Trial) else item.name
    return name, item.condition.name


def _opening(outlook: FinalsOutlook, finals: Finals) -> Opening:
    data = outlook.config.data
    return Opening.now(
        number=len(outlook.openings) + 1,
        finals=finals.number,
        reason=outlook.reason,
        n_recordings=outlook.prepared.splits.n_test,
        shards=outlook.prepared.shards,
        task=outlook.prepared.task,
        folds=data.folds,
        min_likelihood=data.min_likelihood,
    )


def _plan_for_people(finals: Finals, reason: str) -> bytes:
    value = {
        "finals": finals.number,
        "reason": reason,
        "contenders": [contender.to_json() for contender in finals.plan],
        "trainings": [
            {
                "number": trial.number,
                "contender": trial.contender,
                "condition": trial.condition.name,
                "repetition": trial.repetition,
            }
            for trial in finals.planned
        ],
    }
    return (json.dumps(value, indent=2) + "\n").encode()
