"""A folder on `sys.path` that packages with plug-ins are written into."""

from pathlib import Path

import pytest
import torch

from mvkt_ray.distill.both_say import BothSay


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that this process imports from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def said() -> BothSay:
    """Return what student and teacher say of six recordings."""
    return BothSay(
        student_logits_BC=torch.zeros(6, 4),
        student_embedding_BS=torch.zeros(6, 5),
        student_classifier_CS=torch.zeros(4, 5),
        teacher_logits_BC=torch.ones(6, 4),
        teacher_embedding_BD=torch.ones(6, 7),
        labels_BC=torch.ones(6, 4),
    )
