"""Packages with entry points, for tests: written as pip leaves them, or installed by pip itself."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parent / "contracts" / "example_plugin"
"""A whole package, which README shows; its name and version:"""

EXAMPLE_PACKAGE = {"ecg-extras": "1.0"}


def write_package(
    site: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    *,
    version: str = "1.0",
    module: str = "",
) -> None:
    """Write what pip leaves of an installed package.

    Args:
        site: A folder that is, or will be, on `sys.path`.
        name: Of the package; `-` is `_` in its module's name.
        entry_points: By group, values by name.
        version: Of the package.
        module: Text of its only module.
    """
    own = name.replace("-", "_")
    about = site / f"{own}-{version}.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for group, values in entry_points.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))
    (site / f"{own}.py").write_text(module)


def install_example(site: Path, scratch: Path) -> None:
    """Have pip build and install the example into a folder, without network.

    Args:
        site: Where it is installed.
        scratch: A folder for the build, which leaves files beside its sources.
    """
    source = scratch / "example"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    line += ["--no-index", "--no-build-isolation", "--no-deps", "--no-compile"]
    done = subprocess.run(
        [*line, "--target", str(site), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
