"""The page: what was measured so far, part by part; what is missing is named."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results_page.markdown import change, score, share, table
from benchmarks.teacher_pays.ceiling import describe_ceiling
from benchmarks.teacher_pays.controls import describe_controls
from benchmarks.teacher_pays.gap_parts import ceiling_part, ends_text, rotation_part
from benchmarks.teacher_pays.kept import FOLDER, keep
from benchmarks.teacher_pays.rotation import Recipe, describe_rotation
from benchmarks.teacher_pays.ways import ALONE, WAYS

Rows = Mapping[tuple[str, str, int], float]
"""Macro AUROC on validation by way, lead and seed."""


def write_page(root: Path, command: str, recipes: Sequence[Recipe], kept: Path = FOLDER) -> str:
    """Return the page as Markdown; what was found is kept.

    Args:
        root: Where the runs are; of a part that is not there, what was kept is shown.
        command: That makes the page.
        recipes: Of the rotation.
        kept: Folder of what is kept.
    """
    parts = [
        f"# Where the teacher pays\n\nMade by `{command}`. Macro AUROC throughout, on the PTB-XL "
        "recordings of `RESULTS.md`; brackets and ranges are 95 % intervals. A positive difference "
        "is in favour of what is named first.",
        ways_part(read_ways(root, kept)),
        labels_part(keep("labels", read_curve(root), kept)),
        controls_part(keep("controls", describe_controls(root), kept)),
        rotation_part(keep("rotation", describe_rotation(root, recipes), kept)),
        ceiling_part(keep("ceiling", describe_ceiling(root), kept)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def read_ways(root: Path, kept: Path = FOLDER) -> Rows:
    """Read what `note` wrote, of these runs and of those that were kept."""
    files = [file for file in (kept / "ways.jsonl", root / "ways.jsonl") if file.exists()]
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


def read_curve(root: Path) -> dict[str, Any] | None:
    """Read the curve that `mvkt label-budget` measured; None where it was not."""
    files = list((root / "labels" / "report").glob("*.json"))
    return json.loads(files[0].read_text()) if files else None


def labels_part(curve: Mapping[str, Any] | None) -> str:
    """Show the curve of the label budget."""
    if curve is None:
        return ""
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
                    ends_text(gained["ci"]),
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


def _share_of_gap(point: Mapping[str, Any]) -> str:
    teacher = point.get("teacher")
    if teacher is None or teacher["macro_auroc"] is None:
        return "-"
    gap = teacher["macro_auroc"] - point["alone"]["macro_auroc"]
    return share(point["gain"]["difference"] / gap) if gap > 0 else "-"


def controls_part(rows: Sequence[Mapping[str, Any]] | None) -> str:
    """Show each control beside the student alone and the distilled one of the same cell."""
    if not rows:
        return ""
    lines = [
        [
            row["lead"],
            row["control"],
            str(len(row["to_alone"])),
            _mean_and_error(row["to_alone"]),
            _mean_and_error(row["to_distilled"]),
        ]
        for row in rows
    ]
    head = ["lead", "control", "draws", "over alone", "over the distilled student"]
    return (
        "## Controls\n\nLabels of two folds, as above, the same seeds; means over draws with their "
        "standard error. `self`: the teacher sees the student's lead alone. `shuffled`: each "
        f"recording is taught what the teacher says of another.\n\n{table(head, lines)}"
    )
