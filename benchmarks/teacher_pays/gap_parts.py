"""Parts of the page that speak of the gap to the teacher: over all folds, and of five students."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page.markdown import change, score, share, table
from benchmarks.teacher_pays.rotation import N_FOLDS
from benchmarks.teacher_pays.ways import WAYS

AIM = 0.012
"""Of the gain over leads with all labels: twice what the single split had shown."""


def rotation_part(found: Mapping[str, Any] | None) -> str:
    """Show gains over all folds, by lead and class, and the share of the gap that is closed."""
    if found is None:
        return ""
    lines: list[list[str]] = []
    for row in found["rows"]:
        gap = row["teacher"] - row["alone"]
        lines.append(
            [
                row["contender"],
                row["lead"],
                score(row["alone"]),
                score(row["score"]),
                change(row["gain"]),
                ends_text(row["ci_patients"]),
                ends_text(row["ci_folds"]),
                share(row["gain"] / gap),
                *(f"{change(each['gain'])} of {each['gap']:.3f}" for each in row["by_class"]),
            ]
        )
    head = ["contender", "lead", "alone", "score", "gain", "95 %, patients", "95 %, folds"]
    left = N_FOLDS - len(found["folds"])
    teacher = found["rows"][0]["teacher"]
    return (
        f"## Rotating folds\n\n{len(found['folds'])} of {N_FOLDS} folds"
        f"{f' so far, {left} to go' if left else ''}: {found['n_recordings']:,} recordings of "
        f"{found['n_patients']:,} patients, each examined once by models that were trained without "
        "its fold and the next one, which validates; one seed, the same in each fold. "
        f"Scores are those within a fold, averaged over folds. The teacher has {teacher:.3f}. "
        "Patients: they are resampled within each fold. Folds: Student's t over the folds, whose "
        "models, teachers included, were trained on other recordings. Right of the share of the "
        "gap, by class: the gain, and the gap of the student alone to the teacher.\n\n"
        f"{_rotation_sentences(found)}\n\n"
        f"{table([*head, 'of the gap', *found['classes']], lines)}"
    )


def _rotation_sentences(found: Mapping[str, Any]) -> str:
    """Say of each contender what it gains over the leads, and in which class how little."""
    said: list[str] = []
    for name in dict.fromkeys(row["contender"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["contender"] == name]
        [mean] = [row for row in rows if row["lead"] == "mean"]
        shown = [
            row["lead"]
            for row in rows
            if row is not mean
            and row["ci_patients"][0] > 0
            and (row["ci_folds"] is None or row["ci_folds"][0] > 0)
        ]
        met = "met" if mean["gain"] >= AIM else "missed"
        said.append(
            f"- {WAYS[name].text}: {change(mean['gain'])} on average over the leads; both "
            f"intervals are above 0 in {len(shown)} of {len(rows) - 1} "
            f"({', '.join(shown) or 'none'}). The aim of {AIM} is {met}."
        )
        by_gap = sorted(
            zip(found["classes"], mean["by_class"], strict=True), key=lambda each: -each[1]["gap"]
        )
        parts = [
            f"{label} {share(each['gain'] / each['gap'])} of {each['gap']:.3f}"
            for label, each in by_gap
        ]
        said.append(f"- It closes, on average over the leads, of the gap in {', '.join(parts)}.")
    return "\n".join(said)


def ceiling_part(found: Mapping[str, Any] | None) -> str:
    """Show what an ensemble of five students reaches of the gap, by lead and class."""
    if found is None:
        return ""
    lines: list[list[str]] = []
    for lead in found["leads"]:
        for row in lead["rows"]:
            if row["gap"] is None:
                continue
            lines.append(
                [
                    lead["lead"],
                    row["class"] or "macro",
                    score(row["alone"]),
                    score(row["answer"]),
                    score(row["ensemble"]),
                    score(row["teacher"]),
                    *(
                        f"{change(row[part]['difference'])} ({ends_text(row[part]['ci'])})"
                        for part in ("closed", "attainable", "left")
                    ),
                ]
            )
    n_students = found["leads"][0]["n_students"]
    head = ["lead", "class", "alone", "MKD", "ensemble", "teacher"]
    return (
        "## What training can still reach\n\nTest fold 9, all labels, students alone and by MKD "
        f"of {n_students} seeds; the ensemble is of the {n_students} that MKD taught. Closed: MKD "
        "over alone. Attainable: the ensemble over one of its students, which better training of "
        "one may reach. Left: the teacher over the ensemble, where its interval is above 0 "
        "probably not visible in the lead.\n\n"
        f"{table([*head, 'closed', 'attainable', 'left'], lines)}"
    )


def ends_text(ends: Sequence[float] | None) -> str:
    """Write both ends of an interval of changes."""
    return "-" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"
