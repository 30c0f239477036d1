"""The examples in the docstrings of the public interface run, and say what they say."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

import mvkt_ray as mvkt
from mvkt_ray import interface

MODULES = [module.name for module in pkgutil.iter_modules(interface.__path__) if not module.ispkg]
SHOWN = ("Study", "ShardSet", "Student", "plot_ecg", "read_study")


def examples_in(module: str) -> list[doctest.DocTest]:
    home = importlib.import_module(f"mvkt_ray.interface.{module}")
    return [each for each in doctest.DocTestFinder().find(home) if each.examples]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(
    module: str, study_dir: Path, shards_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = {name: getattr(mvkt, name) for name in mvkt.__all__}
    given = {"study_dir": study_dir, "shards_dir": shards_dir, "torch": torch, "mvkt": mvkt}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with mpl.rc_context({"backend": "agg"}):
        for example in examples_in(module):
            example.globs = {**example.globs, **public, **given}
            runner.run(example)
        plt.close("all")
    assert runner.failures == 0


def test_what_a_newcomer_starts_with_has_an_example() -> None:
    for name in SHOWN:
        assert ">>> " in (inspect.getdoc(getattr(mvkt, name)) or "")
