"""Small or good: which students of a search no smaller one beats, and which small one is enough.

Which they are is decided on the validation split alone. After finals those that were trained again
stand beside them with what they score on the test split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mvkt_ray.config.schema import Objective
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.search.finals.finals_plan import is_chosen
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.statistics.pareto import non_dominated

MARGIN = 0.01
"""Of macro AUROC: a student that is behind the best by no more is called nearly as good."""
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class SizedTrial:
    """A complete trial of the search: what its student scored, and how large it is."""

    trial: int
    lead: str
    student: str
    macro_auroc: float
    """On validation."""
    n_parameters: int
    n_multiply_accumulates: int
    latency_ms: float | None
    cost: float
    """That of the three by which students are compared."""


def compared_by(material: ReportMaterial) -> Objective:
    """Return what students are compared by beside the score: what the search looked for first."""
    costs = material.config.search.costs
    return costs[0] if costs else "parameters"


def sized_trials(material: ReportMaterial) -> tuple[SizedTrial, ...]:
    """Return the trials that can be compared by size, by number.

    Returns:
        Empty where all students of each lead have one size: then there is nothing to compare.
    """
    by = compared_by(material)
    sized = tuple(
        trial for record in material.searched if (trial := _sized(record, by)) is not None
    )
    kinds = {(trial.lead, trial.n_parameters, trial.n_multiply_accumulates) for trial in sized}
    return sized if len(kinds) > len({lead for lead, *_ in kinds}) else ()


def front_of(trials: Sequence[SizedTrial]) -> list[SizedTrial]:
    """Return the trials that no other one beats in score and size, the smallest first.

    Of students that are alike in both, the one that was trained first.
    """
    if not trials:
        return []
    values_ND = np.array([[trial.macro_auroc, trial.cost] for trial in trials])
    on_front_N = non_dominated(values_ND, maximize=(True, False))
    front = [trial for trial, is_on in zip(trials, on_front_N, strict=True) if is_on]
    first = {(t.cost, t.macro_auroc): t for t in sorted(front, key=lambda t: -t.trial)}
    return [first[at] for at in sorted(first)]


def nearly_as_good(front: Sequence[SizedTrial]) -> SizedTrial:
    """Return the smallest of a front that is within the margin of its best.

    Args:
        front: The smallest first, so that the best is the last; not empty.
    """
    least = front[-1].macro_auroc - MARGIN - _ROUNDING
    return next(trial for trial in front if trial.macro_auroc >= least)


def describe_sizes(
    material: ReportMaterial, leads: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return the report's `sizes`; None where all students of each lead have one size.

    Args:
        material: The study.
        leads: The report's, in their order.
    """
    trials = sized_trials(material)
    if not trials:
        return None
    by_lead = {lead["lead"]: [t for t in trials if t.lead == lead["lead"]] for lead in leads}
    return {
        "by": compared_by(material),
        "margin": MARGIN,
        "window_s": float(material.config.view.crop_s),
        "n_trials": len(trials),
        "of_all_leads": _describe(trials),
        "leads": [
            {"lead": lead["lead"]}
            | _describe(by_lead[lead["lead"]])
            | {"examined": _examined(material, lead)}
            for lead in leads
            if by_lead[lead["lead"]]
        ],
    }


def _sized(record: TrialRecord, by: Objective) -> SizedTrial | None:
    result = record.result
    if result is None or result.macro_auroc is None or not result.n_parameters:
        return None
    cost = result.objective(by)
    if cost is None:
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


def _describe(trials: Sequence[SizedTrial]) -> dict[str, Any]:
    front = front_of(trials)
    return {
        "front": [asdict(trial) for trial in front],
        "best": front[-1].trial,
        "nearly_as_good": nearly_as_good(front).trial,
    }


def _examined(material: ReportMaterial, lead: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Describe the trials of a lead that finals trained again, in the order of their plan."""
    if material.finals is None:
        return []
    found: list[dict[str, Any]] = []
    for name, contender in lead["contenders"].items():
        test = contender["test"]
        if test is None or not is_chosen(name):
            continue
        # It has the hyper-parameters of the trial, and so the size; a latency is not measured anew.
        sized = _sized(material.records[contender["trial"]], compared_by(material))
        if sized is not None:
            names = ("trial", "n_parameters", "n_multiply_accumulates", "latency_ms", "cost")
            size = {key: getattr(sized, key) for key in names}
            scores = {key: test[key] for key in ("macro_auroc", "ci", "n_seeds")}
            found.append({"contender": name} | size | scores)
    return found
