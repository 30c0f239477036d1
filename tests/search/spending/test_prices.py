"""Money: shares of nodes by hand, what has no price, and sums that do not depend on their order."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig
from mvkt_ray.records import Reservation, Usage
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.slots import Node

GPU_NODE = NodeTypeConfig(price_per_hour=4.0, cpus=16, gpus=4, accelerator_type="A10G")
CPU_NODE = NodeTypeConfig(price_per_hour=0.8, cpus=8)
PRICES = PriceList(CostConfig(currency="EUR", node_types={"gpu": GPU_NODE, "cpu": CPU_NODE}))

ON_GPU = Node(group="gpu", cpus=16, gpus=4, accelerator_type="A10G")
ON_CPU = Node(cpus=8)
ELSEWHERE = Node(group="spot", cpus=64)


def held(node: Node | None, *, cpus: float, gpus: float = 0.0, s: float = 3600) -> Reservation:
    return Reservation(node=node, cpus=cpus, gpus=gpus, worker_s=s)


@pytest.mark.parametrize(
    ("reservation", "money"),
    [
        (held(ON_GPU, cpus=1, gpus=1), 1.0),  # a quarter of the GPUs, a sixteenth of the CPUs
        (held(ON_GPU, cpus=8, gpus=1), 2.0),  # half of the CPUs: nobody can use the other GPUs
        (held(ON_GPU, cpus=1, gpus=0.25), 0.25),
        (held(ON_GPU, cpus=4), 1.0),
        (held(ON_CPU, cpus=2, s=1800), 0.1),
        (held(ON_CPU, cpus=9), 0.8),  # never more than the node
    ],
)
def test_a_training_pays_the_larger_share_of_its_node(
    reservation: Reservation, money: float
) -> None:
    assert PRICES.spent([reservation]).money == pytest.approx(money)


def test_gpu_time_is_counted_on_nodes_without_a_price_too() -> None:
    spent = PRICES.spent([held(ELSEWHERE, cpus=1, gpus=0.5), held(None, cpus=1, gpus=1, s=60)])
    assert spent == Spent(gpu_s=1860, money=0.0, unpriced_s=3660)


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (Node(group="gpu", cpus=99), "gpu"),  # what the cluster says comes first
        (Node(group="workers", cpus=8), "cpu"),
        (Node(cpus=16, gpus=4, accelerator_type="A10G"), "gpu"),
        (Node(cpus=16, gpus=4, accelerator_type="H100"), None),
        (Node(cpus=16, gpus=4), None),
        (Node(cpus=7), None),
        (None, None),
    ],
)
def test_a_node_is_known_by_its_group_or_its_shape(node: Node | None, name: str | None) -> None:
    assert PRICES.type_of(node) == name


def test_a_shape_that_two_types_have_tells_nothing() -> None:
    twins = PriceList(CostConfig(node_types={"on_demand": CPU_NODE, "spot": CPU_NODE}))
    assert twins.type_of(ON_CPU) is None
    assert twins.type_of(Node(group="spot", cpus=8)) == "spot"


RESERVATIONS = st.builds(
    held,
    st.sampled_from([ON_GPU, ON_CPU, ELSEWHERE, None]),
    cpus=st.sampled_from([1.0, 2.0]),
    gpus=st.sampled_from([0.0, 0.5]),
    s=st.integers(0, 10_000).map(float),
)
USAGES = st.builds(
    Usage, kept=st.lists(RESERVATIONS).map(tuple), lost=st.lists(RESERVATIONS).map(tuple)
)


def test_what_a_ledger_holds_of_a_node_is_read_and_stays_as_it_was() -> None:
    node = {"group": "gpu", "cpus": 16.0, "gpus": 4.0, "accelerator_type": "A10G"}
    lost = {"node": None, "cpus": 1.0, "gpus": 0.0, "worker_s": 2.0}
    kept = {"node": node, "cpus": 1.0, "gpus": 0.5, "worker_s": 3.0}
    written = {"kept": [kept], "lost": [lost]}
    usage = Usage.from_json(written)
    assert usage.kept == (held(ON_GPU, cpus=1, gpus=0.5, s=3),)
    assert usage.to_json() == written


def test_time_on_nodes_that_differ_only_in_labels_is_added_up() -> None:
    one, other = (
        Usage(kept=(held(replace(ON_CPU, labels={"ray.io/node-id": name}), cpus=1, s=5),))
        for name in ("a", "b")
    )
    assert one.plus(other).kept == (held(ON_CPU, cpus=1, s=10),)


@given(st.lists(USAGES, min_size=1, max_size=4))
def test_parts_cost_what_the_whole_costs_and_survive_json(usages: list[Usage]) -> None:
    whole = list(itertools.accumulate(usages, Usage.plus))[-1]
    assert Usage.from_json(whole.to_json()) == whole
    parts = sum((PRICES.spent(usage.reservations) for usage in usages), Spent())
    spent = PRICES.spent(whole.reservations)
    assert spent.money == pytest.approx(parts.money)
    assert spent.gpu_s == pytest.approx(parts.gpu_s)
    assert spent.unpriced_s == pytest.approx(parts.unpriced_s)
    assert whole.worker_s == pytest.approx(sum(usage.worker_s for usage in usages))
