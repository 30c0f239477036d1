"""The ranked leads: scores, contenders, and differences to the best.

Before finals leads are ranked by their best search trial on validation, after finals by the answer
on test.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.class_means import validation_scores
from mvkt_ray.delivery.facts.comparisons import ALONE
from mvkt_ray.delivery.facts.evidence import LEVEL, Evidence
from mvkt_ray.delivery.facts.gaps.teacher_gap import gap_closed
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.split_scores import describe_test, describe_validation
from mvkt_ray.delivery.facts.study_summary import stopped_at
from mvkt_ray.delivery.report.reported_differences import DifferenceToBest, Gain
from mvkt_ray.delivery.report.reported_leads import (
    LeadSearch,
    ReportedContender,
    ReportedLead,
)
from mvkt_ray.delivery.report.reported_scores import ChosenValidation, ValidationScores
from mvkt_ray.json_values import finite
from mvkt_ray.records import Condition
from mvkt_ray.search.finals.finals_plan import CHOSEN, Contender
from mvkt_ray.search.finals.finals_results import Key
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.ranking import LeadRank
from mvkt_ray.statistics.best_set import BestSet, best_set


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ranking:
    """Leads by the test score of their answers, and the best set."""

    leads: tuple[str, ...]
    best: BestSet
    """Best set; its positions are those of `leads`."""

    @classmethod
    def of(cls, evidence: Evidence) -> "Ranking | None":
        """Rank the leads that have an answer; None without such a lead."""
        if not evidence.leads:
            return None
        resampled = evidence.over(evidence.ranking_seeds)
        areas = resampled.areas
        at = np.array([resampled.position(evidence.answer(lead)) for lead in evidence.leads])
        order = np.argsort(-areas.macro_K[at], kind="stable")
        at = at[order]
        members = best_set(
            areas.macro_K[at], areas.macro_BK[:, at], LEVEL, seeds_KR=areas.macro_KR[at]
        )
        return cls(leads=tuple(evidence.leads[i] for i in order), best=members)

    @property
    def best_set(self) -> tuple[str, ...]:
        """Leads that cannot be distinguished from the best, by rank."""
        return tuple(itertools.compress(self.leads, self.best.members))


def leads_after_finals(
    material: ReportMaterial,
    evidence: Evidence,
    ranking: Ranking | None,
    gains: Mapping[Key, Gain],
    selections: Selections,
) -> tuple[ReportedLead, ...]:
    """Return the report's `leads`, ranked on the test split; leads without an answer come last."""
    finals = evidence.finals
    ranked = ranking.leads if ranking is not None else ()
    planned = tuple(dict.fromkeys(each.condition.name for each in finals.plan))
    names = (*ranked, *(lead for lead in planned if lead not in ranked))
    leads: list[ReportedLead] = []
    for rank, lead in enumerate(names, start=1):
        contenders = {
            each.name: _final_contender(material, evidence, each)
            for each in finals.plan
            if each.condition.name == lead
        }
        answer = contenders[finals.answer]
        own_gains = tuple(gains[key] for key in evidence.contenders(lead) if key in gains)
        standing = ranking if lead in ranked else None
        closed = to_best = None
        if standing is not None:
            closed = gap_closed(evidence, [lead])
            to_best = _difference_to_best(standing, lead)
        leads.append(
            replace(
                _searched(material, selections, lead, rank),
                trial=answer.trial,
                seeds=answer.seeds,
                hyperparameters=answer.hyperparameters,
                n_parameters=_n_parameters(finals.records, finals.answer, lead),
                validation=_chosen_validation(material, selections, lead, answer.trial),
                test=answer.test,
                contenders=contenders,
                gain=first_gain(own_gains),
                gains=own_gains,
                gap_closed=closed,
                in_best_set=None if standing is None else lead in standing.best_set,
                difference_to_best=to_best,
            )
        )
    return tuple(leads)


def leads_before_finals(
    material: ReportMaterial, selections: Selections
) -> tuple[ReportedLead, ...]:
    """Return the report's `leads`, ranked on validation."""
    return tuple(
        _searched(material, selections, rank.condition.name, position)
        for position, rank in enumerate(material.ranks, start=1)
    )


