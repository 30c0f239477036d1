"""What every test may use: the shared recordings where they exist, and one thread per process."""

import functools
import os
import sys
from collections.abc import Iterator
from itertools import chain, groupby, zip_longest
from pathlib import Path

import hypothesis
import pytest
import torch
from optuna.storages._rdb.storage import _VersionManager

from tests.images import skip_images
from tests.object_store import s3_server as s3_server
from tests.postgres_server import PASSWORD, PostgresServer, running_postgres

# No test measures time: a machine may be busy.
hypothesis.settings.register_profile("mvkt", deadline=None)
hypothesis.settings.load_profile("mvkt")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    """Keep what Python has compiled, also where the environment says not to, as containers' does.

    Otherwise each of the workers compiles all tests, and each process that they start the package.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that start Ray, the longest, alternate with others, the largest first.

    By pytest-xdist's own order, which counts tests, they all come at the end and beside each other.
    """
    files = {path: list(group) for path, group in groupby(items, key=lambda item: item.path)}
    with_ray, others = [], []
    for group in sorted(files.values(), key=len, reverse=True):
        starts_ray = any(item.get_closest_marker("ray") for item in group)
        (with_ray if starts_ray else others).append(group)
    in_turn = chain.from_iterable(zip_longest(with_ray, others, fillvalue=()))
    items[:] = chain.from_iterable(in_turn)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads with the other core busy spin at barriers; one is faster and repeatable."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def migrations_read_once() -> Iterator[None]:
    """Optuna runs the scripts of all its migrations for each database that it opens or makes.

    They are the same for all; a command opens one database, the tests thousands.
    """
    read = functools.cache(_VersionManager._create_alembic_script)
    with pytest.MonkeyPatch.context() as patch:
        of_any = object.__new__(_VersionManager)
        of_any.url = "sqlite://"
        patch.setattr(_VersionManager, "_create_alembic_script", lambda _: read(of_any))
        yield


@pytest.fixture(scope="session")
def postgres_session() -> Iterator[PostgresServer]:
    """One real PostgreSQL for all tests of a process."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_session: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> PostgresServer:
    """Let this process and its children in, by the variable that libpq reads."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return postgres_session


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real recordings, beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            "the real recordings are not there: no folder ../shared/data beside the project"
        )
    return SHARED_DATA


@pytest.fixture
def without_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are made without rendering their images, which takes longer than tiny trials.

    Everything up to there is done; `tests/delivery` looks at the images.
    """
    skip_images(monkeypatch)
