"""Runs contenders in turn, and keeps each one's round in a file, so that a killed bench goes on."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.contenders import Contender
from benchmarks.peers.measuring import CommandFailedError, Usage, environment, measured
from benchmarks.peers.ours import configurations_of
from benchmarks.peers.recipe import EndedTrial, Recipe
from benchmarks.peers.syne_tune_environment import VERSION as SYNE_TUNE_VERSION
from benchmarks.peers.syne_tune_environment import NotInstalledError

ROOT = Path(__file__).parents[2]
PACKAGES = ("mvkt-ray", "numpy", "optuna", "pandas", "ray", "scikit-learn", "torch", "wfdb")
FIXED, OWN = "fixed", "own"
"""Searches: the fixed configurations, all to their end; everybody's own sampler and pruning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What a contender came to in a round of a search."""

    contender: str
    search: str
    number: int
    """Of the round, from 0."""
    recipe: Recipe
    usage: Usage
    trials: tuple[EndedTrial, ...]
    load_before: float
    """Load average of the last minute before it began."""
    machine: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        """`fixed-A-0.json`."""
        return f"{self.search}-{self.contender}-{self.number}.json"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Round":
        """Read what `asdict` made and JSON holds."""
        return cls(
            **{
                **value,
                "recipe": Recipe.from_json(value["recipe"]),
                "usage": Usage(**value["usage"]),
                "trials": tuple(EndedTrial(**each) for each in value["trials"]),
            }
        )


BenchError = CommandFailedError | NotInstalledError
"""Why a contender has no round."""


class OtherBenchError(Exception):
    """The folder holds the rounds of another bench."""


def recipe_of(recipe: Recipe, search: str, number: int) -> Recipe:
    """Return what is searched in a round: other configurations and seeds in each."""
    own = replace(recipe, seed=recipe.seed + number, configurations=())
    return own if search == OWN else replace(own, configurations=configurations_of(own))


def order(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Return who comes when in a round: each begins one of them, as far as there are enough."""
    first = number % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def read_rounds(out: Path) -> list[Round]:
    """Read what is there, in the order of the files' names."""
    files = [*sorted(out.glob(f"{FIXED}-*.json")), *sorted(out.glob(f"{OWN}-*.json"))]
    return [Round.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def run_missing(
    out: Path,
    recipe: Recipe,
    contenders: Sequence[Contender],
    *,
    searches: Sequence[str],
    n_rounds: int,
) -> Iterator[tuple[Contender, Round | BenchError]]:
    """Run what has no file yet; a contender that fails does not keep the others from running.

    Raises:
        OtherBenchError: A file that is there is of another recipe.
    """
    out.mkdir(parents=True, exist_ok=True)
    there = {each.file_name: each for each in read_rounds(out)}
    for number in range(n_rounds):
        for search in searches:
            this = recipe_of(recipe, search, number)
            for contender in order(contenders, number):
                known = there.get(f"{search}-{contender.name}-{number}.json")
                if known is None:
                    yield contender, run_round(out, this, contender, search, number)
                elif known.recipe != this:
                    raise OtherBenchError(
                        f"{out / known.file_name} is of another recipe than is asked for; give "
                        "another --out, or the options that it was begun with."
                    )


def run_round(
    out: Path, recipe: Recipe, contender: Contender, search: str, number: int
) -> Round | BenchError:
    """Run one contender from nothing, and keep what it came to; its own files are removed."""
    work = out / "running"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    # Ray's sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as ray_folder:
        try:
            command = contender.command(recipe, work)
            load = os.getloadavg()[0]
            usage = measured(command, environment(ROOT, ray_folder), work)
            trials = tuple(contender.trials(work))
        except NotInstalledError as error:
            return error
        except CommandFailedError as error:
            shutil.copy(work / "log.txt", out / f"failed-{search}-{contender.name}-{number}.txt")
            return error
    done = Round(
        contender=contender.name,
        search=search,
        number=number,
        recipe=recipe,
        usage=usage,
        trials=trials,
        load_before=load,
        machine=machine(),
    )
    partial = out / f"{done.file_name}.partial"
    partial.write_text(json.dumps(asdict(done)), encoding="utf-8")
    partial.replace(out / done.file_name)
    shutil.rmtree(work)
    return done


def machine() -> dict[str, Any]:
    """Say what it ran on."""
    cpu = [
        line.partition(": ")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu[0] if cpu else platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES} | {"syne-tune": SYNE_TUNE_VERSION},
    }
