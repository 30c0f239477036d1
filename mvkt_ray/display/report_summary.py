"""The report in a terminal: the answer, the ranked leads, their classes, what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence
from mvkt_ray.delivery.sentences.recording_counts import use_sentence
from mvkt_ray.delivery.wording import contender_name
from mvkt_ray.display.console import TERMINAL, duration, facts, grid, heading, score
from mvkt_ray.display.money import money
from mvkt_ray.phrasing import percent

CLASSES_SHOWN = 9
"""More columns than these do not fit a terminal; the page has all."""

MEMBER = "*"
"""Marks a lead that cannot be told from the best."""

Report = Mapping[str, Any]


def summarize(report: Report, page: str) -> list[RenderableType]:
    """Draw a report for people.

    Args:
        report: as `report.json` has it.
        page: path of the HTML page.
    """
    is_final = report["answer"]["ranked_on"] == "test"
    title = f"Study {report['study']}, task {report['task']}"
    answer = Text(report["answer"]["sentence"], style="" if is_final else "yellow")
    shown: list[RenderableType] = [heading(title), answer]
    shown.append(_examined(report) if is_final else _searched(report))
    shown.extend(_per_class(report, "test" if is_final else "validation"))
    shown.append(facts(_facts(report, page)))
    if report["data"] is not None:
        # Whoever searched from recordings has not seen what their ingest said.
        shown.extend(Text(f"Note: {remark}") for remark in report["data"]["remarks"])
    return shown


def _examined(report: Report) -> RenderableType:
    """Rank on the test split, with intervals and what the teacher bought."""
    level = percent(report["statistics"]["level"])
    numbers = ["", "macro AUROC", "to the best", "gain"]
    columns = ["", "lead", "macro AUROC", f"{level} interval", "to the best", "gain", "corrected"]
    table = grid(["", *columns], right=numbers)
    for lead in report["leads"]:
        test, to_best = lead["test"], lead["difference_to_best"]
        gain = _compared_gain(report, lead)
        table.add_row(
            Text(MEMBER if lead["in_best_set"] else "", "bold green"),
            str(lead["rank"]),
            Text(lead["lead"], "bold"),
            Text(_macro(test), "bold green" if lead["in_best_set"] else ""),
            TERMINAL.interval(test and test["ci"]),
            TERMINAL.signed(to_best and to_best["difference"]),
            "-" if gain is None else _gain(gain),
            TERMINAL.signed_interval(None if gain is None else gain["ci_corrected"]),
        )
    return table


def _searched(report: Report) -> RenderableType:
    """Rank on the validation split, beside the baselines; nothing is claimed."""
    columns = ["", "lead", "macro AUROC", "corrected", "alone", "plain KD", "trials", "trial"]
    table = grid(columns, right=["", *columns[2:]])
    for lead in report["leads"]:
        validation = lead["validation"]
        table.add_row(
            str(lead["rank"]),
            Text(lead["lead"], "bold"),
            _macro(validation),
            score(None if validation is None else validation["corrected"]),
            _macro(_contender(lead, "student_alone")),
            _macro(_contender(lead, "plain_kd")),
            str(lead["search"]["n_trials"]),
            "-" if lead["trial"] is None else f"#{lead['trial']}",
        )
    return table


def _per_class(report: Report, split: str) -> list[RenderableType]:
    names = list(report["classes"])
    if not names or len(names) > CLASSES_SHOWN:
        return []
    table = grid(["lead", *names], right=names)
    for lead in report["leads"]:
        if lead[split] is not None:
            table.add_row(Text(lead["lead"], "bold"), *_classes(lead[split], names))
    if report["teacher"] is not None and report["teacher"][split] is not None:
        table.add_row(Text("teacher", "dim"), *_classes(report["teacher"][split], names))
    return [heading(f"AUROC by class, {split} split"), table]


def _facts(report: Report, page: str) -> dict[str, object]:
    cost = report["cost"]
    ended = ", ".join(f"{n} {state}" for state, n in cost["trials"].items() if n)
    rows: dict[str, object] = {}
    if report["best_set"]:
        level = percent(report["statistics"]["level"])
        n_ranked = sum(lead["in_best_set"] is not None for lead in report["leads"])
        rows[MEMBER] = (
            f"cannot be told from the best ({level}, over all leads)"
            if n_ranked > 1
            else "the only lead that was ranked"
        )
    if report["mean_gain"] is not None:
        over = contender_name(report["mean_gain"]["over"])
        rows["gain"] = f"over {over}; bold where its corrected interval leaves out 0"
    left_out = [left_out_sentence(report, split) for split in ("validation", "test")]
    if any(left_out):
        rows["classes"] = " ".join(filter(None, left_out))
    if report["teacher"] is not None:
        rows["teacher"] = _teacher(report["teacher"])
    if report["data"] is not None:
        rows["data"] = use_sentence(report["data"])
    rows["trials"] = ended or "none has ended"
    gpu = f", {duration(cost['total_gpu_s'])} of GPU time" if cost["total_gpu_s"] else ""
    rows["cost"] = (
        f"{duration(cost['total_wall_s'])} of training, {duration(cost['total_cpu_s'])} of CPU "
        f"time{gpu}; saved {duration(cost['saved_by_pruning_s'])} by pruning"
    )
    if (spent := cost["money"]) is not None:
        rows["money"] = (
            f"{money(spent['total'], spent['currency'])}; wasted by failures "
            f"{money(spent['wasted'], spent['currency'])}"
        )
        if spent["unpriced_worker_s"]:
            rows["money"] += f"; price unknown for {duration(spent['unpriced_worker_s'])}"
    if cost["stage_s"]:
        rows["stages"] = ", ".join(f"{name} {duration(s)}" for name, s in cost["stage_s"].items())
    opened = report["test_split"]["opened"]
    times = {0: "never opened", 1: "opened once"}
    rows["test split"] = times.get(opened, f"opened {opened} times")
    rows["report"] = page
    return rows


def _teacher(teacher: Mapping[str, Any]) -> str:
    parts = [f"{score(teacher['validation']['macro_auroc'])} on validation"]
    if teacher["test"] is not None:
        parts.insert(0, f"{score(teacher['test']['macro_auroc'])} on test")
    n_leads = len(teacher["leads"])
    return f"macro AUROC {', '.join(parts)}, with {n_leads} lead{'' if n_leads == 1 else 's'}"


def _contender(lead: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    contender = lead["contenders"].get(name)
    return None if contender is None else contender["validation"]


def _classes(scores: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    values = (scores["per_class"].get(name) for name in names)
    return [score(each["auroc"] if isinstance(each, Mapping) else each) for each in values]


def _macro(part: Mapping[str, Any] | None) -> str:
    return score(None if part is None else part["macro_auroc"])


def _compared_gain(report: Report, lead: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the gain of a lead over what the column is about, the same for all leads."""
    over = None if report["mean_gain"] is None else report["mean_gain"]["over"]
    return next((gain for gain in lead["gains"] if gain["over"] == over), None)


def _gain(gain: Mapping[str, Any]) -> Text:
    return Text(TERMINAL.signed(gain["difference"]), "bold" if gain["claimed"] else "")
