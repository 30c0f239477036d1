"""The tables of the results page about the run: contenders, search, what was tried, facts."""

from collections.abc import Mapping, Sequence
from typing import Any

from mvkt_ray.search.finals.finals_plan import Contender
from results_page.compared import Compared
from results_page.markdown import count, p_value, score, table
from results_page.optimum import SHOWN, GoodRange, Optimum
from results_page.run_facts import RunFacts
from results_page.sentences import named

TRIED = ("name", "lead", "setting", "seeds", "macro_auroc", "note")
"""What a row of `--tried` has."""


def contenders_part(plan: Sequence[Contender]) -> str:
    """Return the hyper-parameters in which contenders differ."""
    by_name: dict[str, list[Contender]] = {}
    for contender in plan:
        by_name.setdefault(contender.name, []).append(contender)
    values: dict[str, set[Any]] = {}
    for contender in plan:
        for key, value in contender.hyperparameters.items():
            values.setdefault(key, set()).add(value)
    varied = [key for key, of_key in values.items() if len(of_key) > 1]
    header = ["contender", "trainings", *varied]
    rows = []
    for name, contenders in by_name.items():
        cells = [
            _joined({_setting(each.hyperparameters.get(key, "-")) for each in contenders})
            for key in varied
        ]
        rows.append([named(name), str(sum(each.n_seeds for each in contenders)), *cells])
    return f"## What was compared\n\n{table(header, rows)}"


def optimum_part(optimum: Optimum | None) -> str:
    """Return where a search found its best students; empty without a search."""
    if optimum is None:
        return ""
    header = ["lead", "trial", "macro AUROC", "alone", *SHOWN, "trials to the end"]
    rows = [
        [
            each.lead,
            str(each.number),
            score(each.macro_auroc),
            "-" if each.alone is None else score(each.alone),
            *(_setting(each.hyperparameters[name]) for name in SHOWN),
            str(each.n_complete),
        ]
        for each in optimum.best
    ]
    lines = [
        f"## Where the search `{optimum.study}` found its best",
        f"{optimum.n_trials} trials. On the validation split, on which the best were chosen: "
        "optimistic.",
        table(header, rows),
    ]
    if optimum.ranges:
        ranges = table(
            ["hyper-parameter", "tried", "best quarter", "median", "rank correlation", "trials"],
            [_range_cells(each) for each in optimum.ranges],
        )
        lines += [
            "Over all leads, each trial's score less the median of its lead. The sampler went back "
            "to what looked good, so p-values are rough.",
            ranges,
        ]
    else:
        lines.append("Too few trials to tell a range.")
    return "\n\n".join(lines)


def _range_cells(each: GoodRange) -> list[str]:
    return [
        each.name,
        f"{each.searched[0]:.3g} to {each.searched[1]:.3g}",
        f"{each.middle_half[0]:.3g} to {each.middle_half[1]:.3g}",
        f"{each.median:.3g}",
        f"{each.correlation:+.2f} (p {p_value(each.p)})",
        str(each.n_trials),
    ]


def tried_part(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows that were measured beside the study; empty without any."""
    if not rows:
        return ""
    header = ["what", "lead", "setting", "seeds", "macro AUROC", "note"]
    cells = [
        [
            f"{row['macro_auroc']:.4f}" if key == "macro_auroc" else _plain(row.get(key, ""))
            for key in TRIED
        ]
        for row in rows
    ]
    return (
        "## What was tried to gain more\n\n"
        "Measured on the validation split.\n\n"
        f"{table(header, cells)}"
    )


def facts_part(facts: RunFacts, compared: Compared) -> str:
    """Return what it takes to judge the page, or to make it again."""
    config, group = facts.config, compared.every_lead
    ended = ", ".join(f"{n} {state}" for state, n in facts.n_ended.items())
    stages = ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in facts.stage_s.items())
    some = compared.some_leads
    seeds = f"{len(group.seeds)} ({_joined({str(seed) for seed in group.seeds})})"
    if some is not None:
        seeds += f"; for some leads {len(some.seeds)}"
    folds = config.data.folds
    rows = [
        ["folds", f"{_spaced(folds.train)} / {_spaced(folds.val)} / {_spaced(folds.test)}"],
        ["recordings", ", ".join(f"{name} {n:,}" for name, n in facts.n_recordings.items())],
        ["teacher", f"{config.teacher.network}, {count(config.teacher.epochs, 'epoch')}"],
        [
            "students",
            f"{count(config.student.epochs, 'epoch')}, knowledge {config.student.knowledge}",
        ],
        ["seeds", f"{seeds}, study seed {config.seed}"],
        ["trainings", f"{facts.n_trainings}: {ended}"],
        ["precision", config.resources.precision],
        [
            "CPU time of the trainings",
            f"{facts.cpu_s / 3600:.1f} h on {count(facts.n_nodes, 'host')}",
        ],
        ["wall time of the stages", stages or "-"],
        ["cores where this page was made", str(facts.n_cores)],
        ["versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())],
        ["fingerprints", ", ".join(f"{kind} {h[:12]}" for kind, h in facts.fingerprints.items())],
        ["test split opened", _openings(facts)],
    ]
    return f"## Facts of the run\n\n{table(['fact', 'value'], rows)}"


def _openings(facts: RunFacts) -> str:
    each = [
        f"{opening.opened_at} by code {opening.code[:12]}"
        + (f" again: {opening.reason}" if opening.reason else "")
        for opening in facts.openings
    ]
    return f"{count(len(facts.openings), 'time')}: {'; '.join(each)}"


def _joined(texts: set[str]) -> str:
    return ", ".join(sorted(texts))


def _spaced(numbers: Sequence[int]) -> str:
    return " ".join(str(number) for number in numbers)


def _setting(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(str(each) for each in value)
    return " ".join(str(value).split()).replace("|", "/")
