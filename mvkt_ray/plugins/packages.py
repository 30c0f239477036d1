"""Packages and versions of a study's plug-ins: recorded with the study, compared on resumption."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from mvkt_ray.errors import MachineError, StaleArtifactError
from mvkt_ray.phrasing import listing
from mvkt_ray.plugins.entry_points import Plugin

NOT_INSTALLED = "not installed"

Packages = Mapping[str, str]
"""Versions by name of the package."""


def packages_of(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Return the packages of some plug-ins, in the order of their names."""
    return dict(sorted({plugin.package: plugin.version for plugin in plugins}.items()))


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of some packages that this process would import."""
    return {name: _version(name) for name in packages}


def refuse_other_packages(study: str, begun_with: Packages, now: Packages) -> None:
    """Refuse to resume a study with other plug-ins than it was started with.

    Args:
        study: Its name.
        begun_with: Versions recorded at its start.
        now: Installed versions of the plug-ins that it names.

    Raises:
        StaleArtifactError: Names each package that differs, with both versions.
    """
    differing = [
        f"{name} (was {begun_with.get(name, 'none')}, is {now.get(name, NOT_INSTALLED)})"
        for name in sorted(begun_with.keys() | now.keys())
        if begun_with.get(name) != now.get(name)
    ]
    if differing:
        raise StaleArtifactError(
            f"the study {study!r} was started with other plug-ins: {listing(differing)}. Its "
            "results depend on them. Install the versions that it was started with, or give "
            "another output folder."
        )


def expect_packages(packages: Packages) -> None:
    """Check that this training process has the packages of a study, in their versions.

    Raises:
        MachineError: Names the differences; not an error of the trial.
    """
    here = installed_versions(packages)
    differing = [
        f"{name} {wanted} (here it is {here[name]})"
        for name, wanted in packages.items()
        if here[name] != wanted
    ]
    if differing:
        raise MachineError(
            f"This machine lacks plug-ins of the study: {listing(differing)}. Install the same "
            "versions on every node, and continue by --resume."
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED
