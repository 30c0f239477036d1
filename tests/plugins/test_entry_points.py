"""Plug-ins are found by name, and nobody is imported for that."""

import sys
from pathlib import Path

import pytest

from mvkt_ray import __version__
from mvkt_ray.errors import ConfigError
from mvkt_ray.plugins.entry_points import (
    GROUPS,
    Plugin,
    find_plugin,
    installed_plugins,
    plugin_names,
)
from tests.installed_plugins import write_package

NETWORKS = GROUPS["network"]


def test_without_packages_there_is_none(site: Path) -> None:
    assert [installed_plugins(kind) for kind in GROUPS] == [()] * 4


def test_a_plugin_is_found_with_its_package_and_is_not_imported(site: Path) -> None:
    write_package(
        site,
        "found-only",
        {NETWORKS: {"one": "found_only:one"}, "console_scripts": {"found": "found_only:main"}},
        version="2.1",
        module="raise SystemExit('imported')",
    )
    expected = Plugin(
        kind="network", name="one", value="found_only:one", package="found-only", version="2.1"
    )
    assert installed_plugins("network") == (expected,)
    assert installed_plugins("loss") == ()
    assert find_plugin("network", "one", ("own",)) == expected
    assert find_plugin("network", "two", ("own",)) is None
    assert expected.origin == "found-only 2.1"
    assert "found_only" not in sys.modules


def test_two_packages_that_offer_one_name_are_both_named_and_others_stay_usable(
    site: Path,
) -> None:
    write_package(site, "first", {NETWORKS: {"same": "first:net", "only": "first:net"}})
    write_package(site, "second", {NETWORKS: {"same": "second:net"}}, version="3.0")
    with pytest.raises(ConfigError, match=r"'same' is offered by first 1\.0 and second 3\.0"):
        find_plugin("network", "same", ())
    assert plugin_names("network") == ("only", "same")
    assert find_plugin("network", "only", ()) is not None


def test_a_name_of_ours_is_refused_with_both_packages(site: Path) -> None:
    write_package(site, "shadow", {NETWORKS: {"xresnet1d18": "shadow:net"}})
    message = rf"the network 'xresnet1d18' is offered by mvkt-ray {__version__} and shadow 1\.0"
    with pytest.raises(ConfigError, match=message):
        find_plugin("network", "xresnet1d18", ("xresnet1d18",))


def test_the_same_name_may_stand_for_a_network_and_for_a_loss(site: Path) -> None:
    write_package(site, "both", {group: {"name": "both:x"} for group in GROUPS.values()})
    assert [find_plugin(kind, "name", ()) is not None for kind in GROUPS] == [True] * 4
