"""Do the statistics keep what they promise? Simulated studies, whose truth is known, tell.

    python benchmarks/calibration.py --jobs 2 --out calibration.json
    python benchmarks/calibration.py --only coverage --n-studies 200

Prints one table: every figure with its Monte Carlo standard error, its target, and whether it is
met. A figure that meets or misses its target by less than two of its errors is marked (?): another
run might say otherwise. With `--out`, what was simulated is kept after every question, and a run
that is started again goes on from there.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from calibration_studies import RACES, SELECTIONS, SIMULATIONS, Settings, Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number: the mean over the studies that say something of it, unless `of` all of them."""

    key: str
    label: str
    target: str = ""
    low: float = -math.inf
    high: float = math.inf
    of: Callable[[Sequence[Study]], float] | None = None


def _bias_ratio(studies: Sequence[Study], name: str) -> float:
    """How much bias is left, as a part of the naive one."""
    corrected, naive = (
        np.mean([study[f"{kind}, {name}"] for study in studies]) for kind in ("corrected", "naive")
    )
    return float(abs(corrected) / abs(naive))


def _at_most(high: float, key: str, label: str, target: str = "") -> Figure:
    return Figure(key=key, label=label, target=target or f"<= {high:g}", high=high)


def _covers(key: str, label: str) -> Figure:
    return Figure(key=key, label=label, target="0.93 to 0.97", low=0.93, high=0.97)


def _seen(key: str, label: str) -> Figure:
    return Figure(key=key, label=label)


def _naming(name: str) -> tuple[int, tuple[Figure, ...]]:
    ahead = "0 or more"
    return 120, (
        _seen("named, balanced", "balanced conditions and finals name the best lead"),
        _seen("named, race", "raced conditions and finals name it"),
        _seen("named, one TPE", "one TPE over the lead and all else names it, equal trainings"),
        _seen("named, one TPE, more", "the same with 120 more, as many as finals with baselines"),
        Figure(key="ahead, balanced", label="balanced less one TPE", target=ahead, low=0.0),
        Figure(key="ahead, race", label="race less one TPE", target=ahead, low=0.0),
        _seen("regret, balanced", "macro AUROC lost by the lead named, balanced"),
        _seen("regret, race", "the same, race"),
        _seen("regret, one TPE", "the same, one TPE"),
        _at_most(0.05, "stopped, race", "the best lead was stopped in these races (TPE)"),
    )


QUESTIONS: dict[str, tuple[int, tuple[Figure, ...]]] = {
    "equal_leads": (
        1000,
        (
            _at_most(0.05, "one is best", "one of twelve equal leads is called the best"),
            _at_most(0.05, "a lead is out", "any of twelve equal leads is out of the best set"),
            _at_most(0.05, "a gain is claimed", "any of 12 gains that are 0 is claimed (Holm)"),
            _at_most(
                0.05, "a lead is claimed better", "any of 66 differences of 0 is claimed (Holm)"
            ),
        ),
    ),
    "real_leads": (
        400,
        tuple(
            figure
            for name in ("real", "three close")
            for figure in (
                _at_most(0.05, f"best is out, {name}", f"the best lead is out, leads {name}"),
                _seen(f"size, {name}", f"leads in the best set, leads {name}"),
            )
        ),
    ),
    "coverage": (
        1000,
        (
            _covers("percentile, score", "percentile interval of a lead's macro AUROC covers"),
            _covers("BCa, score", "BCa interval of a lead's macro AUROC covers"),
            _covers("percentile, gain", "percentile interval of a paired gain covers"),
            _covers("BCa, gain", "BCa interval of a paired gain covers"),
            _covers("reported, gain", "reported interval (t) of a paired gain covers"),
            _covers("reported, lead against lead", "the same, lead against lead"),
            _covers("percentile, rare class", "percentile interval, a class of 42 positives"),
            _covers("BCa, rare class", "BCa interval, a class of 42 positives"),
        ),
    ),
    "selection": (
        400,
        tuple(
            figure
            for name in SELECTIONS
            for figure in (
                _seen(f"naive, {name}", f"bias of the best of {name}, naive"),
                _seen(f"corrected, {name}", f"bias of the best of {name}, corrected"),
                Figure(
                    key=f"ratio, {name}",
                    label=f"corrected bias over naive bias, best of {name}",
                    target="< 1/3",
                    high=1 / 3,
                    of=partial(_bias_ratio, name=name),
                ),
                _seen(f"covered, {name}", f"interval of the corrected estimate covers, {name}"),
            )
        ),
    ),
    "racing": (
        1000,
        tuple(
            figure
            for name in RACES
            for figure in (
                _at_most(0.05, f"stopped, {name}", f"the best lead is stopped, leads {name}"),
                _at_most(
                    0.05,
                    f"stopped when long, {name}",
                    f"the same, four times as many trials, some pruned, leads {name}",
                ),
                _seen(f"n stopped, {name}", f"leads stopped, leads {name}"),
                _seen(f"saved, {name}", f"part of stopped leads' trials saved, leads {name}"),
            )
        ),
    ),
    "naming_real": _naming("real"),
    "naming_two_close": _naming("two close"),
    "naming_three_close": _naming("three close"),
}
"""How many studies are simulated for each question, and what is asked of them."""


