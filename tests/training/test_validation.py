"""The maximum over windows, by hand."""

import pytest
import torch

from mvkt_ray.training.validation import raise_to_windows


def test_a_recording_scores_its_highest_window_over_several_batches() -> None:
    scores = torch.full((3, 2), -torch.inf)
    raise_to_windows(scores, torch.tensor([[0.1, 0.9], [0.4, 0.2]]), torch.tensor([0, 0]))
    raise_to_windows(scores, torch.tensor([[0.3, 0.95], [0.5, 0.6]]), torch.tensor([0, 2]))
    assert torch.equal(scores, torch.tensor([[0.4, 0.95], [-torch.inf, -torch.inf], [0.5, 0.6]]))


@pytest.mark.parametrize("runner", [0, 1])
def test_a_nan_window_is_not_hidden_by_the_others(runner: int) -> None:
    windows = torch.tensor([[0.5], [0.5]])
    windows[runner] = torch.nan
    scores = torch.full((1, 1), -torch.inf)
    raise_to_windows(scores, windows, torch.tensor([0, 0]))
    assert scores.isnan().all()
