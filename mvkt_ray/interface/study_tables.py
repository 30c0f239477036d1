"""The tables of a report as DataFrames, with types and descriptions of their columns.

A column has the same type in all tables: text, or nullable integer or boolean (`<NA>`), and else
float64, whose missing values are NaN.
"""

from collections.abc import Mapping

import pandas as pd

from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.tables import TABLES, Table
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

TEXT, WHOLE, TRUTH, NUMBER = "string", "Int64", "boolean", "float64"

_KINDS: Mapping[str, tuple[str, ...]] = {
    TEXT: (
        *("lead", "ranked_on", "validation_left_out", "test_left_out", "contender", "over"),
        *("class", "student", "stage", "arm", "state", "reason", "hyperparameters", "split"),
        *("opened_at", "completed_at", "mvkt_ray_version", "code", "commit", "command", "host"),
    ),
    WHOLE: (
        *("rank", "trial", "n_seeds", "n_parameters", "n_candidates", "n_positive", "n_leads"),
        *("n_multiply_accumulates", "n_positive_leads", "n_students", "finals", "repetition"),
        *("epochs", "n_lost_attempts", "number", "n_recordings", "n_patients"),
    ),
    TRUTH: (
        *("in_best_set", "too_few", "on_front", "on_front_of_all_leads", "nearly_as_good"),
        "claimed",
    ),
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}


def table_named(name: str) -> Table:
    """Return a table of the report by its name.

    Raises:
        ConfigError: There is no such table; the message states the nearest name.
    """
    found = next((table for table in TABLES if table.name == name), None)
    if found is None:
        names = [table.name for table in TABLES]
        raise ConfigError(f"a report has no table {name!r}; {did_you_mean(name, names)}")
    return found


def kind_of(column: str) -> str:
    """Return the pandas type of a column."""
    return _KIND_OF.get(column, NUMBER)


def frame_of(table: Table, report: StudyReport, material: ReportMaterial) -> pd.DataFrame:
    """Return a table of a study; its `attrs` describe it (`what`) and its columns (`columns`)."""
    rows = list(table.rows(report, material))
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=kind_of(name)) for name in table.columns
    }
    frame = pd.DataFrame(columns)
    frame.attrs |= {"what": table.what, "columns": dict(table.columns)}
    return frame
