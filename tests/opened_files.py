"""Counts how often files of a folder are opened, by whatever opens them: Python, Arrow, torch."""

import ctypes
import os
import struct
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

IN_OPEN, IN_ISDIR = 0x20, 0x40000000
EVENT = struct.Struct("iIII")
"""Watch, mask, cookie and length of the name that follows; see inotify(7)."""

counts_opens = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks the kernel of Linux which files are opened"
)


@contextmanager
def opened_files(root: Path) -> Generator[Counter[str]]:
    """Give a counter which, afterwards, has how often each file below a folder was opened.

    Files of folders that are made meanwhile are not seen.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    watched: dict[int, Path] = {}
    for folder in [root, *(each for each in root.rglob("*") if each.is_dir())]:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_OPEN)
        if watch < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch {folder}")
        watched[watch] = folder.relative_to(root)
    opened: Counter[str] = Counter()
    try:
        yield opened
        while content := _read(descriptor):
            position = 0
            while position < len(content):
                watch, mask, _, length = EVENT.unpack_from(content, position)
                position += EVENT.size + length
                name = content[position - length : position].rstrip(b"\0")
                assert watch in watched, "the queue of events was too short"
                if not mask & IN_ISDIR:
                    opened[(watched[watch] / os.fsdecode(name)).as_posix()] += 1
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""
