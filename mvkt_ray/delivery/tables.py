"""The tables of a report as CSV, for spreadsheets and statistics programs.

Writes, beside `report.json`: one file per table, and `columns.csv`, which describes every column.
A unit is in a column's name; an empty field is an undefined value.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvkt_ray.delivery.facts.evidence import LEVEL
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.table_rows import (
    class_rows,
    contender_rows,
    gain_rows,
    lead_pair_rows,
    lead_rows,
    mean_gain_rows,
    opening_rows,
    quarantine_rows,
    size_rows,
    split_rows,
    teacher_gap_rows,
    trial_rows,
)
from mvkt_ray.phrasing import percent
from mvkt_ray.search.finals.front import MARGIN
from mvkt_ray.storage.location import Location

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One CSV file."""

    name: str
    what: str
    """Description of the table."""
    columns: Mapping[str, str]
    """Description of each column, by name."""
    rows: Callable[[StudyReport, ReportMaterial], Iterable[Row]]


_LEVEL = percent(LEVEL)

_SPREAD = {
    "ci_low": f"low end of the {_LEVEL} interval: bootstrap over patients and seeds, percentiles",
    "ci_high": "its high end",
}
_DIFFERENCE = {
    "difference": "macro AUROC of the first minus that of the second, test split",
    "ci_low": f"low end of its {_LEVEL} interval, of this difference alone",
    "ci_high": "its high end",
    "ci_corrected_low": "low end of the interval corrected over the family (Holm)",
    "ci_corrected_high": "its high end",
    "p": "two-sided, of this difference alone",
    "p_holm": "corrected over the family (Holm)",
    "claimed": "whether the corrected interval leaves out 0",
    "n_seeds": "seeds that both have",
}


def _gap_part(name: str, what: str) -> dict[str, str]:
    """Return the columns of one part of the gap to the teacher."""
    return {
        name: what,
        f"{name}_ci_low": f"low end of its {_LEVEL} interval, of this difference alone",
        f"{name}_ci_high": "its high end",
        f"{name}_fraction": "as a share of the gap; empty where the gap is not shown",
        f"{name}_fraction_ci_low": f"low end of the share's {_LEVEL} interval",
        f"{name}_fraction_ci_high": "its high end",
    }


