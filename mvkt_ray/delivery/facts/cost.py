"""Cost of a study, savings, and waste; a basis is stated for each estimate."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.reported_cost import Cost, Money
from mvkt_ray.records import Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.breakdown import Spending, teacher_usage
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.manifest import MANIFEST_NAME

_SPENT_IN_VAIN = (TrialState.FAILED, TrialState.DIVERGED)


def describe_cost(material: ReportMaterial) -> Cost:
    """Return the report's `cost`: wall-clock, CPU and GPU seconds by purpose, and money."""
    records = material.records
    finals = [record for records in material.rounds.values() for record in records]
    prices = PriceList(material.config.resources.cost)
    spending = Spending.of(
        prices,
        teacher=teacher_usage(material.folder, material.config),
        trials=records,
        finals=finals,
    )
    searched, final = _ended(records), _ended(finals)
    teacher_wall_s, teacher_cpu_s = _teacher_seconds(material)
    wall_s, cpu_s = _total(r.wall_s for r in searched), _total(r.cpu_s for r in searched)
    final_wall_s, final_cpu_s = _total(r.wall_s for r in final), _total(r.cpu_s for r in final)
    wasted_s = _total(r.wall_s for r in (*searched, *final) if r.state in _SPENT_IN_VAIN)
    states = Counter(record.state.value for record in records)
    epochs = material.config.trial_epochs
    pruned = [r for r in records if r.result is not None and r.state is TrialState.PRUNED]
    return Cost(
        trials={state.value: states[state.value] for state in TrialState},
        trial_wall_s=wall_s,
        trial_cpu_s=cpu_s,
        trial_gpu_s=round(spending.trials.gpu_s, 3),
        final_wall_s=final_wall_s,
        final_cpu_s=final_cpu_s,
        final_gpu_s=round(spending.finals.gpu_s, 3),
        teacher_wall_s=teacher_wall_s,
        teacher_cpu_s=teacher_cpu_s,
        teacher_gpu_s=round(spending.teacher.gpu_s, 3),
        total_wall_s=_total((wall_s, final_wall_s, teacher_wall_s or 0.0)),
        total_cpu_s=_total((cpu_s, final_cpu_s, teacher_cpu_s or 0.0)),
        total_gpu_s=round(spending.total.gpu_s, 3),
        epochs_trained=sum(r.epochs for r in searched),
        epochs_saved_by_pruning=sum(_spared_epochs(r, epochs) for r in pruned),
        saved_by_pruning_s=_total(_spared_s(r, epochs) for r in pruned),
        saved_by_knowledge_s=_saved_by_knowledge_s(material, (*records, *finals)),
        wasted_s=wasted_s,
        wall_s_of_failed_trials=_total(r.wall_s for r in searched if r.state in _SPENT_IN_VAIN),
        n_lost_attempts=sum(len(record.failures) for record in (*records, *finals)),
        stage_s=dict(material.folder.stage_times()),
        money=None if prices.is_empty else _money(spending, prices, records, epochs),
        basis=_basis(material),
    )


def _money(
    spending: Spending, prices: PriceList, records: Sequence[TrialRecord], epochs: int
) -> Money:
    n_paid = sum(1 for record in records if record.usage.worker_s > 0)
    spared = [_spared_money(record, prices, epochs) for record in records]
    return Money(
        currency=prices.currency,
        teacher=round(spending.teacher.money, 6),
        trials=round(spending.trials.money, 6),
        finals=round(spending.finals.money, 6),
        total=round(spending.total.money, 6),
        per_trial=round(spending.trials.money / n_paid, 6) if n_paid else None,
        wasted=round(spending.wasted.money, 6),
        saved_by_pruning=round(sum(spared), 6),
        unpriced_worker_s=round(spending.total.unpriced_s, 3),
    )


def _spared_money(record: TrialRecord, prices: PriceList, epochs: int) -> float:
    """Return the cost of the epochs that a pruned trial did not train; 0 for other trials."""
    result = record.result
    if result is None or result.state is not TrialState.PRUNED or not result.epochs:
        return 0.0
    money = prices.spent(record.usage.reservations).money
    return _spared_epochs(record, epochs) * money / result.epochs


