"""Packages of plug-ins are facts of a study: noted, compared, expected."""

from pathlib import Path

import pytest

from mvkt_ray.errors import MachineError, StaleArtifactError
from mvkt_ray.plugins.entry_points import GROUPS, installed_plugins
from mvkt_ray.plugins.packages import (
    NOT_INSTALLED,
    expect_packages,
    installed_versions,
    packages_of,
    refuse_other_packages,
)
from tests.installed_plugins import write_package


def test_packages_are_those_of_the_plugins_each_once(site: Path) -> None:
    write_package(site, "zeta", {GROUPS["loss"]: {"a": "z:a", "b": "z:b"}}, version="0.3")
    write_package(site, "alpha", {GROUPS["loss"]: {"c": "a:c"}})
    packages = packages_of(installed_plugins("loss"))
    assert list(packages.items()) == [("alpha", "1.0"), ("zeta", "0.3")]
    assert installed_versions([*packages, "no-such"]) == {**packages, "no-such": NOT_INSTALLED}
    expect_packages(packages)


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ({"alpha": "1.1"}, r"alpha \(was 1\.0, is 1\.1\)"),
        ({}, r"alpha \(was 1\.0, is not installed\)"),
        ({"alpha": "1.0", "beta": "2"}, r"beta \(was none, is 2\)"),
    ],
)
def test_a_study_goes_on_with_the_plugins_it_was_started_with(
    now: dict[str, str], what: str
) -> None:
    refuse_other_packages("mine", {"alpha": "1.0"}, {"alpha": "1.0"})
    with pytest.raises(StaleArtifactError, match=f"'mine' was started with other.*{what}"):
        refuse_other_packages("mine", {"alpha": "1.0"}, now)


def test_a_worker_without_a_plugin_blames_its_machine_and_no_trial() -> None:
    with pytest.raises(MachineError, match=r"no-such 1\.0 \(here it is not installed\)"):
        expect_packages({"no-such": "1.0"})
