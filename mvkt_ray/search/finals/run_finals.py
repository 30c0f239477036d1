"""From a finished search to finals that were examined once: trained again, then the test split.

Reads: a study's folder. Writes: its ledger, and `finals/01/` with every training's files.
"""

import dataclasses
import json
from typing import Protocol

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import TrialError
from mvkt_ray.records import Trial, TrialState
from mvkt_ray.search.finals.examine import Examination, examine_all
from mvkt_ray.search.finals.finals import Finals, listed
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_outlook import (
    FinalsOutlook,
    FinalsRequest,
    finals_config,
    finals_outlook,
)
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger_access import LedgerAccess, driving
from mvkt_ray.search.ledger.study_folder import FinalsFolder, StudyFolder
from mvkt_ray.search.pipeline import (
    StageListener,
    open_study,
    provide_knowledge,
    timed_stage,
    trial_inputs,
)
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.spending.breakdown import Spending, teacher_usage
from mvkt_ray.search.spending.budget import Budget
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.training.refit import with_validation
from mvkt_ray.training.student import TrialInputs


class FinalsListener(StageListener, Protocol):
    """What wants to know how far finals are: the live table, or a test."""

    def study_opened(self, study: Finals) -> None:
        """Hand over the finals, once, before their first training."""
        ...

    def study_changed(self) -> None:
        """Say that a training reported or ended."""
        ...


def run_finals(
    folder: StudyFolder,
    runner: Runner,
    listener: FinalsListener,
    *,
    config: StudyConfig | None = None,
    request: FinalsRequest | None = None,
) -> FinalsResults:
    """Train what the plan says, open the test split once, and examine everything on it.

    Whoever is killed at any instant is gone on with by the same call: trainings from their
    checkpoints, the examination with the predictions that are missing, under the same opening.

    Args:
        folder: Of a study whose search has ended.
        runner: What trains and examines.
        listener: Told of every step.
        config: The study with other finals or resources; by default as in its folder.
        request: Whether to open again, to start over, and so on.

    Raises:
        ArtifactError: There is no study, its search has not ended, or the test split was opened.
        ConfigError: The finals cannot be planned.
        StaleArtifactError: Finals were begun with another configuration, or data were changed.
        TrialError: A training failed, and was not to be left out; or a limit was reached.
        ClusterError: The plan does not fit the cluster.
    """
    request = request or FinalsRequest()
    with driving(folder) as written:
        config = finals_config(folder, config)
        with finals_outlook(folder, config, request, written) as outlook:
            runner.check(config.resources)
            request.limits.check(config.resources)
            request.limits.check_nodes(runner.node_kinds(), config.resources)
            budget = _budget(folder, config, request)
            ledger = _begin(outlook, written)
            try:
                finals = Finals(config, outlook.space, ledger, budget)
                _train_and_examine(finals, outlook, folder, runner, listener, request)
            finally:
                ledger.close()
        results = read_finals(folder)
    assert results is not None
    return results


def _budget(folder: StudyFolder, config: StudyConfig, request: FinalsRequest) -> Budget:
    """Return the limits, of which the search has used some."""
    _, study = open_study(folder)
    study.close()
    before = Spending.of(
        prices := PriceList(config.resources.cost),
        teacher=teacher_usage(folder, config),
        trials=study.trials(),
    )
    return Budget(prices, request.limits, before=before.total)


def _begin(outlook: FinalsOutlook, access: LedgerAccess) -> FinalsLedger:
    """Go on with the finals of an outlook, or begin them."""
    if outlook.begun is not None:
        outlook.begun.mend()
        if outlook.begun.opening is None:
            outlook.begun.write_reason(outlook.reason)
        return outlook.begun
    if outlook.abandoned is not None:
        outlook.abandoned.leave_behind()
    return FinalsLedger.create(
        access.url,
        outlook.config.name,
        outlook.number,
        plan=outlook.plan,
        facts=outlook.facts,
        reason=outlook.reason,
        shipment=access.shipment,
    )


def _train_and_examine(
    finals: Finals,
    outlook: FinalsOutlook,
    folder: StudyFolder,
    runner: Runner,
    listener: FinalsListener,
    request: FinalsRequest,
) -> None:
    files = folder.final(finals.number)
    files.root.make_directory()
    files.plan.write_bytes(_plan_for_people(finals, outlook.reason))
    inputs = _inputs(outlook, folder, files, listener)
    listener.study_opened(finals)
    if not finals.is_trained:
        with timed_stage(folder, listener, "finals", f"{finals.n_trials} trainings"):
            runner.run_trials(finals, inputs, listener.study_changed)
    if finals.stopped_by:
        n_ended = sum(record.state.is_finished for record in finals.trials())
        raise TrialError(
            f"the finals were stopped: {finals.stopped_by}. {n_ended} of {finals.n_trials} "
            "trainings have ended, and the test split stays closed. Finalize again with a higher "
            "limit, which goes on."
        )
    if finals.ledger.opening is None:
        _settle_problems(finals, request)
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
    outlook: FinalsOutlook, folder: StudyFolder, files: FinalsFolder, listener: FinalsListener
) -> TrialInputs:
    """Gather what every training is given; with `refit`, knowledge of both splits."""
    config, prepared = outlook.config, outlook.prepared
    inputs = trial_inputs(config, folder, prepared).writing_to(str(files.trials))
    if not config.finals.refit:
        return inputs
    teacher = folder.read_inputs()["teacher"]
    if config.student.knowledge != "online" and teacher is not None:
        joined = dataclasses.replace(prepared, splits=with_validation(prepared.splits))
        provide_knowledge(config, folder, listener, joined, teacher, files.knowledge)
        inputs = dataclasses.replace(inputs, knowledge=str(files.knowledge))
    return dataclasses.replace(inputs, refit=True)


def _settle_problems(finals: Finals, request: FinalsRequest) -> None:
    """Refuse to open the test split without a training, unless told to.

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
            f"{said}. The test split stays closed. Remove the cause and finalize again, which "
            "tries those that failed again; or examine without them by --without-failed."
        )
    left = {_key(r.trial) for r in finals.trials() if r.state is TrialState.COMPLETE}
    answer = finals.config.finals.answer
    empty = [c for c in finals.plan if c.name == answer and _key(c) not in left]
    if empty:
        raise TrialError(
            f"{said}. Of {answer} of {empty[0].condition.name}, by which leads are ranked, nothing "
            "is left to examine, so that --without-failed is no way out. Remove the cause and "
            "finalize again, or give other finals by --study and --start-over."
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
