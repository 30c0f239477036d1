"""What every test may use: the shared recordings where they exist, and one thread per process."""

from pathlib import Path

import hypothesis
import pytest
import torch

from tests.object_store import s3_server as s3_server

# No test measures time: a machine may be busy.
hypothesis.settings.register_profile("mvkt", deadline=None)
hypothesis.settings.load_profile("mvkt")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads with the other core busy spin at barriers; one is faster and repeatable."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real recordings, beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            "the real recordings are not there: no folder ../shared/data beside the project"
        )
    return SHARED_DATA
