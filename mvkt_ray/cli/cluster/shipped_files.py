"""The local files of a search that is sent to a cluster, read and checked before it is reached."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.cli.cluster.search_line import PRICES_FILE, STUDY_FILE, SearchLine, check_location
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig

TASK_FILE = "task.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedFiles:
    """Files in the working directory of a job."""

    study: "StudyConfig | None"
    """As it was read here; None: the cluster takes it from the study's folder."""
    contents: Mapping[str, bytes]
    """By the names that the job's line and its study use."""

    def write(self, folder: Path) -> None:
        """Write them to a folder."""
        for name, content in self.contents.items():
            (folder / name).write_bytes(content)


def read_shipped_files(line: SearchLine) -> ShippedFiles:
    """Read the study with its base, its task file, and the file of prices.

    Raises:
        ConfigError: One cannot be read, or is wrong; the study learns from one that the cluster
            does not see.
    """
    from mvkt_ray.config.study_file import read_prices, read_study, write_prices, write_study

    contents: dict[str, bytes] = {}
    if line.prices is not None:
        # The prices alone: a file of Ray's cluster launcher holds more, which is no job's business.
        contents[PRICES_FILE] = write_prices(read_prices(line.prices)).encode()
    if line.study is None:
        return ShippedFiles(study=None, contents=contents)
    study = read_study(line.study)
    if study.search.learn_from is not None:
        check_location("search.learn_from", study.search.learn_from)
    shipped = study
    if (task := study.data.task_file) is not None:
        contents[TASK_FILE] = _task_content(task)
        shipped = dataclasses.replace(study, data=dataclasses.replace(study.data, task=TASK_FILE))
    contents[STUDY_FILE] = write_study(shipped).encode()
    return ShippedFiles(study=study, contents=contents)


def _task_content(file: Path) -> bytes:
    from mvkt_ray.data.tasks import read_task

    try:
        read_task(file)
        return file.read_bytes()
    except (ConfigError, OSError) as error:
        raise ConfigError(f"data.task: {error}") from None
