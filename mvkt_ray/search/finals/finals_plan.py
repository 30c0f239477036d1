"""Plans the trainings of finals: per condition the search's choice, its baselines, and contenders.

A plan is a pure function of the study's configuration and its ledger, so that an interrupted
`mvkt finalize` finds the same trainings again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mvkt_ray.config.objectives import SCORE, Objective
from mvkt_ray.config.recipes import taught_by
from mvkt_ray.config.search_config import ContenderConfig, FinalsConfig, Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition, Trial
from mvkt_ray.search.choosing.class_weights import weigh
from mvkt_ray.search.choosing.conditions import read_contender_leads
from mvkt_ray.search.choosing.parameters import check_hyperparameters, read_value, require_name
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.student_sizes import without_unused_sizes
from mvkt_ray.search.finals.front import few_of_front, front_of
from mvkt_ray.search.ledger.trial_record import TrialRecord

CHOSEN = "chosen"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One configuration of one condition, trained with several seeds."""

    name: str
    """`chosen`, `chosen_2`, `student_alone`, ... or a name of `finals.contenders`."""
    condition: Condition
    hyperparameters: Mapping[str, Scalar]
    n_seeds: int
    chosen_trial: int | None
    """The search trial that the configuration starts from; None: the defaults of the space."""
    kd_class_weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """As in `Trial`."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for the ledger."""
        return asdict(self) | {"condition": self.condition.name}


def plan_finals(
    config: FinalsConfig,
    space: SearchSpace,
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective] = (SCORE,),
) -> tuple[Contender, ...]:
    """Choose configurations by validation only, and add baselines and contenders.

    Args:
        config: Configuration of the finals.
        space: The study's space, with its defaults, conditions and plain distillation.
        records: All trials of the search.
        objectives: Objectives of the study. With several, points of a condition's front are chosen:
            `chosen` has the best score, `chosen_2` and so on are smaller or faster.

    Returns:
        Condition by condition, in the study's order.

    Raises:
        ConfigError: A condition has no complete search trial, or a contender is not valid.
    """
    _check_answer(config, objectives)
    leads_of = {
        name: read_contender_leads(
            contender.leads, space.conditions, space.leads, f"finals.contenders.{name}.leads"
        )
        for name, contender in config.contenders.items()
    }
    return tuple(
        _contender(each, condition, config, space, records)
        for condition in space.conditions
        for each in _configurations(
            config, space, records, condition, objectives, leads_of=leads_of
        )
    )


def is_chosen(contender: str) -> bool:
    """Whether a contender is a trial of the search as it was: `chosen`, `chosen_2`, ..."""
    first, _, rank = contender.partition("_")
    return first == CHOSEN and (rank.isdecimal() or contender == CHOSEN)


