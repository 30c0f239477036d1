"""Files are seen whole or not at all, wherever they are."""

import pickle
from pathlib import Path

import pytest

from mvkt_ray.errors import ArtifactError
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server


def test_relative_paths_become_absolute_and_uris_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Location.parse("a/b").uri == str(tmp_path / "a" / "b")
    assert Location.parse("s3://bucket/key/").uri == "s3://bucket/key"
    assert Location.parse(Location("/x")) == Location("/x")


def test_a_scheme_stands_in_front_and_file_uris_are_unescaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Location.parse("runs/a://b").uri == str(tmp_path / "runs" / "a:" / "b")
    assert Location.parse("a:b?c%41").uri == str(tmp_path / "a:b?c%41")
    awkward = tmp_path / "100% of é?"
    assert Location.parse(awkward.as_uri()).uri == str(awkward)
    assert Location.parse("s3://bucket/a?b%41#c").uri == "s3://bucket/a?b%41#c"


@pytest.mark.parametrize("text", ["a\0b", "caf\udce9", "~nobody-has-this-name/x"])
def test_a_path_that_cannot_be_opened_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"[Gg]ive the path|Rename the folder"):
        Location.parse(text)


def test_parts_are_joined_and_taken_apart() -> None:
    location = Location("s3://bucket/studies") / "one"
    assert (location.name, location.parent.uri, str(location)) == (
        "one",
        "s3://bucket/studies",
        "s3://bucket/studies/one",
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    location = Location.parse(tmp_path) / "deep"
    (location / "file.bin").write_bytes(b"ecg")
    assert (location / "file.bin").read_bytes() == b"ecg"
    assert (location / "file.bin").size_bytes() == 3
    assert location.names() == ["file.bin"]
    assert pickle.loads(pickle.dumps(location)) == location


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    location = Location.parse(tmp_path) / "weights"
    location.write_bytes(b"old")

    def write_half() -> None:
        with location.writing_aside() as aside:
            aside.write_bytes(b"half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert location.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.bin is not there"):
        (Location.parse(tmp_path) / "nothing.bin").read_bytes()


def test_a_remote_location_has_no_local_path() -> None:
    with pytest.raises(ArtifactError, match="not a local path"):
        _ = Location("s3://bucket/key").local_path


def test_a_missing_directory_lists_nothing_until_it_is_made(tmp_path: Path) -> None:
    location = Location.parse(tmp_path) / "a" / "b"
    assert location.names() == []
    assert not location.exists()
    location.make_directory()
    assert location.exists()


def test_a_walk_goes_through_a_bucket_as_through_a_folder(
    tmp_path: Path, s3_server: S3Server
) -> None:
    bucket = s3_server.make_bucket("bucket")
    for name in (
        "b.mat",
        "a/2.hea",
        "a/10.hea",
        "a/deep/x",
        "c/y",
        "c/x",
        "c-/z",
        "c.d/z",
        "a/._2.hea",
        ".x/y",
    ):
        (Location.parse(tmp_path) / name).write_bytes(b"1")
        (bucket / "top" / name).write_bytes(b"1")
    here = [(str(location), *names) for location, *names in Location.parse(tmp_path).walk()]
    there = [(str(location), *names) for location, *names in (bucket / "top").walk()]
    assert [
        (location.replace("s3://bucket/top", str(tmp_path)), *names) for location, *names in there
    ] == here
    assert here[0] == (str(tmp_path), ["a", "c", "c-", "c.d"], ["b.mat"])
    assert len(here) == 6
    assert not next((bucket / "nowhere").walk())[2]
