"""Whether a MATLAB file holds together, before scipy reads it, whose `loadmat` does not look.

A type of data that there is not makes scipy 1.17 read memory that is not its own: the process dies
without a word. So every element is looked at first: that its type is one that can be read, and that
it ends where the one around it does, or before.

https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf, version 5.
"""

import struct
import zlib

_HEADER_BYTES, _TAG_BYTES = 128, 8
_MATRIX, _COMPRESSED = 14, 15
_PLAIN = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})
"""Types of numbers and text."""
_DEEPEST = 8
MOST_BYTES = 1 << 30
"""Of a compressed element; a day of twelve leads at 500 Hz as float64 has four times as much."""


def expect_sound_elements(content: bytes) -> None:
    """Raise unless a MATLAB file of version 5 is made of elements that scipy can read.

    Raises:
        ValueError: It is not, or is of another version.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if order is None:
        raise ValueError("it is not a MATLAB file of version 5")
    _check(content[_HEADER_BYTES:], order, depth=0)


def _check(content: bytes, order: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("its elements are nested too deeply")
    at = 0
    while at < len(content):
        if len(content) - at < _TAG_BYTES:
            raise ValueError("it ends in the middle of an element")
        kind, n_bytes = struct.unpack_from(f"{order}II", content, at)
        begin, end = at + _TAG_BYTES, at + _TAG_BYTES + n_bytes
        if kind >> 16:
            # Up to four bytes stand in the tag itself.
            kind, n_bytes = kind & 0xFFFF, kind >> 16
            begin, end = at + 4, at + 4 + n_bytes
            if n_bytes > _TAG_BYTES - 4:
                raise ValueError(f"an element states {n_bytes} bytes in a tag")
        if end > len(content):
            raise ValueError(
                f"an element states {n_bytes:,} bytes, but {len(content) - begin:,} follow"
            )
        if kind == _COMPRESSED:
            _check(_decompressed(content[begin:end]), order, depth + 1)
        elif kind == _MATRIX:
            _check(content[begin:end], order, depth + 1)
        elif kind not in _PLAIN:
            raise ValueError(f"an element has the unknown type {kind}")
        at = end if kind == _COMPRESSED else at + -(-(end - at) // _TAG_BYTES) * _TAG_BYTES


def _decompressed(content: bytes) -> bytes:
    stream = zlib.decompressobj()
    found = stream.decompress(content, MOST_BYTES)
    if stream.unconsumed_tail:
        raise ValueError(f"an element states more than {MOST_BYTES:,} bytes")
    return found
