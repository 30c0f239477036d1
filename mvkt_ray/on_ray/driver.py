"""The runner on a Ray cluster, or on an own Ray instance on this machine.

Tune, Train and torch take seconds to import, and an ingest does not need them, so methods import
them themselves.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import ray
from ray.exceptions import RayError

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.data.mapping import run_item
from mvkt_ray.errors import PreemptedError, WorkerLostError
from mvkt_ray.on_ray.capacity.concurrency import Concurrency, check_plan
from mvkt_ray.on_ray.capacity.growth import Growth, read_growth
from mvkt_ray.on_ray.capacity.nodes import ClusterResources, KnownNodes
from mvkt_ray.on_ray.connecting.address import CLIENT
from mvkt_ray.on_ray.connecting.cluster import connected, own_ray_runs
from mvkt_ray.on_ray.connecting.node_check import check_nodes
from mvkt_ray.on_ray.mailbox import open_mailbox, serve
from mvkt_ray.on_ray.unwrap import unwrapped
from mvkt_ray.on_ray.waiting import LOOKS_EVERY_S, RESULTS_COME_WITHIN_S, Waiting
from mvkt_ray.records import EpochMetrics, Usage
from mvkt_ray.search.spending.metering import Meter
from mvkt_ray.slots import Node, with_settled_teacher
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from mvkt_ray.on_ray.worker import RunTrial, TrainTeacher
    from mvkt_ray.search.runner import AskTell
    from mvkt_ray.training.students.trial_inputs import TrialInputs
    from mvkt_ray.training.teacher import TeacherJob

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_RETRIES = 3
"""Restarts of an item of a map, or of the teacher, after the loss of its process."""

ITEMS_PER_SLOT = 2
"""Submitted items of a map per slot: one runs, one waits."""

ITEMS_AHEAD = 64
"""Further submitted items if there is an autoscaler, which starts nodes for waiting tasks."""


class OnRay:
    """Runs items as tasks, trials as Tune trials, and models with several workers by Train."""

    def __init__(
        self,
        connection: contextlib.ExitStack,
        address: str | None,
        work: Path | None,
        run_trial: "RunTrial | None",
        train_teacher: "TrainTeacher | None",
        niceness: tuple[int, ...],
    ) -> None:
        """Take over a connection; use `connect`."""
        self._connection = connection
        self._address = address
        self._work = None if work is None else Location.parse(work)
        self._resources, self._growth = ResourcesConfig(), Growth()
        self._plugins: dict[str, str] = {}
        self._run_trial = run_trial
        self._train_teacher = train_teacher
        self._niceness = niceness

    @classmethod
    def connect(
        cls,
        address: str | None = None,
        *,
        work: Path | None = None,
        n_cpus: int | None = None,
        run_trial: "RunTrial | None" = None,
        train_teacher: "TrainTeacher | None" = None,
    ) -> "OnRay":
        """Connect to Ray; `close` disconnects.

        Args:
            address: None starts an own Ray instance on this machine; `auto`, `host:port` or
                `ray://host:port` attach to a cluster.
            work: Local folder for Ray's own, temporary files of a run; None: beside the run's
                output, or in the system's temporary folder if the output is in a store.
            n_cpus: CPUs of an own instance; None: the cores that this process may use.
            run_trial: Trains a trial, instead of `mvkt_ray.training.student.run_trial`; a function
                of a module that workers can import.
            train_teacher: Trains a teacher, likewise.

        Raises:
            ClusterError: There is no such cluster, it refuses the connection, it has other
                versions or code, or Ray does not start.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(connected(address, n_cpus=n_cpus))
            niceness = check_nodes(is_own=address is None)
            return cls(stack.pop_all(), address, work, run_trial, train_teacher, niceness)

    def __enter__(self) -> "OnRay":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; stop an own instance, and remove its files."""
        self._connection.close()

    def describe(self) -> str:
        """Return a phrase with the cluster, its resources, and the niceness of its workers.

        Workers of an own instance have this process's niceness, which is left out.
        """
        if not self._address:
            return f"on Ray on this machine: {ClusterResources.now()}"
        found = sorted(set(self._niceness))
        span = " to ".join(str(each) for each in sorted({*found[:1], *found[-1:]}))
        workers = f", workers at niceness {span}" if span else ""
        return f"on Ray at {self._address}: {ClusterResources.now()}{workers}"

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse resources that do not fit the cluster; keep fitting ones for all further runs.

        Raises:
            ClusterError: The message has the requested and the present resources.
        """
        growth = read_growth(resources.cost) if self._address else Growth()
        cluster = ClusterResources.now()
        check_plan(resources, cluster, growth)
        self._resources = with_settled_teacher(resources, self._free_for_a_teacher(cluster, growth))
        self._growth = growth

    def expect_plugins(self, packages: Mapping[str, str]) -> None:
        """Refuse nodes that lack a plug-in; later checks of nodes include the plug-ins.

        Raises:
            ClusterError: The message has the nodes, and the versions on each.
        """
        new = dict(packages).items() - self._plugins.items()
        self._plugins |= packages
        if new:
            check_nodes(is_own=self._address is None, packages=self._plugins)

    def _free_for_a_teacher(self, cluster: ClusterResources, growth: Growth) -> tuple[Node, ...]:
        """Return nodes whose CPUs a teacher may have all; none if other work runs on the cluster.

        A task for a whole node would wait as long as other work holds a part of each node.
        """
        if self._address and ray.available_resources().get("CPU", 0.0) < cluster.cpus:
            return ()
        return cluster.nodes if cluster.cpus else tuple(group.node for group in growth.groups)

    def node_kinds(self) -> tuple[Node, ...]:
        """Return the resources of each living node."""
        return ClusterResources.now().nodes

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        reserving: WorkersConfig | None = None,
        reading: Sequence[Location] = (),
    ) -> Iterator[Result]:
        """Yield the result of `function` for each item in the order of completion; see `Runner`.

        Raises:
            ClusterError: A node does not reach a location of `reading`.
            MvktError: The error that the function raised.
            WorkerLostError: An item's process was lost more than `MAX_RETRIES` times.
        """
        ingest = self._resources.ingest
        workers, labels = (
            (ingest.task, ingest.node_labels) if reserving is None else (reserving, {})
        )
        if reading:
            self._expect_shared(*reading)
        # GPUs by `options`: with GPUs in `ray.remote`, Ray ends the process after every item, and
        # starting torch on a GPU takes longer than an item.
        remote: Any = ray.remote(run_item)
        task = remote.options(
            num_cpus=workers.cpus,
            num_gpus=workers.gpus_per_worker,
            accelerator_type=workers.accelerator_type,
            max_retries=MAX_RETRIES,
            label_selector=dict(labels),
        )
        shared = ray.put(function)
        n_slots = ClusterResources.now().holds(workers, labels)
        at_once = n_slots * ITEMS_PER_SLOT + (ITEMS_AHEAD if self._growth.groups else 1)
        waiting = iter(items)
        running = [task.remote(shared, item) for item in islice(waiting, at_once)]
        for_one = Waiting(
            lambda: (
                f"one of {len(running)} tasks, each on {workers.cpus:g} CPUs and "
                f"{workers.gpus_per_worker:g} GPUs, and Ray has {ClusterResources.now()}"
            ),
            RESULTS_COME_WITHIN_S,
        )
        try:
            while running:
                done, running = ray.wait(running, num_returns=1, timeout=LOOKS_EVERY_S)
                if not done:
                    for_one.look()
                    continue
                running += [task.remote(shared, item) for item in islice(waiting, 1)]
                yield _get(done[0])
                for_one.moved()
        finally:
            for left in running:
                ray.cancel(left, force=True)

    def train_teacher(
        self, job: "TeacherJob", out: Location, on_epoch: Callable[[EpochMetrics], None]
    ) -> Usage:
        """Train a teacher and publish it at `out`: in one task, or by Ray Train on several workers.

        Raises:
            MvktError: The training failed.
        """
        workers = self._resources.teacher
        self._expect_shared(job.shards, out.parent)
        if workers.max_workers == 1:
            return self._used(*self._teach_alone(job, out, on_epoch))
        from mvkt_ray.on_ray.far import train_teacher_on_head
        from mvkt_ray.on_ray.many_workers import train_teacher_on_ranks

        train = train_teacher_on_head if self._is_far else train_teacher_on_ranks
        with self._train_folder(out) as storage:
            return self._used(
                *_again_when_lost(
                    lambda: train(
                        job,
                        str(out),
                        on_epoch,
                        workers,
                        storage=storage,
                        train_teacher=self._teacher_function(),
                    )
                )
            )

    def run_trials(
        self, study: "AskTell", inputs: "TrialInputs", on_change: Callable[[], None]
    ) -> None:
        """Run the study's trials until it has no more and all have ended.

        Args:
            study: Study or finals that provide the trials.
            inputs: Common inputs of all trials.
            on_change: Called after each report and each end of a trial.

        Raises:
            ClusterError: The trials do not fit the cluster, or a node does not reach the study's
                locations.
            MachineError: A machine failed under a trial, or Ray ended.
        """
        from mvkt_ray.on_ray.far import run_trials_on_head
        from mvkt_ray.on_ray.prometheus import measuring
        from mvkt_ray.on_ray.running_trials import TrialsRun
        from mvkt_ray.on_ray.tuner import run_trials
        from mvkt_ray.training.student import run_trial

        self.check(study.config.resources)
        trials = Location.parse(inputs.trials)
        if trials.is_local:
            trials.make_directory()
        self._expect_shared(*inputs.read.values(), trials)
        run = TrialsRun(
            study=study,
            inputs=inputs,
            concurrency=Concurrency(
                max_concurrent_trials=self._resources.max_concurrent_trials, growth=self._growth
            ),
            storage=self._work or _own_folder(trials.parent / "ray"),
            run_trial=self._run_trial or run_trial,
            on_change=on_change,
            still_alive=(lambda: True) if self._address else own_ray_runs,
        )
        if self._is_far:
            # No metrics: only Ray's agent on a node exports them, and this process is on none.
            run_trials_on_head(run)
            return
        with measuring(study, on_change) as changed:
            run_trials(dataclasses.replace(run, on_change=changed))

    @property
    def _is_far(self) -> bool:
        return self._address is not None and self._address.startswith(CLIENT)

    def _expect_shared(self, *read: str | Location | None) -> None:
        if self._address is None:
            return
        locations = [Location.parse(each) for each in read if each is not None]
        check_nodes(tuple(str(each) for each in locations), packages=self._plugins)

    def _teach_alone(
        self, job: "TeacherJob", out: Location, on_epoch: Callable[[EpochMetrics], None]
    ) -> tuple[list[str], float]:
        from mvkt_ray.on_ray.worker import teach

        workers = self._resources.teacher
        mailbox = open_mailbox()
        for_epoch = Waiting(
            lambda: (
                f"an epoch of the teacher, on a node with {workers.cpus:g} CPUs and "
                f"{workers.gpus_per_worker:g} GPUs, and Ray has {ClusterResources.now()}"
            ),
            RESULTS_COME_WITHIN_S,
        )

        def is_over() -> bool:
            for_epoch.look()
            return bool(ray.wait([running], timeout=0)[0])

        def reply(metrics: EpochMetrics) -> None:
            for_epoch.moved()
            on_epoch(metrics)

        task: Any = ray.remote(teach)
        running = task.options(
            num_cpus=workers.cpus,
            num_gpus=workers.gpus_per_worker,
            accelerator_type=workers.accelerator_type,
            max_retries=MAX_RETRIES,
        ).remote(job, str(out), mailbox, self._teacher_function())
        try:
            serve(mailbox, reply, is_over=is_over)
        except BaseException:
            ray.cancel(running, force=True)
            raise
        return _get(running)

    def _used(self, nodes: Sequence[str], seconds: float) -> Usage:
        """Return the teacher's usage: one worker on each of these nodes, for some seconds."""
        times = iter((0.0, seconds))
        return Meter(self._resources.teacher, KnownNodes().of, lambda: next(times)).update(nodes)

    def _teacher_function(self) -> "TrainTeacher":
        from mvkt_ray.training.teacher import train_teacher

        return self._train_teacher or train_teacher

    @contextlib.contextmanager
    def _train_folder(self, out: Location) -> Iterator[str]:
        parent = self._work or _own_folder(out.parent)
        parent.make_directory()
        with scratch_folder(".ray-train-", parent.local_path) as folder:
            yield str(folder)


def _own_folder(beside: Location) -> Location:
    """Return the folder of Ray's own files: beside a run's output, or temporary for a store's.

    Other nodes read none of them, since neither Tune nor Train gets a checkpoint from us.
    """
    return beside if beside.is_local else Location.parse(tempfile.gettempdir()) / "mvkt-ray"


def _get(done: Any) -> Any:
    try:
        return ray.get(done)
    except RayError as error:
        raise unwrapped(error) from None


def _again_when_lost(train: Callable[[], Result]) -> Result:
    n_lost = 0
    while True:
        try:
            return train()
        except PreemptedError:
            continue
        except WorkerLostError:
            n_lost += 1
            if n_lost > MAX_RETRIES:
                raise
