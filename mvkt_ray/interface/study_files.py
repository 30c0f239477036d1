"""Study files in Python: reading, checking and writing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mvkt_ray.config import study_file
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.file_guards import writing
from mvkt_ray.interface.python_errors import converted_errors, for_python
from mvkt_ray.storage.location import Location


@for_python
def read_study(study: str | Path | Mapping[str, Any]) -> StudyConfig:
    """Read and check a study.

    >>> study = read_study({"name": "small", "space": {"batch_size": [32, 64]}})
    >>> study.space["batch_size"].choices
    (32, 64)

    Args:
        study: Path of a study file, or its content as a mapping, shorthands included.

    Raises:
        ConfigError: The study is invalid; the message states file, key and value, and the nearest
            name for an unknown key.
    """
    if isinstance(study, Mapping):
        return study_file.study_from_mapping(study, origin="the study")
    return study_file.read_study(study)


@for_python
def write_study(study: StudyConfig, path: str | Path) -> None:
    """Write a study as a YAML file, from which `read_study` and every command read an equal study.

    Args:
        study: Study to write.
        path: Path of the file; an existing file is replaced.

    Raises:
        ConfigError: The study has values of a wrong type.
        ArtifactError: The file cannot be written.
    """
    text = study_file.write_study(study_file.checked_study(study))
    advice = "Give a file in a folder that you may write to."
    with converted_errors(), writing(path, advice):
        Location.parse(path).write_bytes(text.encode())
