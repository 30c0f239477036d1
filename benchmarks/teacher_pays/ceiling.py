"""What training on a lead alone can reach: an ensemble of five students, beside the teacher's gap.

One study: four leads, the student alone and MKD, five seeds each; its report splits the gap.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.teacher_pays.studies import (
    FIDELITY,
    finalize,
    finals_of,
    mvkt,
    search,
    write_study,
)

LEADS = ("II", "V5", "V2", "aVF")
N_SEEDS = 5


def run_ceiling(root: Path, data: str, folds: str, runner: Sequence[str]) -> None:
    """Train and examine, as far as that is missing."""
    out = root / "ceiling"
    if finals_of(out) is None:
        study = write_study(
            root / "ceiling.yaml",
            {
                "base": str(FIDELITY),
                "name": "ceiling",
                "search": {"n_trials": 0, "baselines": [], "leads": list(LEADS)},
                "finals": {
                    "n_seeds": N_SEEDS,
                    "answer": "mkd",
                    "contenders": {
                        "alone": {"base": "defaults", "set": {"kd_weight": 0.0}},
                        "mkd": {"base": "defaults"},
                    },
                },
            },
        )
        search(study, out, data, folds, runner)
        finalize(out, runner)
    mvkt("report", str(out), "-q")


def describe_ceiling(root: Path) -> dict[str, Any] | None:
    """Return the report's split of the gap; None before it was examined."""
    file = root / "ceiling" / "report" / "report.json"
    return json.loads(file.read_text())["teacher_gap"] if file.exists() else None
