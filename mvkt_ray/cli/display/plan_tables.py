"""The plan of a search in a terminal and as JSON: its stages, and what it is predicted to take."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mvkt_ray.cli.display.console import duration, facts, grid, heading
from mvkt_ray.cli.display.money import money
from mvkt_ray.phrasing import number_ranges

if TYPE_CHECKING:
    from mvkt_ray.search.planned_stages import PlannedStage
    from mvkt_ray.search.search_plan import SearchPlan
    from mvkt_ray.search.spending.forecast import Forecast

NO_BASIS = (
    "nothing: no trial of this study was completed or pruned. Give a study that ran with such "
    "data, networks and nodes by --like STUDY_DIR"
)


def plan_tables(
    plan: "SearchPlan", where: str, forecast: "Forecast | None"
) -> list[RenderableType]:
    """Draw a plan, where it would run, and what it is predicted to take."""
    data = plan.config.data
    rows: dict[str, object] = {
        "study": plan.config.name,
        "task": f"{data.task} of {data.source}",
        "folds": f"train {number_ranges(data.folds.train)}; validation "
        f"{number_ranges(data.folds.val)}; test {number_ranges(data.folds.test)}",
        "leads": " ".join(condition.name for condition in plan.space.conditions),
        "where": where,
        "predicted": NO_BASIS if forecast is None else prediction_text(forecast),
    }
    table = grid(["stage", "what would be done"])
    for stage in plan.stages:
        table.add_row(stage.name, _text(stage))
    return [facts(rows), table, heading("Nothing has been written.")]


def plan_as_value(plan: "SearchPlan", where: str, forecast: "Forecast | None") -> dict[str, Any]:
    """Return a plan as plain values, for JSON."""
    return {
        "study": plan.config.name,
        "where": where,
        "stages": {stage.name: _text(stage) for stage in plan.stages},
        "conditions": [condition.name for condition in plan.space.conditions],
        "n_trials": plan.config.search.n_trials,
        "n_baselines": plan.n_baselines,
        "prediction": None if forecast is None else asdict(forecast),
    }


def prediction_text(forecast: "Forecast") -> str:
    """Write a prediction in one line, with its basis."""
    parts = [f"{forecast.worker_hours:.3g} worker hours"]
    if forecast.gpu_hours:
        parts.append(f"{forecast.gpu_hours:.3g} GPU hours")
    if forecast.money is not None:
        parts.append(money(forecast.money, forecast.currency))
    return (
        f"about {duration(forecast.wall_s)} with {forecast.n_at_once} trials at once; "
        f"{', '.join(parts)}: {forecast.n_trials} trials of {duration(forecast.full_trial_s)}, of "
        f"whose epochs {forecast.share:.0%} are trained. From {forecast.basis}; without ingest, "
        "teacher and knowledge"
    )


def _text(stage: "PlannedStage") -> str:
    return f"use {stage.what}" if stage.action == "reuse" else stage.what