def final_trials(plan: Sequence[Contender]) -> tuple[Trial, ...]:
    """Return the numbered trainings of a plan: all first seeds before any second seed.

    So finals that are stopped early have the same seeds for all contenders, as pairs.
    """
    n_rounds = max((contender.n_seeds for contender in plan), default=0)
    pairs = [
        (repetition, contender)
        for repetition in range(n_rounds)
        for contender in plan
        if repetition < contender.n_seeds
    ]
    return tuple(
        Trial(
            number=number,
            condition=contender.condition,
            arm=Arm.FINAL,
            hyperparameters=dict(contender.hyperparameters),
            repetition=repetition,
            contender=contender.name,
            kd_class_weights=dict(contender.kd_class_weights),
        )
        for number, (repetition, contender) in enumerate(pairs)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Configuration:
    """A contender of a condition before its check: a trial, and changes of its values."""

    name: str
    base: TrialRecord | None
    """The search trial that it starts from; None: the defaults of the space."""
    own: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Hyper-parameters that it sets."""
    n_seeds: int | None = None
    """None: as many as the finals have."""


def _configurations(
    config: FinalsConfig,
    space: SearchSpace,
    records: Sequence[TrialRecord],
    condition: Condition,
    objectives: Sequence[Objective],
    *,
    leads_of: Mapping[str, Sequence[Condition]],
) -> Iterator[_Configuration]:
    """Yield the search's choice for a condition, its baselines, and further contenders."""
    chosen = _best_trials(config, records, condition, objectives)
    for rank, record in enumerate(chosen, start=1):
        yield _Configuration(name=CHOSEN if rank == 1 else f"{CHOSEN}_{rank}", base=record)
    best = chosen[0] if chosen else None
    for name in config.baselines:
        yield _Configuration(name=name, base=best, own=_without_teacher(name, space))
    for name, contender in config.contenders.items():
        if condition not in leads_of[name]:
            continue
        base = best if contender.base == "chosen" else None
        if contender.where:
            base = _best_where(name, contender, records, condition)
        own = _read(name, contender, "set")
        yield _Configuration(name=name, base=base, own=own, n_seeds=contender.n_seeds)


def _contender(
    configuration: _Configuration,
    condition: Condition,
    config: FinalsConfig,
    space: SearchSpace,
    records: Sequence[TrialRecord],
) -> Contender:
    """Check a configuration, and complete it by its trial's values or the defaults."""
    where = f"finals: {configuration.name} of {condition.name}"
    base, own = configuration.base, configuration.own
    # The defaults first: another student than the base's may have parameters that the base lacks.
    values = {**space.defaults, **(base.trial.hyperparameters if base else {}), **own}
    unweighed = without_unused_sizes(values, own, where)
    check_hyperparameters(unweighed, where)
    weighed, class_weights = weigh(unweighed, records, condition)
    if weighed != unweighed:
        raise ConfigError(
            f"{where}: kd_class_weights is auto, which is computed from the lead's student_alone "
            "in the search, and no such trial is complete. Continue the search, or set "
            "kd_class_weights to even."
        )
    return Contender(
        name=configuration.name,
        condition=condition,
        hyperparameters=weighed,
        n_seeds=configuration.n_seeds or config.n_seeds,
        chosen_trial=base.number if base else None,
        kd_class_weights=class_weights,
    )


def _without_teacher(name: str, space: SearchSpace) -> Mapping[str, Scalar]:
    match name:
        case "student_alone":
            return taught_by(None)
        case "mkd_only":
            return taught_by("kd_weight")
        case "clt_only":
            return taught_by("clt_weight")
        case _:
            return space.plain_kd


def _best_trials(
    config: FinalsConfig,
    records: Sequence[TrialRecord],
    condition: Condition,
    objectives: Sequence[Objective],
) -> list[TrialRecord]:
    complete = _complete(records, condition)
    if len(complete) < min(1, config.n_configurations):
        raise ConfigError(
            f"lead {condition.name} has no complete trial to choose from: {len(complete)} of its "
            "trials were completed. Continue the search (`mvkt search --resume` with more "
            "--max-trials), or leave the lead out of search.leads in a new study."
        )
    if len(objectives) > 1 and config.n_configurations:
        return few_of_front(front_of(complete, objectives), objectives, config.n_configurations)
    return complete[: config.n_configurations]


def _best_where(
    name: str, contender: ContenderConfig, records: Sequence[TrialRecord], condition: Condition
) -> TrialRecord:
    required = _read(name, contender, "where")
    for record in _complete(records, condition):
        if required.items() <= record.trial.hyperparameters.items():
            return record
    wanted = ", ".join(f"{key} {value!r}" for key, value in required.items())
    raise ConfigError(
        f"finals.contenders.{name}: no trial of lead {condition.name} was completed with "
        f"{wanted}. Add such a choice to the space and continue the search, or correct `where`."
    )


def _complete(records: Sequence[TrialRecord], condition: Condition) -> list[TrialRecord]:
    """Return the complete search trials of a condition, the best first, then by number."""
    complete = [
        record
        for record in records
        if record.trial.arm is Arm.SEARCH
        and record.trial.condition == condition
        and record.macro_auroc is not None
    ]
    return sorted(complete, key=lambda record: (-(record.macro_auroc or 0.0), record.number))


def _check_answer(config: FinalsConfig, objectives: Sequence[Objective]) -> None:
    chosen = [CHOSEN, *(f"{CHOSEN}_{rank}" for rank in range(2, config.n_configurations + 1))]
    names = [*chosen[: config.n_configurations], *config.baselines, *config.contenders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"finals.contenders: the name {twice[0]!r} is reserved: the finals have a contender "
            "of this name. Give it another name."
        )
    if config.answer not in names:
        raise ConfigError(
            f"finals.answer is {config.answer!r}, but the finals compare {', '.join(names)}. Name "
            "one of these; it ranks the leads."
        )
    if config.answer in chosen[1:] and len(objectives) > 1:
        raise ConfigError(
            f"finals.answer is {config.answer!r}, a further point of each lead's Pareto front, "
            f"which some leads may lack. Set it to {CHOSEN}, the best by score, or to a contender."
        )
    contender = config.contenders.get(config.answer)
    if contender is not None and contender.leads:
        raise ConfigError(
            f"finals.answer is {config.answer!r}, which is trained for some leads only. Leave its "
            "`leads` out, or name another contender."
        )


def _read(
    name: str, contender: ContenderConfig, field: Literal["set", "where"]
) -> dict[str, Scalar]:
    values: Mapping[str, Scalar] = getattr(contender, field)
    at = f"finals.contenders.{name}.{field}"
    for key in values:
        require_name(at, key)
    return {key: read_value(key, value, f"{at}.{key}") for key, value in values.items()}
