"""The contract between a search and its runners: this process, or a Ray cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.slots import Node
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    from mvkt_ray.training.students.trial_inputs import TrialInputs
    from mvkt_ray.training.teacher import TeacherJob

Item = TypeVar("Item")
Result = TypeVar("Result")


class AskTell(Protocol):
    """Ask, report, tell: the calls of a runner to a study, or to its finals.

    Implemented by `Study`, `Finals` and wrappers of them. Called from one thread of the driver.
    All changes are in the ledger before a call returns.
    """

    @property
    def config(self) -> StudyConfig:
        """The study that the trials belong to."""
        ...

    def ask(self) -> Trial | None:
        """Return a trial to run; None: there is none now."""
        ...

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Record an epoch, and return the decision to continue, prune or stop the trial.

        Args:
            number: Number of the trial.
            metrics: Metrics of the epoch.
            usage: Total usage of this attempt so far.
        """
        ...

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record the end of an attempt at a trial, and its total usage."""
        ...


class Runner(Protocol):
    """Executes trainings. The contract suite in tests/contracts runs against every runner."""

    def describe(self) -> str:
        """Return a one-line description of the place of work, for people."""
        ...

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse, before anything starts, resources that this runner cannot provide.

        Raises:
            ConfigError: This kind of runner does not support the resources.
            ClusterError: The cluster cannot hold one trial, or the teacher.
        """
        ...

    def expect_plugins(self, packages: Mapping[str, str]) -> None:
        """Refuse, before anything starts, nodes that lack a plug-in; later nodes are checked, too.

        Args:
            packages: Versions of the plug-ins' packages in this process, by package.

        Raises:
            ClusterError: A node lacks a package, or has another version.
        """
        ...

    def node_kinds(self) -> tuple[Node, ...]:
        """Return the resources of each present node."""
        ...

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        reserving: WorkersConfig | None = None,
        reading: Sequence[Location] = (),
    ) -> Iterator[Result]:
        """Yield the result of `function` for each item, in the order of completion.

        Args:
            function: A module's function, or a `functools.partial` of one, so that it is picklable.
            items: Arguments, one for each call.
            reserving: Reservation of each item that runs a network, as one worker; several items
                run at once. None: items read recordings, and reserve `resources.ingest`, on nodes
                with its labels.
            reading: Locations that every node must reach.

        Raises:
            ClusterError: A node does not reach a location of `reading`.
        """
        ...

    def train_teacher(
        self, job: "TeacherJob", out: Location, on_epoch: Callable[[EpochMetrics], None]
    ) -> Usage:
        """Train a teacher and publish it at `out`; return the usage of the successful attempt."""
        ...

    def run_trials(
        self, study: AskTell, inputs: "TrialInputs", on_change: Callable[[], None]
    ) -> None:
        """Run the trials of a study until it has no more and all of them have ended.

        `on_change` is called after every report and every end. A failed trial is recorded, and the
        others continue. A KeyboardInterrupt is passed on: running trials stay RUNNING in the
        ledger, with their checkpoints, and are resumed when the study is opened again.

        Raises:
            MachineError: The machine failed under a trial; running trials are left as by an
                interruption.
        """
        ...

    def close(self) -> None:
        """Release the runner's resources; called once, at the end."""
        ...
