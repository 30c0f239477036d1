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
    """Ask, report, tell: all that a runner says to a study, or to its finals.

    Implemented by `Study` and `Finals`, and by those that forward it. Called from one thread of the
    driver. Everything is in the ledger before a call returns.
    """

    @property
    def config(self) -> StudyConfig:
        """The study that the trials belong to."""
        ...

    def ask(self) -> Trial | None:
        """Return a trial to run; None when there is none now."""
        ...

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Return whether a trial goes on; `usage` is all that this attempt has used so far."""
        ...

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record how an attempt at a trial ended, and what it used."""
        ...


class Runner(Protocol):
    """Runs trainings somewhere. The contract suite in tests/contracts runs against every one."""

    def describe(self) -> str:
        """Say where work runs, in one line for people."""
        ...

    def check(self, resources: ResourcesConfig) -> None:
        """Refuse, before anything starts, resources that can never be had.

        Raises:
            ConfigError: They ask for what this kind of runner does not do.
            ClusterError: The cluster has less than one trial or the teacher needs.
        """
        ...

    def expect_plugins(self, packages: Mapping[str, str]) -> None:
        """Refuse, before anything starts, nodes that lack a plug-in; kept in mind for later checks.

        Args:
            packages: Their versions by name, as they are in this process.

        Raises:
            ClusterError: A node lacks one, or has another version.
        """
        ...

    def node_kinds(self) -> tuple[Node, ...]:
        """Return the kinds of nodes that there are now, one for each node."""
        ...

    def map(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        reserving: WorkersConfig | None = None,
        reading: Sequence[Location] = (),
    ) -> Iterator[Result]:
        """Yield what `function` gives for each item, as results come, in no promised order.

        Args:
            function: A module's, or a `functools.partial` of one, so that it can travel.
            items: Any number, of any size.
            reserving: What each item reserves that runs a network, as one worker of it: several
                run at once wherever there is room. None: items read recordings, and reserve what
                `resources.ingest` says, on nodes with its labels.
            reading: What every node must see.

        Raises:
            ClusterError: A node does not see what is read.
        """
        ...

    def train_teacher(
        self, job: "TeacherJob", out: Location, on_epoch: Callable[[EpochMetrics], None]
    ) -> Usage:
        """Train a teacher and publish it at `out`; return what the attempt that did so used."""
        ...

    def run_trials(
        self, study: AskTell, inputs: "TrialInputs", on_change: Callable[[], None]
    ) -> None:
        """Run the trials of a study until it has no more and all of them have ended.

        `on_change` is called after every report and every end. A trial that fails by itself is
        recorded and the others go on. A KeyboardInterrupt passes through; trials that were running
        then stay RUNNING in the ledger with their checkpoints, and are taken up when it is opened
        again.

        Raises:
            MachineError: The machine failed under a trial: the trials that were running are left
                as by an interruption.
        """
        ...

    def close(self) -> None:
        """Give back what the runner holds; called once, at the end."""
        ...
