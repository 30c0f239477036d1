"""A virtual environment for Syne Tune, which is no dependency of ours.

It sees the packages of this interpreter's environment; only what Syne Tune needs beside them is
installed, and nothing that the constraints pin is changed.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

VERSION = "0.16.0"
_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


class NotInstalledError(Exception):
    """Syne Tune cannot be installed here; the text says why."""


def python_with_syne_tune(folder: Path) -> str:
    """Return the interpreter of the environment in a folder, which is made where it is missing.

    Raises:
        NotInstalledError: pip has failed.
    """
    environment = folder / ".syne-tune"
    python, finished = environment / "bin" / "python", environment / "finished"
    if finished.exists():
        return str(python)
    packages = sysconfig.get_paths(vars={"base": str(environment)}, scheme="posix_prefix")
    site = f"import site; list(map(site.addsitedir, {_site_packages()!r}))\n"
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--constraint", str(_CONSTRAINTS), f"syne-tune=={VERSION}"],
    )  # fmt: skip
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise NotInstalledError(f"Syne Tune {VERSION} cannot be installed: {said}")
        (Path(packages["purelib"]) / "ours.pth").write_text(site)
    finished.touch()
    return str(python)


def _site_packages() -> list[str]:
    return [each for each in sys.path if each.endswith("site-packages")]
