"""A shell completes verbs and options, by what `mvkt --show-completion` prints."""

import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app


def completed(words: str) -> list[str]:
    """Ask as the function does that the shell calls, with the cursor behind the last word."""
    place = len(words.split(" ")) - 1
    asked = {"_MVKT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    return CliRunner().invoke(app, [], prog_name="mvkt", env=asked).stdout.split()


def test_verbs_and_options_are_completed() -> None:
    assert completed("mvkt fin") == ["finalize"]
    assert completed("mvkt cluster sub") == ["submit"]
    assert {"--trials", "--time-budget"} <= set(completed("mvkt extend --t"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_what_is_printed() -> None:
    asked = [sys.executable, "-m", "mvkt_ray", "--show-completion", "bash"]
    # Without this it asks which shell has started it, and takes no name.
    by_name = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = subprocess.run(asked, capture_output=True, text=True, env=by_name, check=True).stdout
    check = f"{script}\ncomplete -p mvkt"
    known = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True)
    assert "mvkt" in known.stdout
