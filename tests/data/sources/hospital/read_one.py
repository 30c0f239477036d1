"""Reads the one file of a folder as a source does, or says why it cannot."""

from pathlib import Path

import pytest

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import RecordingError
from tests.hospital_xml import PERSON


def read_one(name: str, file: Path, **options: object) -> Recording:
    """Read a file that lies alone in its folder."""
    source = open_source(name, str(file.parent), options)
    [ref] = source.references(100)
    return source.read(ref)


def reason_of(name: str, file: Path, **options: object) -> str:
    """Return why a file is refused; the message is one paragraph that names it, and nobody."""
    with pytest.raises(RecordingError) as caught:
        read_one(name, file, **options)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    assert not any(name in message for name in PERSON[:2])
    return caught.value.reason
