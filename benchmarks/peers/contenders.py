"""The contenders: what each is, and how it is started."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import ours
from benchmarks.peers.recipe import EndedTrial, Recipe, read_trials
from benchmarks.peers.syne_tune_environment import python_with_syne_tune

OURS = "ours"


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One way to do the search."""

    name: str
    what: str
    command: Callable[[Recipe, Path], list[str]]
    """Its command line, given a folder of its own in that of the bench.

    Raises NotInstalledError where it cannot run here.
    """
    trials: Callable[[Path], list[EndedTrial]]
    """What it came to, read from its folder after it has ended."""


def _this_python(folder: Path) -> str:
    del folder
    return sys.executable


def _peer(
    name: str, what: str, module: str, python: Callable[[Path], str] = _this_python
) -> Contender:
    def command(recipe: Recipe, out: Path) -> list[str]:
        recipe.write(out / "recipe.json")
        script = [python(out.parent), "-m", f"benchmarks.peers.{module}"]
        return [*script, str(out / "recipe.json"), str(out)]

    return Contender(
        name=name, what=what, command=command, trials=lambda out: read_trials(out / "trials.json")
    )


CONTENDERS = {
    each.name: each
    for each in (
        Contender(name=OURS, what="`mvkt search`", command=ours.command, trials=ours.trials_in),
        _peer("A", "PyTorch, Optuna, a DataLoader over a file per recording", "a_dataloader"),
        _peer("B", "PyTorch, Optuna, all recordings in a tensor per process", "b_tensors"),
        _peer("C", "Ray Tune, a function, OptunaSearch, ASHA", "c_tune"),
        _peer("D", "Ray Tune, a TorchTrainer in each trial, Ray Data", "d_torch_trainer"),
        _peer("E", "Syne Tune over A's training", "e_syne_tune", python_with_syne_tune),
    )
}
"""By name; ours first."""
