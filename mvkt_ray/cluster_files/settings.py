"""Settings of `mvkt cluster render --set key=value`, checked before anything else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

Value = str | int | bool | list[str]

LONGEST_NAME = 40
_NAME = re.compile(rf"[a-z]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?")
_PATH = re.compile(r"[\w./~+-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a platform: a key of `--set`."""

    name: str
    help: str
    default: str | None = None
    """None: the user must give a value. Empty: the key is left out of the file."""
    kind: Literal["text", "count", "flag", "list", "name", "path"] = "text"


def read_settings(
    platform: str, settings: Sequence[Setting], given: Mapping[str, str]
) -> dict[str, Value]:
    """Return all settings with their values or defaults.

    Raises:
        ConfigError: A key is unknown, missing, or has a wrong value.
    """
    names = [setting.name for setting in settings]
    for key in given:
        if key not in names:
            hint = did_you_mean(key, names)
            raise ConfigError(f"--set {key}: {platform} has no such key; {hint}")
    missing = [setting for setting in settings if setting.default is None]
    missing = [setting for setting in missing if not given.get(setting.name, "").strip()]
    if missing:
        wanted = "; ".join(f"--set {setting.name}=... ({setting.help})" for setting in missing)
        raise ConfigError(f"{platform} also needs {wanted}.")
    return {
        setting.name: _read(setting, given.get(setting.name, setting.default or ""))
        for setting in settings
    }


def _read(setting: Setting, text: str) -> Value:
    wrong = f"--set {setting.name}={text!r}"
    if _CONTROL.search(text):
        raise ConfigError(f"{wrong} holds a line break or a control character; leave it out.")
    match setting.kind:
        case "count":
            if text and not text.isdecimal():
                raise ConfigError(f"{wrong} must be a whole number, 0 or more: {setting.help}.")
            return int(text) if text else ""
        case "flag":
            if text not in ("yes", "no"):
                raise ConfigError(f"{wrong} must be yes or no: {setting.help}.")
            return text == "yes"
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "name":
            if not _NAME.fullmatch(text):
                raise ConfigError(
                    f"{wrong} must be at most {LONGEST_NAME} lower-case letters, digits and -, "
                    f"starting with a letter: {setting.help}."
                )
            return text
        case "path" if not _PATH.fullmatch(text):
            raise ConfigError(f"{wrong} must be a path without spaces or quotes: {setting.help}.")
        case _:
            return text
