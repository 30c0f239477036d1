"""Session of a driver: its own files, its log, its runner, and the live table."""

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
    """Everything is closed, and logs are kept, when the session ends."""

    runner: "Runner"
    view: LiveTable | PlainLines
    own: OwnFiles
    log: Path

    @property
    def log_note(self) -> str:
        """Where the log will be, to be put behind a sentence; empty where nothing was logged."""
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
    """Open what a driver works with, the runner last but for the view of it.

    Args:
        output: Of the verb.
        own_files: Where the driver's logs go, and Ray's files.
        config: Of the study.
        choice: Which runner.
        name: What is run, for people.
        n_epochs: Of a trial that is not stopped; None: of a student.

    Raises:
        ClusterError: The cluster cannot be reached.
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
