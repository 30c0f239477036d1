"""Pareto fronts of the students of a search by size and score, and the smallest sufficient student.

They are determined on the validation split alone. After finals the test scores of students that
were trained again are added.
"""

from collections.abc import Sequence

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.reported_search import (
    ExaminedSize,
    Front,
    LeadFront,
    SizedTrial,
    Sizes,
)
from mvkt_ray.search.finals.finals_plan import is_chosen
from mvkt_ray.search.finals.front import MARGIN, front_of
from mvkt_ray.search.ledger.trial_record import TrialRecord


def compared_by(material: ReportMaterial) -> Objective:
    """Return the size by which students are compared: the first cost of the search."""
    costs = material.config.search.costs
    return costs[0] if costs else "parameters"


def sized_trials(material: ReportMaterial) -> tuple[SizedTrial, ...]:
    """Return the complete trials with a size, by number; empty if each lead has one size only."""
    by = compared_by(material)
    sized = tuple(
        trial for record in material.searched if (trial := _sized(record, by)) is not None
    )
    kinds = {(trial.lead, trial.n_parameters, trial.n_multiply_accumulates) for trial in sized}
    return sized if len(kinds) > len({lead for lead, *_ in kinds}) else ()


def describe_sizes(material: ReportMaterial, leads: Sequence[ReportedLead]) -> Sizes | None:
    """Return the report's `sizes`; None if all students of each lead have one size."""
    trials = sized_trials(material)
    if not trials:
        return None
    by = compared_by(material)
    records = [material.records[trial.trial] for trial in trials]
    by_lead = {lead.lead: [r for r in records if r.condition == lead.lead] for lead in leads}
    return Sizes(
        by=by,
        margin=MARGIN,
        window_s=float(material.config.view.crop_s),
        n_trials=len(trials),
        of_all_leads=describe_front(records, by),
        leads=tuple(
            _lead_front(describe_front(own, by), lead.lead, _examined(material, lead))
            for lead in leads
            if (own := by_lead[lead.lead])
        ),
    )


def describe_front(records: Sequence[TrialRecord], by: Objective) -> Front:
    """Return the Pareto front of trials, its best, and its smallest nearly as good one.

    Args:
        records: Trials with a score and a size; not empty.
        by: Size by which students are compared.
    """
    front = [
        trial
        for record in reversed(front_of(records, (SCORE, by)))
        if (trial := _sized(record, by)) is not None
    ]
    best = front[-1]
    # The same rule as in finals, so that the report describes a student that finals examined.
    near = next(trial for trial in front if trial.macro_auroc >= best.macro_auroc - MARGIN)
    return Front(front=tuple(front), best=best.trial, nearly_as_good=near.trial)


def _lead_front(front: Front, lead: str, examined: tuple[ExaminedSize, ...]) -> LeadFront:
    return LeadFront(
        front=front.front,
        best=front.best,
        nearly_as_good=front.nearly_as_good,
        lead=lead,
        examined=examined,
    )


def _sized(record: TrialRecord, by: Objective) -> SizedTrial | None:
    result = record.result
    if result is None or result.macro_auroc is None or not result.n_parameters:
        return None
    cost = result.objective(by)
    if not cost:
        return None
    return SizedTrial(
        trial=record.number,
        lead=record.condition,
        student=str(record.trial.hyperparameters["student"]),
        macro_auroc=result.macro_auroc,
        n_parameters=result.n_parameters,
        n_multiply_accumulates=result.n_multiply_accumulates,
        latency_ms=result.latency_ms,
        cost=cost,
    )


def _examined(material: ReportMaterial, lead: ReportedLead) -> tuple[ExaminedSize, ...]:
    """Return the sizes and test scores of a lead's chosen trials, in the order of the plan."""
    if material.finals is None:
        return ()
    found: list[ExaminedSize] = []
    for name, contender in lead.contenders.items():
        test, trial = contender.test, contender.trial
        if test is None or trial is None or not is_chosen(name):
            continue
        # Same hyper-parameters as the trial, hence the same size; latency is not measured again.
        sized = _sized(material.records[trial], compared_by(material))
        if sized is not None:
            found.append(
                ExaminedSize(
                    contender=name,
                    trial=sized.trial,
                    n_parameters=sized.n_parameters,
                    n_multiply_accumulates=sized.n_multiply_accumulates,
                    latency_ms=sized.latency_ms,
                    cost=sized.cost,
                    macro_auroc=test.macro_auroc,
                    ci=test.ci,
                    n_seeds=test.n_seeds,
                )
            )
    return tuple(found)
