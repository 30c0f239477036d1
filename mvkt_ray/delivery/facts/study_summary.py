"""Summary of the search: trial states, search space, importance, and racing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.reported_search import Racing, SearchedParameter, StudySummary
from mvkt_ray.records import TrialState
from mvkt_ray.search.choosing.racing import ERROR_RATE, trials_at_look
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.trial_record import TrialRecord

MIN_TRIALS = 10
"""Least number of complete trials for an importance."""
MAX_TRIALS = 1000
"""Most trials, evenly spaced, for the forest of fANOVA; more take long and change little."""


def describe_study(material: ReportMaterial) -> StudySummary:
    """Return the report's `study_summary`."""
    records, config = material.records, material.config
    ended = [record for record in records if record.state.is_finished]
    is_over = len(ended) == len(records) >= config.search.n_trials
    importance, basis = _importance(material.space, material.searched)
    states = Counter(record.state.value for record in records)
    return StudySummary(
        state="finished" if is_over else "running",
        n_trials=config.search.n_trials,
        n_begun=len(records),
        n_ended=len(ended),
        states={state.value: states[state.value] for state in TrialState},
        arms=dict(Counter(record.trial.arm.value for record in records)),
        n_epochs=config.student.epochs,
        sampler=config.search.sampler,
        pruner=config.search.pruner.kind,
        objectives=config.search.objectives,
        limits=config.search.limits,
        validated_epochs=validated_epochs(records),
        conditions=config.search.conditions,
        space={name: _describe(material.space, name) for name in material.space.distributions},
        importance=importance,
        lead_importance=_between_leads(material.searched),
        importance_basis=basis,
    )


def validated_epochs(records: Sequence[TrialRecord]) -> tuple[int, ...] | None:
    """Return the epochs after which trials were scored; None for every epoch."""
    scored = {epoch for record in records for epoch in record.values}
    trained = max((record.last_epoch for record in records), default=0)
    return None if len(scored) == trained else tuple(sorted(scored))


def describe_race(material: ReportMaterial) -> Racing | None:
    """Return the report's `racing`; None if trials were allocated evenly."""
    if material.config.search.conditions != "race":
        return None
    return Racing(
        error_rate=ERROR_RATE,
        basis=_race_basis(),
        looks=material.looks,
        stopped=tuple(stop.condition for look in material.looks for stop in look.stopped),
    )


def stopped_at(material: ReportMaterial) -> dict[str, int]:
    """Return the number of the first trial allocated without a stopped lead, by lead."""
    return {stop.condition: look.at_trial for look in material.looks for stop in look.stopped}


def _race_basis() -> str:
    n_trials = ", ".join(str(trials_at_look(number)) for number in (1, 2, 3))
    return (
        f"A lead stops getting trials when the best of its first {n_trials}, ... is worse than the "
        "leader's by more than patients and trials explain. The best lead is stopped in at most "
        "this share of studies; a lead that was stopped keeps its best student, its baselines and "
        "its place in the finals."
    )


def _describe(space: SearchSpace, name: str) -> SearchedParameter:
    distribution = space.distributions[name]
    conditional = name in space.when
    if isinstance(distribution, CategoricalDistribution):
        return SearchedParameter(
            low=None,
            high=None,
            log=False,
            choices=cast(tuple[Scalar, ...], tuple(distribution.choices)),
            conditional=conditional,
        )
    return SearchedParameter(
        low=float(distribution.low),
        high=float(distribution.high),
        log=distribution.log,
        choices=None,
        conditional=conditional,
    )


def _importance(
    space: SearchSpace, searched: Sequence[TrialRecord]
) -> tuple[dict[str, float] | None, str]:
    """Return the importance of each hyper-parameter, and its basis in words.

    Values are centred per lead, as the lead, which is no hyper-parameter, would dominate.
    """
    if len(searched) < MIN_TRIALS:
        return (
            None,
            f"{len(searched)} complete trials of the search are too few: {MIN_TRIALS} are needed.",
        )
    every = max(1, -(-len(searched) // MAX_TRIALS))
    chosen = searched[::every]
    centred = _centred(chosen)
    always = [name for name in space.distributions if all(name in r.drawn for r in chosen)]
    varied = [name for name in always if len({r.drawn[name] for r in chosen}) > 1]
    basis = (
        f"fANOVA over {len(chosen)} complete trials of the search: share of the variance of macro "
        "AUROC on validation within a lead. Pruned trials have no such value, and hyper-parameters "
        "that are drawn only sometimes are left out."
    )
    if not varied or np.ptp(list(centred.values())) == 0:
        return None, f"{basis} Nothing varied."
    study = optuna.create_study(direction="maximize")
    for record in chosen:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: record.drawn[name] for name in varied},
                distributions={name: space.distributions[name] for name in varied},
                value=centred[record.number],
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
    return {name: round(float(share), 6) for name, share in shares.items()}, basis


def _by_lead(searched: Sequence[TrialRecord]) -> Mapping[str, list[TrialRecord]]:
    leads: dict[str, list[TrialRecord]] = {}
    for record in searched:
        leads.setdefault(record.condition, []).append(record)
    return leads


def _centred(searched: Sequence[TrialRecord]) -> dict[int, float]:
    centred: dict[int, float] = {}
    for records in _by_lead(searched).values():
        mean = float(np.mean([record.macro_auroc or 0.0 for record in records]))
        centred |= {record.number: (record.macro_auroc or 0.0) - mean for record in records}
    return centred


def _between_leads(searched: Sequence[TrialRecord]) -> float | None:
    """Return the share of the variance of all scores that lies between the leads' means."""
    values = np.array([record.macro_auroc for record in searched], dtype=np.float64)
    if len(values) < MIN_TRIALS or values.var() == 0:
        return None
    within = np.array(list(_centred(searched).values()))
    return round(float(np.clip(1 - (within**2).mean() / values.var(), 0.0, 1.0)), 6)
