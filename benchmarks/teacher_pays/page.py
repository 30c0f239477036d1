"""The page: what was measured so far, part by part; what is missing is named."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_page.markdown import change, score, share, table
from benchmarks.teacher_pays.controls import CONTROLS, Control, controls_of, scores_of
from benchmarks.teacher_pays.rotation import N_FOLDS, Rotated, read_rotation
from benchmarks.teacher_pays.studies import finals_of, gain
from benchmarks.teacher_pays.ways import ALONE, WAYS
from mvkt_ray.statistics.intervals import percentile_interval

MADE_BEFORE = Path(__file__).parent / "ways.jsonl"
"""Screens of earlier runs, kept with the project, as none outlives its machine."""

Rows = Mapping[tuple[str, str, int], float]
"""Macro AUROC on validation by way, lead and seed."""


def write_page(root: Path, command: str) -> str:
    """Return the page as Markdown."""
    parts = [
        f"# Where the teacher pays\n\nMade by `{command}`. Macro AUROC throughout, on the PTB-XL "
        "recordings of `RESULTS.md`; brackets and ranges are 95 % intervals. A positive difference "
        "is in favour of what is named first.",
        ways_part(read_ways(root)),
        labels_part(root),
        controls_part(root),
        rotation_part(read_rotation(root)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def read_ways(root: Path) -> Rows:
    """Read what `note` wrote, here and where the rows of the page were made before."""
    files = [file for file in (MADE_BEFORE, root / "ways.jsonl") if file.exists()]
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {(row["way"], row["lead"], row["seed"]): row["macro_auroc"] for row in rows}


def ways_part(rows: Rows) -> str:
    """Compare every way with the student alone that was trained as long and as well."""
    if not rows:
        return ""
    leads = sorted({lead for _, lead, _ in rows}, key=lambda lead: (len(lead), lead))
    lines: list[list[str]] = []
    for name, way in WAYS.items():
        own = {(lead, seed): value for (each, lead, seed), value in rows.items() if each == name}
        if not own:
            continue
        pairs = _pairs(rows, name, way.beside)
        to_mkd = _pairs(rows, name, "mkd")
        by_lead = defaultdict[str, list[float]](list)
        for (lead, _), value in own.items():
            by_lead[lead].append(value)
        lines.append(
            [
                way.text,
                str(len(own)),
                *(f"{np.mean(by_lead[lead]):.4f}" if by_lead[lead] else "-" for lead in leads),
                _mean_and_error(pairs) if name != ALONE and name != way.beside else "",
                _mean_and_error(to_mkd) if name not in ("mkd", ALONE) else "",
            ]
        )
    missing = [way.text for name, way in WAYS.items() if not any(key[0] == name for key in rows)]
    head = ["way", "students", *leads, "gain over alone", "over MKD"]
    said = (
        "## Ways to teach\n\nValidation fold 8, training folds 1 to 7, 25 epochs unless said: "
        "screens, "
        "from which the next parts choose. Gains are means over pairs of the same lead and seed, "
        "with "
        "their standard error; over alone, of students alone that were trained as long and with "
        "the same "
        "means (mixup, average of weights)."
    )
    left = f"\n\nNot trained yet: {'; '.join(missing)}." if missing else ""
    return f"{said}\n\n{table(head, lines)}{left}"


def _pairs(rows: Rows, name: str, other: str) -> list[float]:
    return [
        value - rows[other, lead, seed]
        for (way, lead, seed), value in rows.items()
        if way == name and (other, lead, seed) in rows
    ]


def _mean_and_error(pairs: Sequence[float]) -> str:
    if not pairs:
        return "-"
    mean = change(float(np.mean(pairs)))
    if len(pairs) == 1:
        return f"{mean} (one pair)"
    return f"{mean} (s.e. {np.std(pairs, ddof=1) / math.sqrt(len(pairs)):.4f})"


def labels_part(root: Path) -> str:
    """Show the curve that `mvkt label-budget` measured."""
    files = list((root / "labels" / "report").glob("*.json"))
    if not files:
        return ""
    curve: dict[str, Any] = json.loads(files[0].read_text())
    lines: list[list[str]] = []
    for lead in curve["leads"]:
        for point in lead["points"]:
            gained = point["gain"]
            lines.append(
                [
                    lead["lead"],
                    f"{point['n_labelled']:.0f}",
                    str(len(point["answer"]["by_draw"])),
                    score(point["alone"]["macro_auroc"]),
                    score(point["answer"]["macro_auroc"]),
                    change(gained["difference"]),
                    _range(gained["ci"]),
                    _share_of_gap(point),
                ]
            )
    head = ["lead", "labels", "draws", "alone", "distilled", "gain", "95 %", "of the gap"]
    waiting = [cell["name"] for cell in curve["cells"] if cell["state"] != "examined"]
    left = f"\n\nNot examined yet: {', '.join(waiting)}." if waiting else ""
    said = (
        "## Labels\n\n`mvkt label-budget search_spaces/label_budget.yaml --folds 1-7/8/9`: test "
        "fold 9, "
        "opened once by each cell's ledger; three seeds. The student alone has its own number of "
        "epochs, "
        "chosen by validation; the distilled one has 25. The gap is that between the student alone "
        "and the "
        "teacher that knows the same labels."
    )
    sentences = "\n".join(f"- {sentence}" for sentence in curve["sentences"])
    return f"{said}\n\n{sentences}\n\n{table(head, lines)}{left}"


def _range(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"


def _share_of_gap(point: Mapping[str, Any]) -> str:
    teacher = point.get("teacher")
    if teacher is None or teacher["macro_auroc"] is None:
        return "-"
    gap = teacher["macro_auroc"] - point["alone"]["macro_auroc"]
    return share(point["gain"]["difference"] / gap) if gap > 0 else "-"


def controls_part(root: Path) -> str:
    """Compare each control with the student alone and the distilled one of the same cell."""
    lines: list[list[str]] = []
    for lead in ("II", "V5"):
        for name in CONTROLS:
            found = [
                _compared(root, control)
                for control in controls_of(root / "labels", "folds2", [lead])
                if control.name == name
            ]
            found = [each for each in found if each is not None]
            if found:
                to_alone, to_distilled = np.array(found).T
                lines.append(
                    [
                        lead,
                        name,
                        str(len(found)),
                        _mean_and_error(to_alone.tolist()),
                        _mean_and_error(to_distilled.tolist()),
                    ]
                )
    if not lines:
        return ""
    head = ["lead", "control", "draws", "over alone", "over the distilled student"]
    return (
        "## Controls\n\nLabels of two folds, as above, the same seeds; means over draws with their "
        "standard error. `self`: the teacher sees the student's lead alone. `shuffled`: each "
        "recording is "
        f"taught what the teacher says of another.\n\n{table(head, lines)}"
    )


def _compared(root: Path, control: Control) -> tuple[float, float] | None:
    own = scores_of(control.out(root), control.name, control.lead)
    cell = finals_of(control.cell)
    if own is None or cell is None:
        return None
    found: list[float] = []
    for name in ("student_alone", "distilled"):
        other = scores_of(control.cell, name, control.lead)
        assert other is not None
        seeds = sorted(own.keys() & other.keys())
        compared = gain(
            cell.test.labels_NC,
            cell.test.patient_ids_N,
            np.stack([own[seed] for seed in seeds]),
            np.stack([other[seed] for seed in seeds]),
        )
        found.append(compared.difference)
    return found[0], found[1]


def rotation_part(rotated: Rotated | None) -> str:
    """Show gains over all folds, by lead and class, and the share of the gap that is closed."""
    if rotated is None:
        return ""
    leads = list(dict.fromkeys(lead for _, lead in rotated.keys if lead))
    names = list(dict.fromkeys(name for name, lead in rotated.keys if lead and name != ALONE))
    observed_KC = rotated.observed_FKC.mean(axis=0)
    teacher = rotated.at("teacher", "")
    lines: list[list[str]] = []
    for name in names:
        for lead in [*leads, "mean"]:
            of = leads if lead == "mean" else [lead]
            own = [rotated.at(name, each) for each in of]
            alone = [rotated.at(ALONE, each) for each in of]
            gained = (observed_KC[own] - observed_KC[alone]).mean(axis=0)
            gained_B = (rotated.values_BKC[:, own] - rotated.values_BKC[:, alone]).mean(axis=(1, 2))
            gap = (observed_KC[teacher] - observed_KC[alone]).mean()
            interval = percentile_interval(gained_B)
            lines.append(
                [
                    name,
                    lead,
                    score(float(observed_KC[alone].mean())),
                    score(float(observed_KC[own].mean())),
                    change(float(gained.mean())),
                    f"{interval.low:+.4f} to {interval.high:+.4f}",
                    share(float(gained.mean() / gap)),
                    *(change(float(value)) for value in gained),
                ]
            )
    head = ["contender", "lead", "alone", "score", "gain", "95 %", "of the gap", *rotated.classes]
    left = N_FOLDS - len(rotated.folds)
    return (
        f"## Rotating folds\n\n{len(rotated.folds)} of {N_FOLDS} folds so far"
        f"{f', {left} to go' if left else ''}: {rotated.n_recordings:,} recordings of "
        f"{rotated.n_patients:,} patients, each examined once by models that were trained without "
        f"its "
        "fold and the next one, which validates. Scores are those within a fold, averaged over "
        "folds; "
        f"patients are resampled within each. The teacher has {observed_KC[teacher].mean():.3f}. "
        f"Right of "
        f"the share of the gap, the gain by class.\n\n{table(head, lines)}"
    )
