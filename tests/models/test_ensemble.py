"""Several networks that speak as one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.models.ensemble import Ensemble, one_of
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network


def networks(n: int) -> list[Network]:
    with torch.random.fork_rng():
        torch.manual_seed(n)
        return [build_network("sepconv1d_tiny", 2, 3).eval() for _ in range(n)]


@settings(deadline=None, max_examples=10)
@given(n=st.integers(2, 4), batch=st.integers(1, 3))
def test_one_linear_layer_makes_the_logits_of_an_ensemble_of_its_embedding(
    n: int, batch: int
) -> None:
    members = networks(n)
    ensemble = Ensemble(members).eval()
    with torch.no_grad():
        logits_BC, embedding_BD = ensemble(torch.randn(batch, 2, 64))
    assert embedding_BD.shape == (batch, ensemble.embedding_dim)
    bias_C = torch.stack([member.classifier.bias for member in members]).mean(dim=0)
    torch.testing.assert_close(logits_BC, embedding_BD @ ensemble.classifier_weight.T + bias_C)


def test_members_are_asked_about_the_same_signal_and_their_logits_averaged() -> None:
    members = networks(3)
    signal_BLS = torch.randn(4, 2, 64)
    with torch.no_grad():
        logits_BC, embedding_BD = Ensemble(members).eval()(signal_BLS)
        said = [member(signal_BLS) for member in members]
    expected_BC = (said[0][0] + said[1][0] + said[2][0]) / 3
    torch.testing.assert_close(logits_BC, expected_BC)
    dim = members[0].embedding_dim
    for number, (_, own_BD) in enumerate(said):
        assert torch.equal(embedding_BD[:, number * dim : (number + 1) * dim], own_BD)


def test_logits_are_not_rounded_once_more_under_autocast() -> None:
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits_BC, _ = Ensemble(networks(2)).eval()(torch.randn(1, 2, 64))
    assert logits_BC.dtype is torch.float32


def test_one_network_stays_what_it_is() -> None:
    [network] = networks(1)
    assert one_of([network]) is network
    assert isinstance(one_of(networks(2)), Ensemble)


def test_an_ensemble_keeps_the_weights_of_each_member_apart() -> None:
    keys = set(Ensemble(networks(2)).state_dict())
    own = set(networks(1)[0].state_dict())
    assert keys == {f"members.{number}.{name}" for number in (0, 1) for name in own}
    with pytest.raises(RuntimeError):
        networks(1)[0].load_state_dict(Ensemble(networks(2)).state_dict())
