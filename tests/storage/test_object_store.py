"""Object stores: what is written is read back, and what they refuse is explained."""

from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from pyarrow import fs

from mvkt_ray.errors import ArtifactError, StoreError, StoreUnreachableError
from mvkt_ray.storage import object_store
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.object_store import (
    check_writable,
    expect_bucket,
    expect_readable,
    explaining,
    open_store,
)
from tests.object_store import S3Server


@pytest.fixture
def bucket(s3_server: S3Server) -> Location:
    return s3_server.make_bucket("ecg")


def test_what_is_written_is_read_back_and_nothing_else_is_made(
    bucket: Location, s3_server: S3Server
) -> None:
    location = bucket / "a folder" / "file %20 ü.bin"
    location.write_bytes(b"ecg")
    assert location.read_bytes() == b"ecg"
    assert (location.exists(), location.is_file(), location.size_bytes()) == (True, True, 3)
    assert bucket.names() == ["a folder"]
    assert bucket.file_sizes() == {"a folder/file %20 ü.bin": 3}
    assert s3_server.keys("ecg") == ["a folder/file %20 ü.bin"]


def test_a_small_file_is_one_put(bucket: Location, s3_server: S3Server) -> None:
    (bucket / "checkpoint").write_bytes(b"x" * (1 << 20))
    assert len(s3_server.asked("PUT", "checkpoint")) == 1
    assert s3_server.asked("POST") == []


@pytest.mark.parametrize("n_bytes", [0, 1, 25 << 20])
def test_files_go_up_and_come_down_as_they_are(
    bucket: Location, tmp_path: Path, n_bytes: int
) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(bytes(range(256)) * (n_bytes // 256) + b"e" * (n_bytes % 256))
    (bucket / "big").upload(source)
    sha256 = (bucket / "big").fetch(target)
    assert target.read_bytes() == source.read_bytes()
    assert sha256 == (bucket / "big").sha256() == Location.parse(source).sha256()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_folder_is_there_as_long_as_it_holds_something(bucket: Location) -> None:
    folder = bucket / "study"
    folder.make_directory()
    assert not folder.exists()
    (folder / "trials" / "one").write_bytes(b"1")
    assert folder.exists()
    assert not folder.is_file()
    folder.delete_tree()
    folder.delete_tree()
    assert folder.file_names() == []


def test_a_deleted_file_is_gone_and_may_be_deleted_again(bucket: Location) -> None:
    (bucket / "folder" / "probe").write_bytes(b"1")
    (bucket / "folder" / "probe").delete()
    (bucket / "folder" / "probe").delete()
    assert (bucket / "folder").file_names() == []


def test_a_writer_that_fails_publishes_nothing(bucket: Location) -> None:
    def write_half() -> None:
        with (bucket / "shard").writing_aside() as aside:
            aside.write_bytes(b"half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert bucket.file_names() == []


def test_a_missing_file_and_a_missing_bucket_are_told_apart(bucket: Location) -> None:
    with pytest.raises(ArtifactError, match="s3://ecg/nothing is not there"):
        (bucket / "nothing").read_bytes()
    with pytest.raises(StoreError, match="no such bucket"):
        Location("s3://missing/nothing").read_bytes()
    with pytest.raises(StoreError, match="no such bucket"):
        Location("s3://missing/new").write_bytes(b"1")
    with pytest.raises(StoreError, match="no such bucket"):
        expect_bucket("s3://missing/folder")


def test_a_read_only_bucket_is_read_and_refuses_writes(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket("public")
    (bucket / "file").write_bytes(b"1")
    s3_server.read_only.add("public")
    assert (bucket / "file").read_bytes() == b"1"
    with pytest.raises(StoreError, match=r"access is denied: .*read-only") as caught:
        (bucket / "file").write_bytes(b"2")
    assert "\n" not in str(caught.value)
    assert (bucket / "file").read_bytes() == b"1"


def test_a_store_that_does_not_answer_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_MAX_ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnreachableError, match="does not answer") as caught:
        Location("s3://ecg/file").read_bytes()
    assert caught.value.retriable


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("ftp://host/file", "s3://, gs://, abfss://"),
        ("s3:///file", "names no bucket"),
        ("s3://key:secret@bucket/file", "contains credentials"),
        ("abfss://container/file", "names no storage account"),
    ],
)
def test_a_uri_that_cannot_be_opened_is_explained(
    uri: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(StoreError, match=message) as caught:
        Location.parse(uri).read_bytes()
    assert "secret" not in str(caught.value)


def test_a_whole_bucket_has_no_parent() -> None:
    with pytest.raises(ArtifactError, match="whole bucket"):
        _ = Location("s3://bucket").parent


def test_a_store_is_opened_once_per_bucket_and_environment(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = bucket.open_filesystem()
    again, path = (bucket / "deeper").open_filesystem()
    assert again is first
    assert path == "ecg/deeper"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert bucket.open_filesystem()[0] is not first


def test_google_and_azure_are_opened_with_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9023")
    filesystem, path = open_store("gs://bucket/a/b")
    assert isinstance(filesystem, fs.GcsFileSystem)
    assert path == "bucket/a/b"
    monkeypatch.setenv("AZURE_STORAGE_KEY", "a2V5")
    filesystem, path = open_store("abfss://container@account.dfs.core.windows.net/a")
    assert filesystem == fs.AzureFileSystem("account", account_key="a2V5")
    assert path == "container/a"


def test_a_store_is_tried_out_before_work_and_nothing_stays(bucket: Location) -> None:
    check_writable(str(bucket / "new" / "study"))
    assert (bucket / "new" / "study").names() == []
    expect_readable(str(bucket / "new" / "study"))


def test_a_store_that_cannot_be_used_is_refused_before_work(s3_server: S3Server) -> None:
    public = s3_server.make_bucket("public", read_only=True)
    with pytest.raises(StoreError, match="access is denied"):
        check_writable(str(public / "study"))
    expect_readable(str(public / "study"))
    for check in (check_writable, expect_readable):
        with pytest.raises(StoreError, match="no such bucket"):
            check("s3://missing/study")


def test_a_clock_that_is_wrong_is_named(bucket: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Tomorrow":
            now = datetime.now(tz) + timedelta(days=1)
            return cls.fromtimestamp(now.timestamp(), tz)

    monkeypatch.setattr(object_store, "datetime", Tomorrow)
    with pytest.raises(StoreError, match="clock and the store's are 1440 minutes apart"):
        check_writable(str(bucket / "study"))


def test_a_clock_that_the_store_refuses_is_named() -> None:
    with (
        pytest.raises(StoreError, match="clock is wrong"),
        explaining("s3://ecg/study"),
    ):
        raise OSError("AWS Error REQUEST_TIME_TOO_SKEWED during PutObject operation")
