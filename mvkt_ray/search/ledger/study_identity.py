"""Which study a file belongs to, by a hash of what must not change while a study goes on.

Small files of a study are sealed with it: the file of another one, whole as it is, is refused.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, cast

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_yaml, write_study
from mvkt_ray.storage.manifest import fingerprint_of
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

_STUDY, _HELD = "study", "holds"

MAY_CHANGE = (
    "search.n_trials",
    "search.max_retries",
    "search.stop_after_failures",
    "student.validate",
    "resources.trial",
    "resources.teacher",
    "resources.students",
    "resources.ingest",
    "resources.max_concurrent_trials",
    "resources.cost",
    # Finals are planned when they begin, and hold themselves to that.
    "finals",
)
"""Keys that change how much is done and where, but neither what is drawn nor what comes out."""


def plain_config(config: StudyConfig) -> dict[str, Any]:
    """Return the configuration as JSON will give it back: lists instead of tuples."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def study_fingerprint(config: StudyConfig) -> str:
    """Return a hash by which a study is known: of all that must not change while it goes on."""
    fixed = {
        key: value
        for key, value in flattened(plain_config(config)).items()
        # A key that a later version adds is None in studies of before, which stay the same.
        if value is not None and not key.startswith(MAY_CHANGE)
    }
    return fingerprint_of(fixed)


def fingerprint_as_read(config: StudyConfig) -> str:
    """Return what `study_fingerprint` returns once the study was written and read again.

    A number may differ then, as 1 and 1.0 do.
    """
    return study_fingerprint(study_from_yaml(write_study(config), config.name))


def sealed_for(study: str | None, value: Mapping[str, Any]) -> bytes:
    """Write an object of plain values as `sealed_json` does, for one study.

    Args:
        study: Its fingerprint; None: it has not begun, and what is noted of it is sealed again when
            it does.
        value: Without NaN.
    """
    return sealed_json({_STUDY: study, _HELD: value})


def unsealed_for(study: str | None, content: bytes) -> dict[str, Any]:
    """Read what `sealed_for` wrote.

    Args:
        study: Fingerprint of the study that it lies with; None: it has not begun.
        content: Of the file.

    Raises:
        ValueError: It was changed since, is something else, or belongs to another study.
        KeyError: It has no hash, or names no study.
    """
    value = unsealed_json(content)
    if study not in (None, value[_STUDY]):
        raise ValueError("it belongs to another study, or study.yaml beside it does")
    return value[_HELD]


def flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted paths."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat.update(flattened(cast(dict[str, Any], item), f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = item
    return flat
