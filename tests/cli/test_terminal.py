"""The program in a process of its own, at a terminal: what a person sees, and Ctrl-C."""

import codecs
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

SHOW_CURSOR = "\x1b[?25h"


class Terminal:
    """A program at a terminal of 80 columns."""

    def __init__(self, *args: object) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in ("COLUMNS", "LINES")
            },
            "TERM": "xterm-256color",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mvkt_ray", *map(str, args)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        # A piece may end within a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.text = ""

    def read_until(self, wanted: str) -> None:
        while wanted not in self.text:
            assert self._read(), f"{wanted!r} never came: {self.text}"

    def press_ctrl_c(self) -> None:
        os.kill(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        while self._read():
            continue
        os.close(self._master)
        return self._process.wait()

    def _read(self) -> bool:
        try:
            part = os.read(self._master, 65536)
        except OSError:
            # Linux says so when the last process at the other end has gone.
            return False
        self.text += self._decoder.decode(part)
        return bool(part)


def test_the_live_table_is_shown_and_ctrl_c_leaves_a_clean_terminal(
    home: Path, shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    line = ["search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process"]
    terminal = Terminal(*line, "--max-trials", 5000)
    terminal.read_until("running")
    terminal.read_until("/5000 trials")
    terminal.press_ctrl_c()
    assert terminal.wait() == 130
    assert "Traceback" not in terminal.text
    end = terminal.text[terminal.text.rindex("Interrupted;") :]
    assert " ".join(end.split()).endswith("--max-trials 5000 --resume")
    assert SHOW_CURSOR in terminal.text
    assert terminal.text.rindex(SHOW_CURSOR) < terminal.text.rindex("Interrupted;")


def test_an_error_at_a_terminal_is_wrapped_between_words(tmp_path: Path) -> None:
    terminal = Terminal("verify", tmp_path / "none")
    assert terminal.wait() == 2
    assert "has no manifest.json" in " ".join(terminal.text.split())
    assert "Traceback" not in terminal.text


def test_output_that_nobody_reads_any_more_ends_quietly(shards: Path) -> None:
    program = f"{sys.executable} -m mvkt_ray inspect {shards} | head -n 1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("shards")
    assert done.stderr == ""
