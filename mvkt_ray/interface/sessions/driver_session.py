"""The session of a driver: its own files, log, runner, and live table."""

import contextlib
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output
from mvkt_ray.display.live_table import LiveTable, PlainLines, watch
from mvkt_ray.interface.arguments import RunnerChoice
from mvkt_ray.interface.sessions.choose_runner import open_runner
from mvkt_ray.interface.sessions.log_files import logging_to
from mvkt_ray.interface.sessions.own_files import OwnFiles

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverSession:
    """The open resources of a driver."""

    runner: "Runner"
    view: LiveTable | PlainLines
    own: OwnFiles
    log: Path

    @property
    def log_note(self) -> str:
        """Location of the kept log, to append to a sentence; empty without a log."""
        return self.own.note_of(self.log)


@contextlib.contextmanager
def driver_session(
    output: Output,
    own_files: AbstractContextManager[OwnFiles],
    config: "StudyConfig",
    choice: RunnerChoice,
    *,
    name: str,
    n_epochs: int | None = None,
) -> Generator[DriverSession]:
    """Open the resources of a driver, and close them at the end, which keeps the logs.

    Args:
        output: Output of the verb.
        own_files: Folders of the driver's logs and Ray's files.
        config: Configuration of the study.
        choice: Selection of the runner.
        name: Title of the view.
        n_epochs: Epochs of an unpruned trial; by default those of a student.

    Raises:
        ClusterError: The cluster is unreachable.
    """
    with (
        own_files as own,
        logging_to(own.logs) as log,
        open_runner(output, choice, work=own.ray, logs=own.logs) as runner,
        watch(
            output,
            name=name,
            where=runner.describe(),
            n_epochs=n_epochs or config.student.epochs,
            teacher_epochs=config.teacher.n_epochs,
        ) as view,
    ):
        yield DriverSession(runner=runner, view=view, own=own, log=log)
