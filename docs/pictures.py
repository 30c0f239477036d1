"""Makes the pictures of README from a run: `make pictures`.

Runs `pictures.yaml` in a terminal of its own, its finals and its report: synthetic ECGs, in one
process, so that anybody gets the same scores again. Results in the run folder are reused.

Reads: `pictures.yaml`. Writes: `live_table.svg` and `report.png` beside it, and the run folder.
"""

import argparse
import io
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text
from selenium import webdriver

import mvkt_ray

HERE = Path(__file__).parent
STUDY = HERE / "pictures.yaml"
MVKT = Path(sys.executable).with_name("mvkt")

COLUMNS, LINES = 88, 40
SHOWN_FROM_TRIAL = 20
"""Ended trials in the picture: the table shows most while some leads have trials left."""

PAGE_WIDTH, PAGE_HEIGHT = 1100, 760
PNG_COLOURS = 64
"""Of a palette: a quarter of the bytes of full colour, and no difference that one sees."""


def main() -> None:
    """Run the study, its finals and its report, and take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"), help="run folder")
    study: Path = parser.parse_args().out
    screens = study.with_name(f"{study.name}-screen.txt")
    if not (screens.exists() and study.exists()):
        shutil.rmtree(study, ignore_errors=True)
        search = [str(MVKT), "search", str(STUDY), "--out", str(study), "--in-process"]
        screen = run_in_terminal(search)
        screens.write_text(screen, encoding="utf-8")
    if not mvkt_ray.open_study(study).is_final:
        subprocess.run([MVKT, "finalize", study, "--in-process"], check=True)
    subprocess.run([MVKT, "report", study], check=True)
    draw_screen(screens.read_text(encoding="utf-8"), HERE / "live_table.svg")
    photograph(study / "report" / "index.html", HERE / "report.png")


def run_in_terminal(command: list[str]) -> str:
    """Run a command in a terminal, to its end.

    Returns:
        The screen, with its colours, once `SHOWN_FROM_TRIAL` trials have ended and another one has
        reported an epoch.
    """
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | size
    ) as process:
        os.close(theirs)
        kept = ""
        for screen in screens_of(read_terminal(ours)):
            ended = re.search(r"\b(\d+)/\d+ trials", screen)
            is_at_work = re.search(r"#\d+ \d+/\d+", screen)
            if not kept and is_at_work and ended and int(ended[1]) >= SHOWN_FROM_TRIAL:
                kept = screen
    if process.returncode or not kept:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: no picture.")
    return kept


def read_terminal(descriptor: int) -> Iterator[str]:
    """Yield the text that programs write to a terminal until the last of them has closed it."""
    with open(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                written = terminal.read(65_536)
            except OSError:
                # Linux's way to say that nobody holds the other side any more.
                return
            if not written:
                return
            yield written.decode(errors="replace")


def screens_of(writings: Iterator[str]) -> Iterator[str]:
    """Yield what a terminal shows after each writing; it knows what rich's `Live` uses, no more.

    Those are the end of a line, the return to its start, one line up, and the erasing of a line.
    Colours stay in the text.
    """
    lines, rest = [""], ""
    for written in writings:
        *parts, rest = re.split(r"(\r\n|\r|\n|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])", rest + written)
        for part in parts:
            match part:
                case "\r\n" | "\n":
                    lines.append("")
                case "\x1b[1A":
                    # `Live` erases a line before it leaves it upwards.
                    lines.pop()
                case "\x1b[2K":
                    lines[-1] = ""
                case _ if part == "\r" or part.startswith("\x1b[?25"):
                    pass
                case _:
                    lines[-1] += part
        yield "\n".join([*lines[:-1], lines[-1] + rest])


def draw_screen(screen: str, picture: Path) -> None:
    """Draw the last screenful of a terminal as an SVG that asks no other machine for its font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen), no_wrap=True)
    # A fixed id: by default it is a hash of all that is drawn.
    svg = console.export_svg(title="mvkt search", theme=DIMMED_MONOKAI, unique_id="live-table")
    fontless = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    picture.write_text(fontless, encoding="utf-8")


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of the first screen of a page, in headless Chromium."""
    options = webdriver.ChromeOptions()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), "")
    options.binary_location = chromium
    arguments = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    for argument in arguments:
        options.add_argument(argument)
    if os.geteuid() == 0:
        # Chromium refuses to run as root in its sandbox.
        options.add_argument("--no-sandbox")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        screen = {"width": PAGE_WIDTH, "height": PAGE_HEIGHT, "deviceScaleFactor": 1}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**screen, "mobile": False})
        browser.get(page.resolve().as_uri())
        taken = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    finally:
        browser.quit()
    taken.convert("RGB").quantize(PNG_COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
