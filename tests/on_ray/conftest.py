"""Ray for tests: an instance or a cluster of their own, with its token, in its own directory."""

import sys
from pathlib import Path

import pytest
from ray import cloudpickle

sys.path.insert(0, str(Path(__file__).parent))

import stand_ins

# Workers cannot import what lies in a test folder.
cloudpickle.register_pickle_by_value(stand_ins)

RAYS_OWN_WARNINGS = [
    # Sockets and log files that Ray leaves to the garbage collector.
    "ignore:unclosed:ResourceWarning",
    # Threads of Ray that end when their connection does.
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning:ray",
    "ignore::FutureWarning:ray",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the warnings of Ray's own code be warnings here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in RAYS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
