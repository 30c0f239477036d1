"""Importing a plug-in that a study names: the object of its entry point, or one paragraph."""

from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Any

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import shortly
from mvkt_ray.plugins.entry_points import GROUPS, Plugin


@lru_cache(maxsize=256)
def load(plugin: Plugin) -> Any:
    """Import what a plug-in offers; the second time it is at hand.

    Raises:
        ConfigError: It cannot be imported; says from which package it is, and why.
    """
    entry = EntryPoint(name=plugin.name, value=plugin.value, group=GROUPS[plugin.kind])
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        # Whatever a stranger's module raises while it is imported.
        raise ConfigError(
            f"{described(plugin)} cannot be imported from {plugin.value}: {type(error).__name__}: "
            f"{shortly(error)}. {_REMEDY.format(plugin=plugin)}"
        ) from error


def unfit(plugin: Plugin, is_what: str, should: str) -> ConfigError:
    """Return the error for a plug-in that was imported and is not what its kind must be.

    Args:
        plugin: It.
        is_what: What is wrong, from the verb on, such as `is an int`.
        should: What would be right, likewise.
    """
    return ConfigError(
        f"{described(plugin)} ({plugin.value}) {is_what}; it {should}. "
        f"{_REMEDY.format(plugin=plugin)}"
    )


def described(plugin: Plugin) -> str:
    """Name a plug-in and its package in a sentence."""
    return f"the {plugin.kind} {plugin.name!r} of {plugin.origin}"


_REMEDY = (
    "Everything else is as it should be: install a version of {plugin.package} that works, or name "
    "another {plugin.kind}."
)
