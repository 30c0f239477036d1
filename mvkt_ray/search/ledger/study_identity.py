"""The fingerprint of a study: a hash of the settings that must not change while it continues.

Small files of a study are sealed with it, so that an intact file of another study is refused.
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
    # Finals freeze their own plan when they begin.
    "finals",
)
"""Keys that affect the amount and place of work, but neither the samples nor the results."""


def plain_config(config: StudyConfig) -> dict[str, Any]:
    """Return the configuration as read from JSON: lists instead of tuples."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def study_fingerprint(config: StudyConfig) -> str:
    """Return the hash of all settings that must not change while the study continues."""
    fixed = {
        key: value
        for key, value in flattened(plain_config(config)).items()
        # None is left out, so that a key which a later version adds changes no fingerprint.
        if value is not None and not key.startswith(MAY_CHANGE)
    }
    return fingerprint_of(fixed)


def fingerprint_as_read(config: StudyConfig) -> str:
    """Return the fingerprint of a study after a round trip through `study.yaml`.

    The round trip may change a number's type, as from 1 to 1.0, and so the hash.
    """
    return study_fingerprint(study_from_yaml(write_study(config), config.name))


def sealed_for(study: str | None, value: Mapping[str, Any]) -> bytes:
    """Return a JSON object as `sealed_json` does, bound to one study.

    Args:
        study: Fingerprint of the study; None: it has not begun; its files are sealed again then.
        value: Plain values, without NaN.
    """
    return sealed_json({_STUDY: study, _HELD: value})


def unsealed_for(study: str | None, content: bytes) -> dict[str, Any]:
    """Parse the output of `sealed_for`.

    Args:
        study: Fingerprint of the study in whose folder the file is; None: it has not begun.
        content: Content of the file.

    Raises:
        ValueError: The content is damaged, was changed, or belongs to another study.
        KeyError: The content has no hash or no study.
    """
    value = unsealed_json(content)
    if study not in (None, value[_STUDY]):
        raise ValueError("it belongs to another study, or study.yaml in the same folder does")
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