def _basis(material: ReportMaterial) -> dict[str, str]:
    knowledge = material.config.student.knowledge
    saved = (
        "The teacher ran in the loop of every distilled trial: nothing was saved."
        if knowledge == "online"
        else "Seconds that the teacher took for one crop when its knowledge was computed, times "
        "the crops that distilled trials and finals learned from (one of each training recording "
        "in an epoch), less what computing the knowledge took. An estimate: a teacher in the loop "
        "would have run in other batches."
    )
    return {
        "wall_s": "Sums over trainings, which may have run side by side: not time by the clock. "
        "All finals that were begun are in them, and a teacher that was given to the study with "
        "what its own training took. A teacher's seconds, GPUs and money are with those of its "
        "assistants, where the study has any.",
        "gpu_s": "GPUs that workers reserved, times the seconds that they held them, over all "
        "attempts. A teacher that was given to the study has cost it nothing.",
        "money": "Seconds that workers held their node, times the share of its CPUs or GPUs that "
        "they reserved, whichever is more, times its price by the hour. Work on nodes without a "
        "price is left out and told by its seconds.",
        "saved_by_pruning_s": "Epochs that pruned trials were spared, each as long as that trial's "
        "mean epoch.",
        "saved_by_knowledge_s": saved,
        "wasted_s": "Wall seconds of failed and diverged trials. What attempts held after their "
        "last report, and lost with their worker, is in the money that was wasted.",
    }


def _ended(records: Sequence[TrialRecord]) -> list[TrialResult]:
    return [record.result for record in records if record.result is not None]


def _teacher_seconds(material: ReportMaterial) -> tuple[float | None, float | None]:
    """Return wall-clock and CPU seconds of training the teacher and its assistants.

    A teacher that was given to the study counts, too. None if its manifest has no times.
    """
    details = {} if material.teacher is None else material.teacher.details
    assistants = _assistants(material)

    def with_assistants(name: str) -> float | None:
        own = details.get(name)
        return None if own is None else _total([own, *(each[name] for each in assistants)])

    return with_assistants("wall_s"), with_assistants("cpu_s")


def _assistants(material: ReportMaterial) -> list[Mapping[str, Any]]:
    """Return the manifest details of the study's assistants, of which there are none by default."""
    if material.config.teacher.assistant is None:
        return []
    at = material.folder.assistants
    found = [at.teacher(condition.name) for condition in material.space.conditions]
    return [read_manifest(each).details for each in found if (each / MANIFEST_NAME).exists()]


def _spared_s(record: TrialRecord, epochs: int) -> float:
    result = record.result
    if result is None or not result.epochs:
        return 0.0
    return _spared_epochs(record, epochs) * result.wall_s / result.epochs


def _spared_epochs(record: TrialRecord, epochs: int) -> int:
    """Return the number of epochs that a trial did not train.

    A trial's own `epochs`, if set, replace the study's.
    """
    own = int(record.trial.hyperparameters["epochs"]) or epochs
    return 0 if record.result is None else max(0, own - record.result.epochs)


def _saved_by_knowledge_s(material: ReportMaterial, records: Sequence[TrialRecord]) -> float | None:
    """Return the estimated seconds saved; None if this study did not time the knowledge."""
    if material.config.student.knowledge == "online":
        return 0.0
    knowledge_s = material.folder.stage_times().get("knowledge")
    if knowledge_s is None or material.knowledge is None:
        return None
    counts = material.knowledge.counts
    distilled_epochs = sum(
        record.result.epochs
        for record in records
        if record.result is not None and _is_distilled(record.trial)
    )
    n_crops = distilled_epochs * counts["n_recordings"]
    return round(knowledge_s * (n_crops / counts["n_crops"] - 1), 3)


def _is_distilled(trial: Trial) -> bool:
    return Hyperparameters.of(trial.hyperparameters).uses_teacher


def _total(seconds: Iterable[float]) -> float:
    return round(sum(seconds), 3)
