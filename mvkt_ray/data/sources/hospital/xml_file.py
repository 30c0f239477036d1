"""Parses XML that anybody may have written: no entities, no other files, no more than can be read.

Names of elements and attributes are taken without their namespace: writers of one format differ in
prefixes, and the elements of these formats are told apart without.
"""

from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from mvkt_ray.errors import RecordingError

LARGEST_XML_BYTES = 64 << 20
"""Twelve leads of ten minutes at 500 Hz, as text, are 20 MiB."""
_MOST_ELEMENTS = 100_000
_DEEPEST = 200
_CHUNK_BYTES = 1 << 16


class _PlainTree(TreeBuilder):
    """Builds a tree of local names, and stops at one that would take too much memory."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file
        self._n_elements = self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._n_elements += 1
        self._depth += 1
        if self._n_elements > _MOST_ELEMENTS or self._depth > _DEEPEST:
            raise RecordingError(
                f"{self._file} has more or deeper elements than an ECG file can have, and could "
                "exhaust the memory; restore or export it again",
                "unsafe_xml",
            )
        return super().start(_local(tag), {_local(name): text for name, text in attrs.items()})

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(_local(tag))


def parse_xml(content: bytes, file: str, root: str) -> Element:
    """Return the root of a document.

    Args:
        content: Of the file.
        file: Its path, for messages.
        root: The name that the root must have.

    Raises:
        RecordingError: with reason `unsafe_xml`, or `unreadable` for what is no such XML.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import XMLParser

    parser: Any = XMLParser(target=_PlainTree(file))
    stream = BytesIO(content)
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            parser.feed(chunk)
        found: Element = parser.close()
    except RecordingError:
        raise
    except DefusedXmlException as error:
        raise RecordingError(
            f"{file} declares entities or refers to other files ({type(error).__name__}), which "
            "no ECG file needs and which could exhaust the memory or read other files; export it "
            "again",
            "unsafe_xml",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        place = f"line {error.position[0]}" if isinstance(error, ParseError) else "its encoding"
        raise RecordingError(
            f"{file} is not well-formed XML (at {place}); restore or export it again", "unreadable"
        ) from error
    if found.tag != root:
        raise RecordingError(
            f"{file} is XML of another kind: its root is {found.tag[:40]!r}, but must be {root!r}",
            "unreadable",
        )
    return found


def text_at(element: Element, path: str) -> str:
    """Return the text of the first element at a path, stripped; empty where there is none."""
    return (element.findtext(path) or "").strip()


def number_of(text: str | None) -> float | None:
    """Return a finite number that XML writes, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