def main() -> None:
    """Simulate and print."""
    options = _parse()
    settings = Settings(n_resamples=options.n_resamples, n_recordings=options.n_recordings)
    kept = _Kept.open(options.out, settings)
    rows: list[dict[str, Any]] = []
    for name in options.only or list(QUESTIONS):
        n_studies, figures = QUESTIONS[name]
        studies, seconds = kept.simulate(name, options.n_studies or n_studies, options.jobs)
        rows += [_row(name, figure, studies, seconds) for figure in figures]
    kept.write_rows(rows)
    print(_table(rows))
    total = sum(entry["seconds"] for entry in kept.content["studies"].values())
    print(
        f"\n{settings.n_resamples} resamples of {settings.n_recordings} recordings; "
        f"simulated in {total / 60:.1f} minutes with {options.jobs} processes."
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Simulate studies whose truth is known.")
    parser.add_argument("--n-studies", type=int, help="of each question; default: its own number")
    parser.add_argument("--n-resamples", type=int, default=Settings().n_resamples)
    parser.add_argument("--n-recordings", type=int, default=Settings().n_recordings)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", action="append", choices=QUESTIONS, help="may be given again")
    parser.add_argument("--out", type=Path, help="JSON file to keep everything in, and go on from")
    return parser.parse_args()


@dataclass(kw_only=True, slots=True)
class _Kept:
    """What was simulated so far, in a file if one was asked for."""

    path: Path | None
    settings: Settings
    content: dict[str, Any]

    @classmethod
    def open(cls, path: Path | None, settings: Settings) -> "_Kept":
        content: dict[str, Any] = {"settings": asdict(settings), "studies": {}, "table": []}
        if path is not None and path.exists():
            found = json.loads(path.read_text())
            if found["settings"] != content["settings"]:
                sys.exit(f"{path} was made with {found['settings']}: give another --out.")
            content = found
        return cls(path=path, settings=settings, content=content)

    def simulate(self, name: str, n_studies: int, jobs: int) -> tuple[list[Study], float]:
        """Simulate the studies of a question, or those that are missing."""
        entry = self.content["studies"].setdefault(name, {"seconds": 0.0, "studies": []})
        wanted = {figure.key for figure in QUESTIONS[name][1] if figure.of is None}
        if entry["studies"] and not wanted <= entry["studies"][0].keys():
            sys.exit(f"{self.path}: its studies of {name} are of another kind. Give another --out.")
        studies, started = entry["studies"], time.monotonic()
        before = entry["seconds"]
        work = partial(SIMULATIONS[name], self.settings)
        with ProcessPoolExecutor(jobs) as pool:
            for study in pool.map(work, range(len(studies), n_studies), chunksize=1):
                studies.append({key: float(value) for key, value in study.items()})
                entry["seconds"] = before + time.monotonic() - started
                if len(studies) % 20 == 0 or len(studies) == n_studies:
                    sys.stderr.write(f"{name}: {len(studies)}/{n_studies}\n")
                    self._write()
        return studies[:n_studies], entry["seconds"]

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Keep the table, too."""
        self.content["table"] = rows
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            aside = self.path.with_name(self.path.name + ".partial")
            aside.write_text(json.dumps(self.content, indent=1) + "\n")
            aside.replace(self.path)


def _row(name: str, figure: Figure, studies: Sequence[Study], seconds: float) -> dict[str, Any]:
    value, error, n = _estimate(figure, studies)
    has_target = bool(figure.target)
    return {
        "question": name,
        "figure": figure.label,
        "value": value,
        "error": error,
        "n_studies": n,
        "target": figure.target,
        "met": figure.low <= value <= figure.high if has_target else None,
        "close": min(abs(value - figure.low), abs(value - figure.high)) < 2 * error
        if has_target
        else None,
        "seconds": seconds,
    }


def _estimate(figure: Figure, studies: Sequence[Study]) -> tuple[float, float, int]:
    """Return a figure, its Monte Carlo standard error, and the number of studies behind it."""
    if figure.of is None:
        values = np.array([study[figure.key] for study in studies])
        values = values[~np.isnan(values)]
        if len(values) < 2:
            return math.nan, math.nan, len(values)
        return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))), len(values)
    rng = np.random.default_rng(0)
    redrawn = [
        figure.of([studies[i] for i in rng.integers(len(studies), size=len(studies))])
        for _ in range(200)
    ]
    return figure.of(studies), float(np.std(redrawn)), len(studies)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| question | figure | value | target | met | studies |", "|---|---|---|---|---|---|"]
    for row in rows:
        met = "" if row["met"] is None else "yes" if row["met"] else "NO"
        mark = " (?)" if row["close"] else ""
        lines.append(
            f"| {row['question']} | {row['figure']} | {row['value']:.4f} +- {row['error']:.4f} | "
            f"{row['target']} | {met}{mark} | {row['n_studies']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
