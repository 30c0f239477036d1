"""What is done to a file: cut, emptied, a bit flipped, a block zeroed, or swapped for another."""

import random
from pathlib import Path

from mvkt_ray.errors import ConfigError

DAMAGES = ("truncated", "bit flipped", "zeroed", "emptied", "swapped")
_BLOCKS = (1, 8, 64, 512, 4096)
"""Bytes that are zeroed; the last is a sector of today's disks."""


def damage(file: Path, how: str, rng: random.Random, others: list[Path]) -> str:
    """Damage a file in its place, and say what was done.

    Args:
        file: It is overwritten.
        how: One of `DAMAGES`.
        rng: Decides where.
        others: Files of the same kind, one of which takes its place when it is swapped.

    Returns:
        A clause; empty where the file cannot be damaged so, or would be the same.
    """
    content = file.read_bytes()
    changed, said = _changed(content, how, rng, others)
    if changed == content:
        return ""
    # Its other names are those of files that stay as they are.
    file.unlink()
    file.write_bytes(changed)
    return said


def _changed(content: bytes, how: str, rng: random.Random, others: list[Path]) -> tuple[bytes, str]:
    match how:
        case "truncated":
            n_bytes = rng.randrange(len(content))
            return content[:n_bytes], f"cut to {n_bytes} of {len(content)} bytes"
        case "bit flipped":
            at, bit = rng.randrange(len(content)), rng.randrange(8)
            flipped = bytes([content[at] ^ 1 << bit])
            return content[:at] + flipped + content[at + 1 :], f"bit {bit} of byte {at} flipped"
        case "zeroed":
            n_bytes = min(rng.choice(_BLOCKS), len(content))
            at = rng.randrange(len(content) - n_bytes + 1)
            zeroed = content[:at] + bytes(n_bytes) + content[at + n_bytes :]
            return zeroed, f"{n_bytes} bytes from {at} zeroed"
        case "emptied":
            return b"", "emptied"
        case "swapped" if others:
            other = rng.choice(others)
            return other.read_bytes(), f"swapped with {Path(*other.parts[-4:])}"
        case "swapped":
            return content, ""
        case _:
            raise ConfigError(f"no damage is called {how!r}; there are {', '.join(DAMAGES)}.")
