"""The plan of a search in a terminal and as JSON: its stages, and its predicted cost."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mvkt_ray.display.console import facts, grid, heading
from mvkt_ray.phrasing import byte_size, duration, money, number_ranges

if TYPE_CHECKING:
    from mvkt_ray.search.disk.disk_need import DiskNeed
    from mvkt_ray.search.planned_stages import PlannedStage
    from mvkt_ray.search.search_plan import SearchPlan
    from mvkt_ray.search.spending.forecast import Forecast

NO_BASIS = (
    "nothing: no trial of this study was completed or pruned. Give a study with similar data, "
    "networks and nodes by --like STUDY_DIR"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """Place of execution of a plan, and its predicted time, cost and disk space."""

    where: str
    forecast: "Forecast | None"
    disk_need: "DiskNeed | None"


def plan_tables(plan: "SearchPlan", outlook: Outlook) -> list[RenderableType]:
    """Return the tables of a plan and its outlook."""
    forecast = outlook.forecast
    data = plan.config.data
    rows: dict[str, object] = {
        "study": plan.config.name,
        "task": f"{data.task} of {data.source}",
        "folds": f"train {number_ranges(data.folds.train)}; validation "
        f"{number_ranges(data.folds.val)}; test {number_ranges(data.folds.test)}",
        "leads": " ".join(condition.name for condition in plan.space.conditions),
        "where": outlook.where,
        "predicted": NO_BASIS if forecast is None else prediction_text(forecast),
        "disk": _disk_text(outlook.disk_need),
    }
    table = grid(["stage", "what would be done"])
    for stage in plan.stages:
        table.add_row(stage.name, _text(stage))
    return [facts(rows), table, heading("Nothing has been written.")]


def plan_as_value(plan: "SearchPlan", outlook: Outlook) -> dict[str, Any]:
    """Return a plan and its outlook as a JSON object."""
    forecast, need = outlook.forecast, outlook.disk_need
    return {
        "study": plan.config.name,
        "where": outlook.where,
        "stages": {stage.name: _text(stage) for stage in plan.stages},
        "conditions": [condition.name for condition in plan.space.conditions],
        "n_trials": plan.config.search.n_trials,
        "n_baselines": plan.n_baselines,
        "prediction": None if forecast is None else asdict(forecast),
        "disk_need": None if need is None else asdict(need) | {"total": need.total},
    }


def prediction_text(forecast: "Forecast") -> str:
    """Write a prediction of time and cost in one line, with its basis."""
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


def _disk_text(need: "DiskNeed | None") -> str:
    if need is None:
        return "known once the shards exist"
    return (
        f"up to {byte_size(need.total)} more: {byte_size(need.stages)} of knowledge, "
        f"{byte_size(need.trial)} for each of {need.n_trials} trials, and "
        f"{byte_size(need.checkpoint)} for each of {need.n_at_once} that run at once"
    )


def _text(stage: "PlannedStage") -> str:
    return f"use {stage.what}" if stage.action == "reuse" else stage.what