AnyGain = TypeVar("AnyGain", bound=Gain)


def first_gain(gains: Sequence[AnyGain]) -> AnyGain | None:
    """Return the gain over the student alone, or else the first gain."""
    return min(gains, key=lambda gain: gain.over != ALONE, default=None)


def _searched(
    material: ReportMaterial, selections: Selections, lead: str, rank: int
) -> ReportedLead:
    """Return a lead with the results of the search alone."""
    found = next(each for each in material.ranks if each.condition.name == lead)
    best = found.best
    number = None if best is None else best.number
    return ReportedLead(
        rank=rank,
        lead=lead,
        leads=tuple(Condition.from_name(lead).leads),
        trial=number,
        seeds=() if best is None else (best.trial.repetition,),
        hyperparameters=None if best is None else dict(best.trial.hyperparameters),
        n_parameters=None if best is None else _parameters_of(best),
        search=LeadSearch(
            best_trial=number,
            n_trials=found.n_trials,
            n_complete=found.n_complete,
            n_pruned=found.n_pruned,
            n_failed=found.n_failed,
            stopped_at_trial=stopped_at(material).get(lead),
        ),
        validation=_chosen_validation(material, selections, lead, number),
        test=None,
        contenders=_searched_contenders(material, found),
        gain=None,
        gains=(),
        gap_closed=None,
        in_best_set=None,
        difference_to_best=None,
    )


def _chosen_validation(
    material: ReportMaterial, selections: Selections, lead: str, trial: int | None
) -> ChosenValidation | None:
    """Return the validation scores of a chosen search trial, corrected for the choice."""
    if trial is None or material.records[trial].result is None:
        return None
    candidates = [record for record in material.searched if record.condition == lead]
    scores = _validation_of(material, material.records[trial])
    return None if scores is None else selections.describe_lead(lead, candidates, scores)


def _searched_contenders(material: ReportMaterial, found: LeadRank) -> dict[str, ReportedContender]:
    records = {CHOSEN: found.best, ALONE: found.student_alone, "plain_kd": found.plain_kd}
    return {
        name: ReportedContender(
            trial=record.number,
            seeds=(record.trial.repetition,),
            hyperparameters=dict(record.trial.hyperparameters),
            validation=_validation_of(material, record),
            test=None,
        )
        for name, record in records.items()
        if record is not None
    }


def _validation_of(material: ReportMaterial, record: TrialRecord) -> ValidationScores | None:
    result = record.result
    if result is None:
        return None
    return validation_scores(result.macro_auroc, result.per_class_auroc, material.classes)


def _final_contender(
    material: ReportMaterial, evidence: Evidence, contender: Contender
) -> ReportedContender:
    key = (contender.name, contender.condition.name)
    is_there = key in evidence.finals.test.seeds and evidence.can_be_scored
    return ReportedContender(
        trial=contender.chosen_trial,
        seeds=evidence.seeds(key) if is_there else (),
        hyperparameters=dict(contender.hyperparameters),
        validation=describe_validation(evidence, key) if is_there else None,
        test=describe_test(evidence, key, material.task) if is_there else None,
    )


def _n_parameters(records: Sequence[TrialRecord], contender: str, lead: str) -> int | None:
    own = (r for r in records if r.trial.contender == contender and r.condition == lead)
    return next((n for record in own if (n := _parameters_of(record))), None)


def _parameters_of(record: TrialRecord) -> int | None:
    return None if record.result is None else record.result.n_parameters or None


def _difference_to_best(ranking: Ranking, lead: str) -> DifferenceToBest | None:
    if len(ranking.leads) < 2:
        return None
    best, k = ranking.best, ranking.leads.index(lead)

    def at(values_K: NDArray[np.float64]) -> float | None:
        return finite(values_K[k])

    return DifferenceToBest(
        difference=float(best.difference_K[k]),
        low=at(best.low_K),
        high=at(best.high_K),
        p=at(best.p_K),
    )
