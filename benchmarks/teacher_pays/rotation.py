"""Rotating folds: every fold is the test split once, so that all recordings are examined.

A study for each of nine folds: the next one validates, the other seven train. Scores are computed
within a fold, as models of different folds have scales of their own, and averaged over the folds;
patients are resampled within each.

Shapes: F folds, K contenders, B resamples, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.teacher_pays.studies import FIDELITY, finalize, finals_of, search, write_study
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients

LEADS = ("I", "II", "V1", "V5", "V6", "aVF")
N_FOLDS = 9


def folds_of(test: int) -> str:
    """Return the three splits with this fold as the test split, as `--folds` takes them."""
    val = test % N_FOLDS + 1
    train = [fold for fold in range(1, N_FOLDS + 1) if fold not in (test, val)]
    return f"{','.join(map(str, train))}/{val}/{test}"


def run_fold(
    test: int,
    root: Path,
    data: str,
    contenders: Mapping[str, Mapping[str, Any]],
    n_seeds: int,
    runner: Sequence[str],
) -> None:
    """Train and examine all contenders with a fold as the test split, as far as it is missing."""
    out = root / "rotation" / f"fold{test}"
    if finals_of(out) is not None:
        return
    study = write_study(
        root / "rotation" / f"fold{test}.yaml",
        {
            "base": str(FIDELITY),
            "name": f"rotation_fold{test}",
            "search": {"n_trials": 0, "baselines": [], "leads": list(LEADS)},
            "student": {"epochs": 50},
            "finals": {
                "n_seeds": n_seeds,
                "answer": list(contenders)[-1],
                "contenders": {
                    name: {"base": "defaults", "set": {"epochs": 25, **own}}
                    for name, own in contenders.items()
                },
            },
        },
    )
    search(study, out, data, folds_of(test), runner)
    finalize(out, runner)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rotated:
    """Scores of contenders over the folds that were examined so far."""

    folds: tuple[int, ...]
    keys: tuple[tuple[str, str], ...]
    """Contender and lead; the teacher is the last, of the lead ``."""
    classes: tuple[str, ...]
    n_recordings: int
    n_patients: int
    observed_FKC: NDArray[np.float64]
    values_BKC: NDArray[np.float64]
    """Means over the folds."""

    def at(self, contender: str, lead: str) -> int:
        """Return where a contender is on the axis K."""
        return self.keys.index((contender, lead))


def read_rotation(root: Path) -> Rotated | None:
    """Score what is there; None before any fold was examined."""
    found = {
        fold: finals
        for fold in range(1, N_FOLDS + 1)
        if (finals := finals_of(root / "rotation" / f"fold{fold}")) is not None
    }
    if not found:
        return None
    first = next(iter(found.values()))
    keys = tuple(first.test.scores)
    observed, values = [], []
    for fold, finals in found.items():
        test = finals.test
        n_seeds = len(test.seeds[keys[0]])
        teacher = np.repeat(test.teacher_NC[None], n_seeds, axis=0)
        scores = np.stack([*(test.scores[key] for key in keys), teacher])
        areas = bootstrap_auroc(
            test.labels_NC, scores, draw_patients(test.patient_ids_N, seed=fold)
        )
        observed.append(areas.observed_KC)
        values.append(areas.values_BKC)
    return Rotated(
        folds=tuple(found),
        keys=(*keys, ("teacher", "")),
        classes=first.classes,
        n_recordings=sum(len(each.test.record_ids_N) for each in found.values()),
        n_patients=sum(len(set(each.test.patient_ids_N)) for each in found.values()),
        observed_FKC=np.stack(observed),
        values_BKC=np.mean(values, axis=0),
    )
