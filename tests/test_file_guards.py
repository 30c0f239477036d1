"""Whatever goes wrong with a user's file, or with an output, is one paragraph with its cause."""

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mvkt_ray.config.study_file import read_prices, read_study
from mvkt_ray.errors import ArtifactError, ConfigError, MachineError
from mvkt_ray.file_guards import check_writable_folder, reading, writing
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location

STUDY = "name: mine\nsearch: {leads: [II], n_trials: 3}\n"


@given(st.binary(max_size=60))
@example(b"\xff\xfename: x")
@example(b"name: [a\x00b]")
@example(b"[" * 1200)
@example(b"&a [*a]")
@example(b"name: &a {b: *a}")
@example(b"{[a]: b}")
@example(b"? {a: b}\n: c\n")
@example(b"name: !!python/object:os.system x")
@example(b"name: x\nsearch: {n_trials: 1.0e400}")
@example(b"name: x\nseed: " + b"9" * 5000)
@example(b"base: ../../..")
@example(b"base: 'a\\0b'")
@example(b"- 2001-01-01")
@example(b"")
@settings(max_examples=50)
def test_no_content_of_a_study_file_is_more_than_a_wrong_input(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: io.BytesIO(content))
        for read in (read_study, read_prices):
            with contextlib.suppress(ConfigError):
                read("the/file.yaml")


KEYS = st.sampled_from(["kind", "files", "sha256", "schema_version", "fingerprint", "config", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=40))
@settings(max_examples=100)
def test_no_content_of_a_manifest_is_more_than_a_damaged_artifact(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Location, "exists", lambda _: True)
        patch.setattr(Location, "read_bytes", lambda _: content)
        with pytest.raises(ArtifactError, match="manifest"):
            read_manifest("/somewhere")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def a_loop_of_links(path: Path) -> None:
    path.symlink_to(path.name)


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("no folder")


@pytest.mark.parametrize("make", [a_folder, a_link_to_nothing, a_loop_of_links, below_a_file])
def test_a_path_that_is_no_file_is_named_with_the_cause(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "sub" / "study.yaml"
    path.parent.mkdir()
    make(path)
    with pytest.raises(
        ConfigError, match=r"study\.yaml cannot be read: \w+.*search_spaces/"
    ) as caught:
        read_study(path)
    assert isinstance(caught.value.__cause__, OSError), "--debug shows where it came from"


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(ConfigError, match="too many for a study file"):
        read_study("/dev/zero")


def test_a_byte_order_mark_is_no_part_of_a_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + STUDY.encode())
    assert read_study(path).name == yaml.safe_load(STUDY)["name"]


ERRORS = [
    KeyError("shards"),
    TypeError("'NoneType' is no list"),
    RuntimeError(""),
    RecursionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    OSError(errno.EACCES, "no", "x"),
    OSError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_reading_passes_on_nothing_but_paragraphs(error: Exception) -> None:
    with pytest.raises(ArtifactError, match=r"the file cannot be read: .+\. Do this\.") as caught:
        with reading("the file", "Do this.", ArtifactError):
            raise error
    assert caught.value.__cause__ is error


def test_what_was_raised_on_purpose_is_passed_on() -> None:
    with pytest.raises(ConfigError, match=r"^as it is$"), reading("x", "y.", ArtifactError):
        raise ConfigError("as it is")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_is_the_machines_fault_and_says_its_room(
    tmp_path: Path, number: int
) -> None:
    with pytest.raises(MachineError, match=rf"bytes are free at {tmp_path}") as caught:
        with writing(tmp_path / "out", "Give another."):
            raise OSError(number, os.strerror(number), str(tmp_path / "out" / "file"))
    assert os.strerror(number) in str(caught.value)
    with pytest.raises(MachineError), reading(tmp_path, "Give another."):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", ["file/out", "file/out/deeper", "loop/out", "n" * 300])
def test_an_output_that_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("taken")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArtifactError, match=r"cannot be written: .* Give another\."):
        check_writable_folder(tmp_path / name, "Give another.")
    check_writable_folder(tmp_path / "new" / "one", "Give another.")
    assert sorted(tmp_path.iterdir()) == before
