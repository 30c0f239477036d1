"""Imports a plug-in that a study names: the object of its entry point, or a one-paragraph error."""

from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Any

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import shortly
from mvkt_ray.plugins.entry_points import GROUPS, Plugin


@lru_cache(maxsize=256)
def load(plugin: Plugin) -> Any:
    """Import the object of a plug-in; cached.

    Raises:
        ConfigError: It cannot be imported; with its package and the reason.
    """
    entry = EntryPoint(name=plugin.name, value=plugin.value, group=GROUPS[plugin.kind])
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        # A third-party module may raise anything while it is imported, `sys.exit` included.
        raise ConfigError(
            f"{described(plugin)} cannot be imported from {plugin.value}: {type(error).__name__}: "
            f"{shortly(error)}. {_REMEDY.format(plugin=plugin)}"
        ) from error


def unfit(plugin: Plugin, is_what: str, should: str) -> ConfigError:
    """Return the error for an imported plug-in that breaks the interface of its kind.

    Args:
        plugin: The plug-in.
        is_what: The fault, from the verb on, such as `is an int`.
        should: The requirement, likewise, such as `must be a function`.
    """
    return ConfigError(
        f"{described(plugin)} ({plugin.value}) {is_what}; it {should}. "
        f"{_REMEDY.format(plugin=plugin)}"
    )


def described(plugin: Plugin) -> str:
    """Name a plug-in and its package in a sentence."""
    return f"the {plugin.kind} {plugin.name!r} of {plugin.origin}"


_REMEDY = (
    "Nothing else is affected: install a version of {plugin.package} that works, or name another "
    "{plugin.kind}."
)
