"""Batch normalisation over ranks, seen from one rank; two ranks are in distill/test_over_ranks."""

import copy

import pytest
import torch
from torch import nn

from mvkt_ray.models.networks import build_network
from mvkt_ray.models.sync_batch_norm import AllRanksBatchNorm, sync_batch_norm


def test_the_state_dict_keeps_its_keys_and_values():
    network = build_network("sepconv1d_tiny", 1, 2)
    before = copy.deepcopy(network.state_dict())
    after = sync_batch_norm(network).state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert any(isinstance(module, AllRanksBatchNorm) for module in network.modules())
    assert all(type(module) is not nn.BatchNorm2d for module in network.modules())


def test_with_one_rank_nothing_changes_in_training_or_evaluation():
    torch.manual_seed(0)
    plain = build_network("sepconv1d_tiny", 1, 2)
    synced = sync_batch_norm(copy.deepcopy(plain))
    signal_BLS = torch.randn(4, 1, 60)
    assert torch.equal(plain(signal_BLS)[0], synced(signal_BLS)[0])
    assert torch.equal(plain.eval()(signal_BLS)[0], synced.eval()(signal_BLS)[0])


def test_an_optimiser_made_before_keeps_working():
    network = build_network("sepconv1d_tiny", 1, 2)
    parameters = list(network.parameters())
    sync_batch_norm(network)
    assert all(a is b for a, b in zip(parameters, network.parameters(), strict=True))


def test_a_layer_without_running_statistics_is_refused():
    with pytest.raises(TypeError, match="running statistics"):
        sync_batch_norm(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)))
