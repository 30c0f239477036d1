"""The tables of the results page that compare: teacher, leads, gains, parts of the method."""

import numpy as np

from mvkt_ray.statistics.gains import Difference
from mvkt_ray.statistics.intervals import percentile_interval
from results_page.compared import ALONE, Compared, Group
from results_page.markdown import (
    change,
    changes,
    count,
    listed,
    p_value,
    score,
    table,
    verdict,
    within,
)
from results_page.sentences import lead_words, named, share_closed


def teacher_part(compared: Compared) -> str:
    """Return the teacher's areas, macro and per class."""
    teacher = compared.teacher
    rows = [
        [
            "macro",
            f"{int(compared.n_positive_C.sum()):,}",
            score(teacher.macro_K[0]),
            within(percentile_interval(teacher.macro_BK[:, 0])),
        ]
    ]
    for c, name in enumerate(compared.classes):
        rows.append(
            [
                name,
                f"{compared.n_positive_C[c]:,}",
                score(teacher.observed_KC[0, c]),
                within(percentile_interval(teacher.values_BKC[:, 0, c])),
            ]
        )
    text = f"## The teacher\n\n{table(['class', 'positives', 'AUROC', '95 %'], rows)}"
    left_out = [compared.classes[c] for c in teacher.left_out]
    if left_out:
        text += f"\n\nNot in any macro mean, as nobody or everybody has it: {listed(left_out)}."
    return text


def every_lead_part(compared: Compared) -> str:
    """Return the scores of every contender that has all leads."""
    group = compared.every_lead
    header = ["lead", *(f"{named(name)} (95 %) s.d." for name in group.names)]
    rows = [
        [f"{lead} *" if lead in compared.best_leads else lead]
        + [_score_cell(group, name, lead) for name in group.names]
        for lead in compared.ranked
    ]
    means = [float(np.mean(group.auroc.macro_K[group.rows(name)])) for name in group.names]
    rows.append(["mean", *(score(value) for value in means)])
    return (
        f"## {lead_words(group.leads, capital=True)}, {count(len(group.seeds), 'seed')} each\n\n"
        f"{table(header, rows)}\n\n"
        f"Ranked by {named(compared.answer)}; * in the set of best leads; s.d. over seeds."
    )


def _score_cell(group: Group, name: str, lead: str) -> str:
    value, interval, deviation = group.score(name, lead)
    return f"{score(value)} ({within(interval)}) {score(deviation)}"


def gains_part(compared: Compared) -> str:
    """Return what each contender gains over the student alone, lead by lead and in the mean."""
    group = compared.every_lead
    header = ["lead"]
    for name in group.others:
        header += [f"{named(name)} - alone", "corrected 95 %", "p (Holm)", "verdict"]
    header.append(f"gap closed by {named(compared.answer)}")
    rows = []
    for lead in compared.ranked:
        closed = compared.gap_closed(compared.answer, [lead])
        cells = [lead]
        for name in group.others:
            cells += _gain_cells(group.gains[name, lead])
        rows.append([*cells, share_closed(closed)])
    closed = compared.gap_closed(compared.answer, group.leads)
    cells = ["mean"]
    for name in group.others:
        cells += _mean_cells(group.mean_gain(name))
    rows.append([*cells, share_closed(closed)])
    text = (
        "## What the teacher bought\n\n"
        f"{table(header, rows)}\n\n"
        f"Paired: the same patients and seeds. Holm over all {len(group.gains)} differences of the "
        "table; the means are differences of their own, not corrected."
    )
    if {"mkd", "mkd_clt"} <= set(group.names):
        found = group.mean_difference("mkd_clt", "mkd")
        what = verdict(found, corrected=False).replace("gain shown", "difference shown")
        text += (
            f" CLT on top of MKD, mean over the leads: {change(found.difference)} "
            f"({changes(found.interval)}), {what}."
        )
    return text


def _gain_cells(found: Difference) -> list[str]:
    return [
        change(found.difference),
        changes(found.corrected),
        p_value(found.p_holm),
        verdict(found, corrected=True),
    ]


def _mean_cells(found: Difference) -> list[str]:
    return [
        change(found.difference),
        changes(found.interval),
        p_value(found.p),
        verdict(found, corrected=False),
    ]


def some_leads_part(compared: Compared) -> str:
    """Return the contenders that have some leads only, beside the student alone; may be empty."""
    group = compared.some_leads
    if group is None:
        return ""
    header = ["contender", *group.leads, "mean gain", "95 %", "p", "verdict"]
    alone = [score(group.score(ALONE, lead)[0]) for lead in group.leads]
    rows = [[named(ALONE), *alone, "", "", "", ""]]
    for name in group.others:
        cells = [
            f"{score(group.score(name, lead)[0])} ({change(group.gains[name, lead].difference)})"
            + ("!" if group.gains[name, lead].claimed else "")
            for lead in group.leads
        ]
        rows.append([named(name), *cells, *_mean_cells(group.mean_gain(name))])
    n_claimed = sum(found.claimed for found in group.gains.values())
    return "\n\n".join(
        [
            f"## Parts of the method: {'lead' if len(group.leads) == 1 else 'leads'} "
            f"{listed(group.leads)}, {count(len(group.seeds), 'seed')}",
            table(header, rows),
            "In brackets the difference to the student alone of the same seeds; ! marks those "
            f"whose interval leaves 0 out after Holm over these {len(group.gains)} differences "
            f"({n_claimed or 'none'}).",
        ]
    )
