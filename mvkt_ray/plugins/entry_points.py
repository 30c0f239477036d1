"""Lists installed plug-ins: names of entry points, and the packages that declare them.

Listing imports no plug-in, so a broken plug-in affects only the studies that name it.
"""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Literal

from mvkt_ray import __version__
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import listing

Kind = Literal["network", "source", "loss", "task"]

GROUPS: Mapping[Kind, str] = MappingProxyType(
    {
        "network": "mvkt_ray.networks",
        "source": "mvkt_ray.sources",
        "loss": "mvkt_ray.losses",
        "task": "mvkt_ray.tasks",
    }
)
"""The entry-point group of each kind."""

_OURS = f"mvkt-ray {__version__}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """One entry point of an installed package."""

    kind: Kind
    name: str
    """Its name in study files."""
    value: str
    """Its import path, `module:object`."""
    package: str
    version: str

    @property
    def origin(self) -> str:
        """Package and version, for messages."""
        return f"{self.package} {self.version}"


def installed_plugins(kind: Kind) -> tuple[Plugin, ...]:
    """Return the installed plug-ins of a kind, sorted by name; none is imported."""
    return _installed(kind, tuple(sys.path))


def plugin_names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the installed plug-ins of a kind, without duplicates."""
    return tuple(dict.fromkeys(plugin.name for plugin in installed_plugins(kind)))


def find_plugin(kind: Kind, name: str, own: Collection[str]) -> Plugin | None:
    """Return the plug-in of a name; None if no package offers it.

    Args:
        kind: Kind of the plug-in.
        name: Name in a study file.
        own: Names of the built-ins of this kind.

    Raises:
        ConfigError: Several packages offer the name, or a package offers a built-in's name.
    """
    found = [plugin for plugin in installed_plugins(kind) if plugin.name == name]
    if problem := clash(name, found, own):
        raise ConfigError(f"the {kind} {problem}")
    return found[0] if found else None


def clash(name: str, plugins: Iterable[Plugin], own: Collection[str]) -> str | None:
    """Return a description of the conflict if several packages offer a name, else None.

    Args:
        name: Name of a network, for example.
        plugins: All plug-ins of this name.
        own: Names of the built-ins of the kind.
    """
    origins = [plugin.origin for plugin in plugins]
    offering = [_OURS, *origins] if origins and name in own else origins
    if len(offering) < 2:
        return None
    return (
        f"{name!r} is offered by {listing(offering)}, but names must be unique. Uninstall one of "
        "the packages, or have its author choose another name."
    )


@lru_cache(maxsize=64)
def _installed(kind: Kind, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    del path  # Only a key of the cache: after a change of `sys.path` packages are listed again.
    found = [_plugin(kind, entry) for entry in entry_points(group=GROUPS[kind])]
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package)))


def _plugin(kind: Kind, entry: EntryPoint) -> Plugin:
    package = entry.dist
    return Plugin(
        kind=kind,
        name=entry.name,
        value=entry.value,
        package="an unknown package" if package is None else str(package.name),
        version="of no version" if package is None else str(package.version),
    )
