"""One file of whichever format a hospital exports, told by its name and what it begins with."""

import posixpath
import re

from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.sources.hospital.aecg_file import AecgFolder
from mvkt_ray.data.sources.hospital.dicom_file import DicomFolder
from mvkt_ray.data.sources.hospital.edf_file import EdfFolder
from mvkt_ray.data.sources.hospital.file_content import read_content
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.hospital.muse_file import MuseFolder

_XML = ".xml"
_FORMATS: tuple[type[FileFolder], ...] = (DicomFolder, EdfFolder, AecgFolder, MuseFolder)
EXPORT_SUFFIXES = tuple(dict.fromkeys(each for kind in _FORMATS for each in kind.suffixes))
"""In lower case."""
_MUSE_ROOT = re.compile(rb"<RestingECG[\s>]")
_HEAD_BYTES = 4096
"""Declaration, document type and comments come before the root."""


def read_export(path: str) -> FileSignal:
    """Read a file whose suffix is one of `EXPORT_SUFFIXES`.

    Args:
        path: Local, or a URI.

    Raises:
        RecordingError: It cannot be used; `reason` says why in a word.
        ConfigError: What reads its format is not installed.
        StoreError: The store cannot be used.
    """
    suffix = posixpath.splitext(path)[1].lower()
    kind = next(each for each in _FORMATS if suffix in each.suffixes)
    content = read_content(path, kind.largest_bytes)
    # UTF-16 has a zero beside every letter.
    if suffix == _XML and _MUSE_ROOT.search(content[:_HEAD_BYTES].replace(b"\0", b"")):
        kind = MuseFolder
    reader = kind(location="")
    reader.expect_reader()
    return reader.decode_safely(content, path)