TABLES: tuple[Table, ...] = (
    Table(
        name="leads",
        what="leads in their order, by the contender that is the answer",
        columns={
            "rank": "1 is the highest; on the test split after finals, on validation before",
            "lead": "lead, or lead set, that the student sees",
            "ranked_on": "test or validation",
            "in_best_set": f"whether it cannot be told from the best at {_LEVEL}",
            "trial": "search trial that the configuration is from",
            "n_seeds": "trainings that the scores are means of",
            "n_parameters": "weights of the student",
            "validation_macro_auroc": "of that search trial: optimistic, as it was chosen by it",
            "validation_left_out": "classes that are not in that mean, as JSON",
            "validation_macro_auroc_corrected": "what such a choice is worth (BBC-CV)",
            "n_candidates": "complete search trials that it was chosen among",
            "test_macro_auroc": "mean over classes and seeds, test split",
            "test_left_out": "classes that are not in that mean, as JSON",
            **_SPREAD,
            "ci_bca_low": f"low end of the bias-corrected and accelerated {_LEVEL} interval",
            "ci_bca_high": "its high end",
            "seed_sd": "standard deviation over seeds",
            "difference_to_best": "to the best of the other leads",
            "difference_to_best_low": f"low end of its simultaneous {_LEVEL} interval",
            "difference_to_best_high": "its high end",
            "test_macro_f1": "by thresholds chosen on validation",
            "test_macro_average_precision": "mean over classes and seeds",
            "gap_closed_fraction": "share of the distance from student alone to teacher",
            "gap_closed_ci_low": f"low end of its {_LEVEL} interval",
            "gap_closed_ci_high": "its high end",
        },
        rows=lead_rows,
    ),
    Table(
        name="contenders",
        what="all that was compared, by lead; the teacher has no lead",
        columns={
            "lead": "what the student sees",
            "contender": "chosen, student_alone, plain_kd, ... or teacher",
            "trial": "search trial that the configuration is, or is from",
            "n_seeds": "trainings that the scores are means of",
            "validation_macro_auroc": "validation split",
            "test_macro_auroc": "test split",
            **_SPREAD,
            "seed_sd": "standard deviation over seeds",
        },
        rows=contender_rows,
    ),
    Table(
        name="classes",
        what="contenders by class",
        columns={
            "lead": "what the student sees",
            "contender": "as in contenders.csv",
            "class": "of the task",
            "validation_auroc": "validation split",
            "test_auroc": "test split, mean over seeds",
            **_SPREAD,
            "n_positive": "test recordings with the class",
            "too_few": "whether they are too few to judge by",
            "average_precision": "test split, mean over seeds",
            "f1": "by a threshold chosen on validation, mean over seeds",
            "threshold": "on the probability, mean over seeds",
        },
        rows=class_rows,
    ),
    Table(
        name="sizes",
        what="complete trials of the search by size, where students have more than one",
        columns={
            "trial": "number in the search",
            "lead": "what the student sees",
            "student": "name of the network",
            "n_parameters": "weights of the student",
            "n_multiply_accumulates": "of one evaluation window",
            "latency_ms": "for a recording, where it was measured",
            "validation_macro_auroc": "validation split",
            "on_front": "whether no other trial of its lead beats it in both score and size",
            "on_front_of_all_leads": "the same among the trials of all leads",
            "nearly_as_good": "whether it is the smallest of its lead that is behind the best by "
            f"{MARGIN:g} or less",
        },
        rows=size_rows,
    ),
    Table(
        name="gains",
        what="the answer against every other contender of its lead",
        columns={"lead": "what both see", "contender": "the first", "over": "the second"}
        | _DIFFERENCE,
        rows=gain_rows,
    ),
    Table(
        name="mean_gains",
        what="means over the leads of the gains",
        columns={
            "contender": "the first",
            "over": "the second",
            "n_leads": "leads that have both",
            "n_positive_leads": "of these, leads with a difference above 0",
        }
        | _DIFFERENCE,
        rows=mean_gain_rows,
    ),
    Table(
        name="lead_pairs",
        what="leads against leads, by the answer",
        columns={"lead": "the first", "over": "the second"} | _DIFFERENCE,
        rows=lead_pair_rows,
    ),
    Table(
        name="teacher_gap",
        what="how far students are from the teacher, by lead and class; the parts sum to the gap",
        columns={
            "lead": "what the students see",
            "contender": "the answer",
            "over": "the contender that learned from labels alone",
            "class": "of the task; empty: their macro mean",
            "n_students": "seeds of both, and students in the ensemble",
            "n_positive": "test recordings with the class",
            "too_few": "whether they are too few to judge by",
            "alone_auroc": "of the contender that learned from labels alone, mean over seeds",
            "answer_auroc": "of the answer, mean over seeds",
            "ensemble_auroc": "of the mean of the probabilities of the answer's seeds",
            "teacher_auroc": "of the teacher, with all its leads",
            "gap": "teacher minus alone",
            "gap_ci_low": f"low end of its {_LEVEL} interval, of this difference alone",
            "gap_ci_high": "its high end",
            **_gap_part("closed", "answer minus alone"),
            **_gap_part("attainable", "ensemble minus answer: the lead shows it"),
            **_gap_part(
                "left",
                "teacher minus ensemble: probably not visible in this lead; of "
                "one seed, which is no ensemble, teacher minus answer",
            ),
            "reason": "why there are no shares",
        },
        rows=teacher_gap_rows,
    ),
    Table(
        name="trials",
        what="all trainings of the search and of the finals",
        columns={
            "stage": "search or finals",
            "finals": "number of the finals; empty in the search",
            "trial": "number in its stage, from 0",
            "lead": "what the student sees",
            "arm": "search, student_alone, plain_kd; of finals the contender",
            "repetition": "number of the seed",
            "state": "complete, pruned, diverged, failed, running, waiting",
            "epochs": "trained",
            "validation_macro_auroc": "of the last epoch that was validated, at which a pruned "
            "trial stopped",
            "wall_s": "seconds by the clock",
            "cpu_s": "seconds of CPU",
            "gpu_s": "seconds of GPUs that its workers held, over all attempts",
            "money": "what they cost, in the study's currency; empty where a price is not known",
            "n_lost_attempts": "attempts that lost their worker",
            "reason": "of failing, diverging or being pruned",
            "hyperparameters": "as JSON",
        },
        rows=trial_rows,
    ),
    Table(
        name="openings",
        what="openings of the test split",
        columns={
            "number": "from 1",
            "finals": "number of the finals that it was opened for",
            "opened_at": "UTC, ISO 8601",
            "completed_at": "UTC, ISO 8601; empty while the examination goes on",
            "mvkt_ray_version": "that opened it",
            "code": "SHA-256 of the package's source",
            "commit": "of git",
            "command": "that opened it",
            "host": "where",
            "reason": "why it was opened again",
            "n_recordings": "of the test split",
        },
        rows=opening_rows,
    ),
    Table(
        name="splits",
        what="recordings by split and class, and those in no split",
        columns={
            "split": "train, val or test; empty: in none",
            "class": "of the task; empty: all recordings",
            "reason": "why recordings of the shards are in no split; empty: they are in one",
            "n_recordings": "of the split, with a label of the task, and with the class",
            "n_patients": "of all recordings",
        },
        rows=split_rows,
    ),
    Table(
        name="quarantine",
        what="recordings that could not be used",
        columns={"reason": "a short word", "n_recordings": "with it"},
        rows=quarantine_rows,
    ),
)


def write_tables(report: StudyReport, material: ReportMaterial, folder: Location) -> None:
    """Write every table of a report; a table without rows has its header."""
    for table in TABLES:
        (folder / f"{table.name}.csv").write_bytes(
            csv_bytes(table.rows(report, material), list(table.columns))
        )
    meanings = [
        {"table": table.name, "what": table.what, "column": name, "meaning": meaning}
        for table in TABLES
        for name, meaning in table.columns.items()
    ]
    (folder / "columns.csv").write_bytes(csv_bytes(meanings))


def csv_bytes(rows: Iterable[Row], columns: Sequence[str] | None = None) -> bytes:
    """Return a table as CSV; by default its columns are the keys of its first row."""
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if columns is None and rows else columns or ())
    writer.writeheader()
    writer.writerows({name: _field(value) for name, value in row.items()} for row in rows)
    # A recorded command may contain a file name that is not UTF-8.
    return text.getvalue().encode(errors="backslashreplace")


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
