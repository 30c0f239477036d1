"""What is damaged, made once: studies finished, halfway, with a result untold, unexamined, stored.

Each base is a folder with `study/`, another study beside it (`other/`, of another seed), and of the
finished ones an exported model.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from mvkt_ray.delivery.exporting import checked_graphs
from mvkt_ray.records import EpochMetrics
from mvkt_ray.search.study import Study
from tests.tiny_datasets import HEADER_LEADS, write_record
from tests.whole.test_pipeline import TINY

from .invoking import invoke
from .stored_ledger import make_small_files, make_stored_ledger

CONFIG: dict[str, Any] = {
    **TINY,
    "data": {**TINY["data"], "source_options": {"n_recordings": 100, "seed": 3}},
    "search": {**TINY["search"], "n_trials": 6},
    "finals": {"n_seeds": 2, "baselines": ["student_alone"]},
}
STUDIES = ("finished", "halfway", "untold", "unexamined")
BASES = (*STUDIES, "in a store", "small")


def make_bases(root: Path) -> None:
    """Make every base that is not there yet."""
    if (root / "made").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for seed, name in enumerate(("study", "other")):
        (root / f"{name}.yaml").write_text(yaml.safe_dump({**CONFIG, "name": name, "seed": seed}))
    for base in STUDIES:
        folder = root / base
        _search(root, folder, "other")
        if base in ("finished", "unexamined"):
            _search(root, folder, "study")
    for name in ("study", "other"):
        _run("finalize", root / "finished" / name, "--in-process")
        _run("report", root / "finished" / name)
        model = "model" if name == "study" else "other_model"
        # Of so small a student 8 bits lose more than is allowed, and their file is wanted here.
        with mock.patch.object(checked_graphs, "MOST_LOST", 1.0):
            _run("export", root / "finished" / name, root / "finished" / model)
    _broken(root, "halfway", "report", 9)
    _broken(root, "untold", "tell", 4)
    _unexamined(root)
    make_stored_ledger(root / "in a store", root / "scratch")
    make_small_files(root / "small", root / "finished")
    shutil.rmtree(root / "scratch")
    write_record(root / "recording", "r1", HEADER_LEADS)
    (root / "made").touch()


def _search(root: Path, folder: Path, name: str) -> None:
    line = ("search", root / f"{name}.yaml", "--out", folder / name, "--in-process", "--quiet")
    if name == "other" and folder.name != "finished":
        shutil.copytree(root / "finished" / "other", folder / "other")
        return
    _run(*line)


def _broken(root: Path, base: str, method: str, n_calls: int) -> None:
    """Interrupt a search in one of the calls that its runner makes."""
    for name in ("study", "other") if base == "halfway" else ("study",):
        folder = root / base / name
        shutil.rmtree(folder, ignore_errors=True)
        line = ("search", root / f"{name}.yaml", "--out", folder, "--in-process", "--quiet")
        with mock.patch.object(Study, method, _raising(getattr(Study, method), n_calls)):
            done = invoke(*line)
        assert done.exit_code == 130, done


def _unexamined(root: Path) -> None:
    """Interrupt finals when all is trained, before the test split is opened."""
    from mvkt_ray.search.finals import run_finals

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise KeyboardInterrupt

    with mock.patch.object(run_finals, "examine_all", refuse):
        done = invoke("finalize", root / "unexamined" / "study", "--in-process")
    assert done.exit_code == 130, done


def _raising(method: Callable[..., Any], n_calls: int) -> Callable[..., Any]:
    calls: list[EpochMetrics] = []

    def called(*args: Any, **options: Any) -> Any:
        calls.append(args[1])
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        return method(*args, **options)

    return called


def _run(*line: object) -> None:
    done = invoke(*line)
    assert done.exit_code == 0, (line, done.stderr)
