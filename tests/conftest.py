"""What every test may use: the shared recordings where they exist, and one thread per process."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

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


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads with the other core busy spin at barriers; one is faster and repeatable."""
    torch.set_num_threads(1)


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
