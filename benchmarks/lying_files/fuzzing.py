"""Readers of bytes from outside, fed with damaged files for a while: a value, or our own error."""

import random
import resource
import shutil
import time
from collections import Counter
from pathlib import Path

from mvkt_ray.errors import MachineError, MvktError
from mvkt_ray.phrasing import one_line
from tests.outside_readers import READERS, OutsideReader, mutated

MOST_MEMORY_BYTES = 2 << 30
"""Of addresses, above what the imports take: far more than the largest file here comes to."""


def fuzz_all(folder: Path, seconds: float, only: str = "") -> None:
    """Feed every reader for so many seconds; print what it answered, and keep what broke it.

    Args:
        folder: For scratch, and for what broke a reader.
        seconds: For each reader.
        only: Readers with this text in their name.
    """
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = own + MOST_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name, reader in READERS.items():
        if only not in name:
            continue
        place = folder / name.replace(" ", "_")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        print(f"{name}: {_fuzz(reader, reader.make(place), seconds)}", flush=True)


def _fuzz(reader: OutsideReader, file: Path, seconds: float) -> str:
    whole, counts, number = file.read_bytes(), Counter[str](), 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        content = mutated(whole, random.Random(number))
        file.write_bytes(content)
        try:
            reader.read(file)
            counts["read"] += 1
        except MachineError as error:
            counts[f"BROKEN: {one_line(error)}"] += 1
            file.with_name(f"broken-{number}").write_bytes(content)
        except MvktError:
            counts["refused"] += 1
        except Exception as error:
            counts[f"BROKEN: {type(error).__name__}: {one_line(error)}"] += 1
            file.with_name(f"broken-{number}").write_bytes(content)
        number += 1
    return ", ".join(f"{n:,} {what}" for what, n in counts.most_common())
