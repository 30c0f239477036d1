"""Forecast, budget, plan, render and check agree on which workers fit which nodes, and how many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mvkt_ray.cluster_files.cluster_fit import check_fit
from mvkt_ray.cluster_files.instances import read_instances
from mvkt_ray.cluster_files.machines import pod_groups, rented_groups
from mvkt_ray.cluster_files.needs import Need, needs_of
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.settings import Value
from mvkt_ray.config.resources import (
    CostConfig,
    IngestResourcesConfig,
    NodeTypeConfig,
    ResourcesConfig,
    WorkersConfig,
)
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.errors import ClusterError, ConfigError
from mvkt_ray.on_ray.capacity.concurrency import Concurrency, check_plan
from mvkt_ray.on_ray.capacity.growth import Growth, NodesToCome
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.budget import Limits
from mvkt_ray.search.spending.forecast import Forecast, forecast, trials_at_once
from mvkt_ray.slots import (
    GIB_FOR_RAY,
    GIB_PER_WORKER,
    GROUP_LABEL,
    MOST_CPUS_OF_A_TEACHER,
    Node,
    models_on,
    with_settled_teacher,
)

INSTANCES = Path(__file__).parents[2] / "cluster" / "instances.csv"
NETWORKS = ("xresnet1d18", "sepconv1d_tiny", "resnet1d_wang")
N_TRIALS = 12
WHOLE = Fraction(1)

on_cpus = st.builds(
    WorkersConfig,
    workers=st.sampled_from([1, 2, 5, (1, 4), (2, 3)]),
    cpus_per_worker=st.sampled_from(["auto", 0.1, 0.25, 1, 1.5, 3, 4]),
    gpus_per_worker=st.sampled_from([0, 1, 2]),
)
on_gpus = st.builds(
    WorkersConfig,
    cpus_per_worker=st.sampled_from(["auto", 0.1, 1, 1.5, 3]),
    gpus_per_worker=st.sampled_from([0.1, 0.25, 1 / 3, 0.4, 0.5, 1, 2, 4]),
    accelerator_type=st.sampled_from([None, "T4", "A100"]),
)
any_workers = on_cpus | on_gpus
any_node = st.builds(
    Node,
    group=st.sampled_from(["small", "large"]),
    cpus=st.sampled_from([0, 0.3, 1, 2, 4, 8, 32]),
    gpus=st.sampled_from([0, 0.3, 1, 2, 3, 8]),
    accelerator_type=st.sampled_from([None, "T4", "A100"]),
    memory_gib=st.sampled_from([None, None, 1, 4, 8, 15.9, 128]),
)


@st.composite
def any_study(draw: st.DrawFn) -> StudyConfig:
    """A study whose networks may have workers of their own."""
    networks = draw(st.lists(st.sampled_from(NETWORKS), min_size=1, unique=True))
    own = draw(st.lists(st.sampled_from(networks), unique=True))
    node_type = NodeTypeConfig(price_per_hour=1.0, cpus=99)
    resources = ResourcesConfig(
        trial=draw(any_workers),
        students={name: draw(any_workers) for name in own},
        teacher=draw(any_workers),
        ingest=IngestResourcesConfig(cpus_per_task=draw(st.sampled_from([0.5, 1, 4]))),
        cost=CostConfig(node_types={"small": node_type, "large": node_type}),
    )
    return StudyConfig(
        name="any",
        space={"student": ParameterConfig(choices=tuple(networks))},
        search=SearchConfig(n_trials=N_TRIALS),
        resources=resources,
    )


def exact(value: float) -> Fraction:
    return Fraction(value).limit_denominator(1000)


def slots_by_hand(node: Node, workers: WorkersConfig) -> int:
    """Put one worker after the other on a node, each on the first GPU that has room."""
    if workers.accelerator_type and workers.accelerator_type != node.accelerator_type:
        return 0
    cpus, n = exact(node.cpus), 0
    memory = None if node.memory_gib is None else exact(node.memory_gib - GIB_FOR_RAY)
    left = exact(node.gpus)
    gpus = [WHOLE] * int(left) + [left % 1]
    share = exact(workers.gpus_per_worker)
    while True:
        cpus -= exact(workers.cpus)
        if memory is not None:
            memory -= exact(GIB_PER_WORKER)
        if cpus < 0 or (memory is not None and memory < 0) or not took(gpus, share):
            return n
        n += 1


def took(gpus: list[Fraction], share: Fraction) -> bool:
    for _ in range(int(share)):
        if WHOLE not in gpus:
            return False
        gpus[gpus.index(WHOLE)] = Fraction(0)
    part = share % 1
    index = next((i for i, free in enumerate(gpus) if free >= part), None)
    if index is None:
        return False
    gpus[index] -= part
    return True


def models_by_hand(nodes: Sequence[Node], workers: WorkersConfig) -> int:
    left, n = sum(slots_by_hand(node, workers) for node in nodes), 0
    while left >= workers.min_workers:
        left -= min(left, workers.max_workers)
        n += 1
    return n


def drawn_by_hand(config: StudyConfig) -> list[WorkersConfig]:
    resources = config.resources
    names = config.space["student"].choices or ()
    return [resources.students.get(str(name), resources.trial) for name in names]


def is_accepted(check: Callable[[], None]) -> bool:
    try:
        check()
    except (ClusterError, ConfigError):
        return False
    return True


def predicted(config: StudyConfig, nodes: Sequence[Node]) -> Forecast:
    trial = Trial(number=0, condition=Condition(leads=("II",)), arm=Arm.SEARCH, hyperparameters={})
    result = TrialResult(number=0, state=TrialState.COMPLETE, epochs=10, wall_s=60)
    record = TrialRecord(trial=trial, drawn={}, state=result.state, result=result)
    found = forecast(
        config,
        n_ended=0,
        basis=[record],
        basis_epochs=10,
        basis_name="another",
        nodes=nodes,
        one_at_a_time=False,
    )
    assert found is not None
    return found


A100_SHARE = WorkersConfig(gpus_per_worker=0.4, accelerator_type="A100")


@pytest.mark.parametrize(
    ("node", "workers", "n_slots"),
    [
        (Node(cpus=8, gpus=2, accelerator_type="T4"), A100_SHARE, 0),
        (Node(cpus=8, gpus=1), WorkersConfig(gpus_per_worker=0.4), 2),
        (Node(cpus=8, gpus=2), WorkersConfig(gpus_per_worker=0.4), 4),
        (Node(cpus=8, gpus=2.5), WorkersConfig(gpus_per_worker=0.4), 5),
        (Node(cpus=8, gpus=5), WorkersConfig(gpus_per_worker=2), 2),
        (Node(cpus=0.3), WorkersConfig(cpus_per_worker=0.1), 3),
        (Node(cpus=8, memory_gib=7.5), WorkersConfig(), 2),
        (Node(cpus=8, memory_gib=1), WorkersConfig(), 0),
        (Node(group="head", cpus=0), WorkersConfig(), 0),
    ],
)
def test_slots_by_hand(node: Node, workers: WorkersConfig, n_slots: int) -> None:
    assert node.slots(workers) == n_slots


@pytest.mark.parametrize(
    ("labels", "n_slots"),
    [
        ({}, 2),
        ({"pool": "readers"}, 2),
        ({"pool": "readers", GROUP_LABEL: "cpu"}, 2),
        ({"pool": "writers"}, 0),
        ({GROUP_LABEL: "gpu"}, 0),
        ({"disk": "fast"}, 0),
    ],
)
def test_a_node_has_slots_where_it_has_all_labels(labels: Mapping[str, str], n_slots: int) -> None:
    node = Node(group="cpu", cpus=2, labels={"pool": "readers", "zone": "a"})
    assert node.slots(WorkersConfig(), labels) == n_slots


@given(node=any_node, workers=any_workers)
def test_a_node_has_as_many_slots_as_workers_fit_one_after_the_other(
    node: Node, workers: WorkersConfig
) -> None:
    assert node.slots(workers) == slots_by_hand(node, workers)


@given(config=any_study(), nodes=st.lists(any_node, min_size=1, max_size=3))
@example(
    config=StudyConfig(
        name="issue",
        space={"student": ParameterConfig(choices=NETWORKS)},
        search=SearchConfig(n_trials=N_TRIALS),
        resources=ResourcesConfig(trial=A100_SHARE),
    ),
    nodes=[Node(group="small", cpus=8, gpus=2, accelerator_type="T4")],
)
def test_all_agree_on_what_fits_a_cluster(config: StudyConfig, nodes: list[Node]) -> None:
    resources, cluster = config.resources, ClusterResources(nodes=tuple(nodes))
    by_hand = {name: models_by_hand(nodes, each) for name, each in resources.models().items()}
    task = WorkersConfig(cpus_per_worker=resources.ingest.cpus_per_task)
    fits = all(by_hand.values()) and models_by_hand(nodes, task) > 0

    to_come = [NodesToCome(name=node.group, node=node, max_nodes=1) for node in nodes]
    growth = Growth(groups=tuple(to_come))
    groups = [NodeGroup(node=node) for node in nodes]
    assert is_accepted(lambda: check_fit(resources, groups, "file")) == fits
    assert is_accepted(lambda: check_plan(resources, cluster)) == fits
    nothing = ClusterResources(nodes=())
    assert is_accepted(lambda: check_plan(resources, nothing, growth)) == fits

    for name, workers in resources.models().items():
        assert cluster.holds(workers) == growth.holds(workers) == by_hand[name]
        concurrency = Concurrency(max_concurrent_trials=None, growth=Growth())
        assert concurrency.limit(workers, cluster) == max(1, by_hand[name])

    at_once = min(models_by_hand(nodes, workers) for workers in drawn_by_hand(config))
    assert trials_at_once(config, nodes) == at_once
    assert predicted(config, nodes).n_at_once == max(1, min(at_once, N_TRIALS))


@given(teacher=any_workers, nodes=st.lists(any_node, max_size=3))
def test_a_teacher_takes_all_cpus_of_one_node_only_where_nobody_else_could_use_them(
    teacher: WorkersConfig, nodes: list[Node]
) -> None:
    settled = with_settled_teacher(ResourcesConfig(teacher=teacher), nodes).teacher
    assert [node for node in nodes if node.slots(settled)] or not models_on(nodes, teacher)
    is_alone = teacher.max_workers == 1 and not teacher.gpus_per_worker
    if teacher.cpus_per_worker != "auto" or not is_alone:
        assert settled.cpus == teacher.cpus
    else:
        there = [int(node.cpus) for node in nodes if slots_by_hand(node, teacher)]
        assert settled.cpus == min(MOST_CPUS_OF_A_TEACHER, max(there, default=1))
    # Asked in a runner's map afterwards, it fits, too.
    assert models_on(nodes, teacher.asked) >= min(1, models_on(nodes, teacher))


@given(config=any_study(), nodes=st.lists(any_node, min_size=1, max_size=3))
def test_money_is_asked_of_the_nodes_that_have_a_slot(
    config: StudyConfig, nodes: list[Node]
) -> None:
    resources, drawn = config.resources, drawn_by_hand(config)
    has_slots = all(any(slots_by_hand(node, each) for node in nodes) for each in drawn)
    assert (predicted(config, nodes).money is not None) == has_slots

    unpriced = [replace(node, group="spot") for node in nodes]
    is_usable = any(
        slots_by_hand(node, each) for node in unpriced for each in resources.models().values()
    )
    limits = Limits(money=1.0)
    assert is_accepted(lambda: limits.check_nodes(unpriced, resources)) == (not is_usable)


@given(has_gpu=st.sets(st.sampled_from(["trial", "teacher", "xresnet1d18"])))
def test_gpu_hours_are_limited_where_any_model_reserves_a_gpu(has_gpu: set[str]) -> None:
    def asked(name: str) -> WorkersConfig:
        return WorkersConfig(gpus_per_worker=0.5 if name in has_gpu else 0)

    resources = ResourcesConfig(
        trial=asked("trial"),
        teacher=asked("teacher"),
        students={"xresnet1d18": asked("xresnet1d18")},
    )
    assert is_accepted(lambda: Limits(gpu_hours=1.0).check(resources)) == bool(has_gpu)


PODS: Mapping[str, Value] = {
    "cpus_per_pod": 8,
    "gpus_per_pod": "",
    "min_cpu_nodes": 0,
    "max_cpu_nodes": "",
    "max_gpu_nodes": "",
}
MACHINES: Mapping[str, Value] = {
    "head_instance": "",
    "cpu_instance": "",
    "gpu_instance": "",
    "min_cpu_nodes": 0,
    "max_cpu_nodes": "",
    "max_gpu_nodes": "",
}


def is_for_rent(need: Need) -> bool:
    return any(
        slots_by_hand(machine.node, need.workers)
        for machine in read_instances(INSTANCES, "aws").values()
        if bool(machine.node.gpus) == bool(need.workers.gpus_per_worker)
    )


@settings(max_examples=60)
@given(config=any_study(), is_rented=st.booleans())
def test_what_render_sizes_passes_check_and_plan_and_the_forecast_fills_it(
    config: StudyConfig, is_rented: bool
) -> None:
    needs = needs_of(config)
    if is_rented and not all(is_for_rent(need) for need in needs):
        with pytest.raises(ConfigError, match=r"resources\."):
            rented_groups(needs, INSTANCES, MACHINES, "aws")
        return
    groups = (
        rented_groups(needs, INSTANCES, MACHINES, "aws")
        if is_rented
        else pod_groups(needs, PODS, "kuberay-job")
    )
    assert len({group.name for group in groups}) == len(groups)
    check_fit(config.resources, groups, "rendered")
    nodes = tuple(group.node for group in groups for _ in range(group.max_nodes))
    check_plan(config.resources, ClusterResources(nodes=nodes))
    for need in needs:
        assert models_by_hand(nodes, need.workers) >= need.at_once, need
    [*_, trial] = needs
    assert predicted(config, nodes).n_at_once >= trial.at_once
