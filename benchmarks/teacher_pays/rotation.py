"""Rotating folds: every fold is the test split once, so that all recordings are examined.

A study for each of nine folds: the next one validates, the other seven train. Scores are computed
within a fold, as models of different folds have scales of their own, and averaged over the folds.
Two intervals: of patients, resampled within each fold with the models as they are; and of folds,
by Student's t, as the models of each fold, its teacher included, were trained on recordings of
their own, though from the same seed.

Shapes: F folds, K contenders, B resamples, C classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from benchmarks.teacher_pays.studies import FIDELITY, finalize, finals_of, search, write_study
from benchmarks.teacher_pays.ways import ALONE
from mvkt_ray.statistics.intervals import percentile_interval
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients

LEADS = ("I", "II", "V1", "V5", "V6", "aVF")
N_FOLDS = 9
TEST_FOLDS = tuple(range(1, N_FOLDS + 1))
TEACHER = ("teacher", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Contenders of one teacher, which every fold examines in a study of their own."""

    suffix: str
    """Of the folder of each fold's study."""
    teacher: Mapping[str, Any]
    """What the study says of its teacher."""
    contenders: Mapping[str, Mapping[str, Any]]
    """What each sets on top of the defaults; the last is the study's answer."""

    def out(self, root: Path, test: int) -> Path:
        """Return the folder of the study that examines a fold."""
        return root / "rotation" / f"fold{test}{self.suffix}"


def folds_of(test: int) -> str:
    """Return the three splits with this fold as the test split, as `--folds` takes them."""
    val = test % N_FOLDS + 1
    train = [fold for fold in range(1, N_FOLDS + 1) if fold not in (test, val)]
    return f"{','.join(map(str, train))}/{val}/{test}"


def run_fold(
    test: int,
    root: Path,
    data: str,
    recipe: Recipe,
    n_seeds: int,
    runner: Sequence[str],
) -> None:
    """Train and examine a recipe with a fold as the test split, as far as that is missing."""
    contenders, out = recipe.contenders, recipe.out(root, test)
    if finals_of(out) is not None:
        return
    study = write_study(
        out.parent / f"{out.name}.yaml",
        {
            "base": str(FIDELITY),
            "name": f"rotation_{out.name}",
            "teacher": dict(recipe.teacher),
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


def describe_rotation(root: Path, recipes: Sequence[Recipe]) -> dict[str, Any] | None:
    """Score what was examined; None before any fold was.

    Of a recipe that lacks a fold which the first one has, nothing is said.
    """
    folds = [fold for fold in TEST_FOLDS if finals_of(recipes[0].out(root, fold)) is not None]
    if not folds:
        return None
    whole = [
        recipe
        for recipe in recipes
        if all(finals_of(recipe.out(root, fold)) is not None for fold in folds)
    ]
    scored = [_score_fold(root, fold, whole) for fold in folds]
    keys = scored[0].keys
    observed_FKC = np.stack([each.observed_KC for each in scored])
    values_BKC = np.mean([each.values_BKC for each in scored], axis=0)
    names = list(dict.fromkeys(name for name, lead in keys if lead and name != ALONE))
    rows: list[dict[str, Any]] = []
    for name in names:
        for leads in ([lead] for lead in LEADS):
            rows.append(_row(name, leads, keys, observed_FKC, values_BKC))
        rows.append(_row(name, list(LEADS), keys, observed_FKC, values_BKC))
    return {
        "folds": folds,
        "classes": list(scored[0].classes),
        "n_recordings": sum(each.n_recordings for each in scored),
        "n_patients": sum(each.n_patients for each in scored),
        "rows": rows,
    }


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Fold:
    """One fold, scored; the teacher is the last of the keys, without a lead."""

    keys: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    n_recordings: int
    n_patients: int
    observed_KC: NDArray[np.float64]
    values_BKC: NDArray[np.float64]


def _score_fold(root: Path, fold: int, recipes: Sequence[Recipe]) -> _Fold:
    found = [finals_of(recipe.out(root, fold)) for recipe in recipes]
    finals = [each for each in found if each is not None]
    first = finals[0].test
    assert all(np.array_equal(each.test.record_ids_N, first.record_ids_N) for each in finals)
    keys: list[tuple[str, str]] = []
    scores: list[NDArray[Any]] = []
    for each in finals:
        keys.extend(each.test.scores)
        scores.extend(each.test.scores.values())
    # The teacher of the first recipe, whose gap is spoken of.
    teacher = np.repeat(first.teacher_NC[None], len(scores[0]), axis=0)
    areas = bootstrap_auroc(
        first.labels_NC, np.stack([*scores, teacher]), draw_patients(first.patient_ids_N, seed=fold)
    )
    return _Fold(
        keys=(*keys, TEACHER),
        classes=finals[0].classes,
        n_recordings=len(first.record_ids_N),
        n_patients=len(set(first.patient_ids_N)),
        observed_KC=areas.observed_KC,
        values_BKC=areas.values_BKC,
    )


def _row(
    name: str,
    leads: list[str],
    keys: tuple[tuple[str, str], ...],
    observed_FKC: NDArray[np.float64],
    values_BKC: NDArray[np.float64],
) -> dict[str, Any]:
    """Describe the gain of a contender, by class, over one lead or the mean of several."""
    own, alone = ([keys.index((each, lead)) for lead in leads] for each in (name, ALONE))
    teacher = keys.index(TEACHER)
    gained_FC = (observed_FKC[:, own] - observed_FKC[:, alone]).mean(axis=1)
    gained_BC = (values_BKC[:, own] - values_BKC[:, alone]).mean(axis=1)
    alone_C = observed_FKC[:, alone].mean(axis=(0, 1))
    gap_C = observed_FKC[:, teacher].mean(axis=0) - alone_C
    by_patients = percentile_interval(gained_BC.mean(axis=1))
    by_fold_F = gained_FC.mean(axis=1)
    return {
        "contender": name,
        "lead": leads[0] if len(leads) == 1 else "mean",
        "alone": alone_C.mean(),
        "score": observed_FKC[:, own].mean(),
        "teacher": observed_FKC[:, teacher].mean(),
        "gain": by_fold_F.mean(),
        "ci_patients": [by_patients.low, by_patients.high],
        "ci_folds": _t_interval(by_fold_F),
        "by_class": [
            {"gain": gain, "gap": gap}
            for gain, gap in zip(gained_FC.mean(axis=0).tolist(), gap_C.tolist(), strict=True)
        ],
    }


def _t_interval(values_F: NDArray[np.float64]) -> list[float] | None:
    """Return Student's 95 % interval of a mean over folds, each with weights of its own."""
    if len(values_F) < 2:
        return None
    error = values_F.std(ddof=1) / math.sqrt(len(values_F))
    half = float(student_t.ppf(0.975, len(values_F) - 1) * error)
    return [float(values_F.mean()) - half, float(values_F.mean()) + half]
