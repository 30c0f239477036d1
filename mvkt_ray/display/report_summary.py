"""The report in a terminal: answer, ranked leads, scores by class, cost."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.delivery.report.quantities import SPLITS, Split
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.reported_scores import Scores
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence
from mvkt_ray.delivery.sentences.recording_counts import use_sentence
from mvkt_ray.delivery.wording import contender_name
from mvkt_ray.display.console import facts, grid, heading
from mvkt_ray.phrasing import TERMINAL, counted, duration, money

CLASSES_SHOWN = 9
"""Most classes with a column in a terminal; the page has all."""

MEMBER = "*"
"""Mark of a lead in the best set."""


def summarize(report: StudyReport, page: str) -> list[RenderableType]:
    """Return answer and tables of a report.

    Args:
        report: Report of a study.
        page: Path of the HTML page.
    """
    is_final = report.is_final
    title = f"Study {report.study}, task {report.task}"
    answer = Text(report.answer.sentence, style="" if is_final else "yellow")
    shown: list[RenderableType] = [heading(title), answer]
    shown.append(_examined(report) if is_final else _searched(report))
    shown.extend(_per_class(report, "test" if is_final else "validation"))
    shown.append(facts(_facts(report, page)))
    if report.data is not None:
        # A search that ran the ingest itself has not shown the ingest's remarks.
        shown.extend(Text(f"Note: {remark}") for remark in report.data.remarks)
    return shown


def gain_text(gain: Gain | None) -> Text:
    """Write a difference, in bold if it is claimed."""
    if gain is None:
        return Text(TERMINAL.nothing)
    return Text(TERMINAL.signed(gain.difference), "bold" if gain.claimed else "")


def _examined(report: StudyReport) -> RenderableType:
    """Return the ranking on the test split, with intervals and gains."""
    interval = f"{report.statistics.level_text} interval"
    numbers = ["", "macro AUROC", "to the best", "gain"]
    columns = ["", "lead", "macro AUROC", interval, "to the best", "gain", "corrected"]
    table = grid(["", *columns], right=numbers)
    for lead in report.leads:
        test, to_best = lead.test, lead.difference_to_best
        gain = _compared_gain(report, lead)
        table.add_row(
            Text(MEMBER if lead.in_best_set else "", "bold green"),
            str(lead.rank),
            Text(lead.lead, "bold"),
            Text(_macro(test), "bold green" if lead.in_best_set else ""),
            TERMINAL.interval(test and test.ci),
            TERMINAL.signed(to_best and to_best.difference),
            gain_text(gain),
            TERMINAL.signed_interval(None if gain is None else gain.ci_corrected),
        )
    return table


def _searched(report: StudyReport) -> RenderableType:
    """Return the ranking on the validation split with the baselines, without claims."""
    columns = ["", "lead", "macro AUROC", "corrected", "alone", "plain KD", "trials", "trial"]
    table = grid(columns, right=["", *columns[2:]])
    for lead in report.leads:
        validation = lead.validation
        table.add_row(
            str(lead.rank),
            Text(lead.lead, "bold"),
            _macro(validation),
            TERMINAL.score(None if validation is None else validation.corrected),
            _macro(_contender(lead, "student_alone")),
            _macro(_contender(lead, "plain_kd")),
            str(lead.search.n_trials),
            "-" if lead.trial is None else f"#{lead.trial}",
        )
    return table


def _per_class(report: StudyReport, split: Split) -> list[RenderableType]:
    names = list(report.classes)
    if not names or len(names) > CLASSES_SHOWN:
        return []
    table = grid(["lead", *names], right=names)
    for lead in report.leads:
        if (scores := lead.on(split)) is not None:
            table.add_row(Text(lead.lead, "bold"), *_classes(scores, names))
    if report.teacher is not None and (scores := report.teacher.on(split)) is not None:
        table.add_row(Text("teacher", "dim"), *_classes(scores, names))
    return [heading(f"AUROC by class, {split} split"), table]


def _facts(report: StudyReport, page: str) -> dict[str, object]:
    cost = report.cost
    ended = ", ".join(f"{n} {state}" for state, n in cost.trials.items() if n)
    rows: dict[str, object] = {}
    if report.best_set:
        level = report.statistics.level_text
        rows[MEMBER] = (
            f"cannot be told from the best ({level}, over all leads)"
            if len(report.ranked) > 1
            else "the only ranked lead"
        )
    if report.mean_gain is not None:
        over = contender_name(report.mean_gain.over)
        rows["gain"] = f"over {over}; bold where its corrected interval leaves out 0"
    left_out = [left_out_sentence(report, split) for split in SPLITS]
    if any(left_out):
        rows["classes"] = " ".join(filter(None, left_out))
    if report.teacher is not None:
        rows["teacher"] = _teacher(report.teacher)
    if report.data is not None:
        rows["data"] = use_sentence(report.data)
    rows["trials"] = ended or "none has ended"
    gpu = f", {duration(cost.total_gpu_s)} of GPU time" if cost.total_gpu_s else ""
    rows["cost"] = (
        f"{duration(cost.total_wall_s)} of training, {duration(cost.total_cpu_s)} of CPU "
        f"time{gpu}; saved {duration(cost.saved_by_pruning_s)} by pruning"
    )
    if (spent := cost.money) is not None:
        rows["money"] = (
            f"{money(spent.total, spent.currency)}; wasted by failures "
            f"{money(spent.wasted, spent.currency)}"
        )
        if spent.unpriced_worker_s:
            rows["money"] += f"; price unknown for {duration(spent.unpriced_worker_s)}"
    if cost.stage_s:
        rows["stages"] = ", ".join(f"{name} {duration(s)}" for name, s in cost.stage_s.items())
    opened = report.test_split.opened
    times = {0: "never opened", 1: "opened once"}
    rows["test split"] = times.get(opened, f"opened {opened} times")
    rows["report"] = page
    return rows


def _teacher(teacher: ReportedTeacher) -> str:
    parts = [f"{TERMINAL.score(teacher.validation.macro_auroc)} on validation"]
    if teacher.test is not None:
        parts.insert(0, f"{TERMINAL.score(teacher.test.macro_auroc)} on test")
    return f"macro AUROC {', '.join(parts)}, with {counted(len(teacher.leads), 'lead')}"


def _contender(lead: ReportedLead, name: str) -> Scores | None:
    contender = lead.contenders.get(name)
    return None if contender is None else contender.validation


def _classes(scores: Scores, names: Sequence[str]) -> list[str]:
    return [TERMINAL.score(scores.auroc_of(name)) for name in names]


def _macro(part: Scores | None) -> str:
    return TERMINAL.score(None if part is None else part.macro_auroc)


def _compared_gain(report: StudyReport, lead: ReportedLead) -> Gain | None:
    """Return the gain of a lead over the baseline of the column, the same for all leads."""
    over = None if report.mean_gain is None else report.mean_gain.over
    return next((gain for gain in lead.gains if gain.over == over), None)
