"""Opens the requested trackers of a search."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.runner import AskTell
    from mvkt_ray.search.study import Study


@contextlib.contextmanager
def tracking(
    output: Output, texts: Sequence[str], config: "StudyConfig", folder: "StudyFolder"
) -> Generator["Callable[[Study], AskTell]"]:
    """Yield a function that wraps a study to notify trackers; at the end send the study's files.

    Args:
        output: Output for notes on failed trackers.
        texts: Trackers as `mlflow=URI` and so on; without any the study is not wrapped.
        config: Configuration of the study.
        folder: Folder of the study.

    Raises:
        ConfigError: There is no such tracker, or it is not installed.
    """
    if not texts:
        yield lambda study: study
        return
    from mvkt_ray.tracking.open import open_trackers
    from mvkt_ray.tracking.tracked import Trackers
    from mvkt_ray.tracking.tracker import TrackedStudy

    opened = open_trackers(texts)
    # Objects in a store cannot grow: trackers' own files are then in the working directory.
    scratch = folder.logs.local_path if folder.root.is_local else Path.cwd()
    study = TrackedStudy(name=config.name, where=str(folder.root), scratch=scratch)
    trackers = Trackers(opened, study)
    try:
        yield trackers.follow
    finally:
        for note in trackers.close(_files(folder)):
            output.note(f"tracker {note}")


def _files(folder: "StudyFolder") -> dict[str, bytes]:
    files = (folder.study_file, folder.report, folder.report_page)
    return {file.name: file.read_bytes() for file in files if file.exists()}
