"""Artifacts in an object store: the manifest comes last, and writers do not hurt each other."""

import pytest

from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.storage.artifacts import (
    build_folder,
    claim_output,
    discard_partial,
    partial_location,
    publish,
    read_manifest,
    verify_artifact,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, recipe_of
from mvkt_ray.storage.output_lock import holding
from tests.object_store import S3Server

CONFIG = {"rate": 100}
INPUTS = {"shards": "abc"}


def make(location: Location, content: bytes = b"signal", rate: int = 100) -> Manifest:
    with build_folder(location) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "part-0").write_bytes(content)
        (folder / "part-1").write_bytes(b"1")
        return publish(
            location, kind="knowledge", config={"rate": rate}, inputs=INPUTS, built=folder
        )


@pytest.fixture
def location(s3_server: S3Server) -> Location:
    return s3_server.make_bucket("artifacts") / "study" / "knowledge"


def test_a_published_artifact_reads_back_equal_and_leaves_nothing_else(
    location: Location, s3_server: S3Server
) -> None:
    with holding(location):
        manifest = make(location)
    assert read_manifest(location, "knowledge") == verify_artifact(location) == manifest
    assert location.file_names() == ["deep/part-0", "manifest.json", "part-1"]
    assert partial_location(location).names() == []
    put = [request.key for request in s3_server.asked("PUT", "study/knowledge/")]
    assert put[-1] == "study/knowledge/manifest.json"


def test_sizes_are_checked_by_one_listing(location: Location, s3_server: S3Server) -> None:
    manifest = make(location)
    (location / "part-1").write_bytes(b"changed")
    s3_server.forget_requests()
    with pytest.raises(ArtifactError, match="part-1 has 7 bytes, the manifest says 1"):
        verify_artifact(location, hashes=False)
    assert s3_server.asked("HEAD", "study/knowledge/part-1") == []
    (location / "part-1").write_bytes(b"2")
    with pytest.raises(ArtifactError, match="part-1 has hash"):
        verify_artifact(location)
    assert manifest.files["part-1"].size_bytes == 1


def test_a_writer_that_was_killed_before_the_manifest_is_gone_on_with_or_discarded(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Location.write_bytes

    def killed_at_the_manifest(self: Location, content: bytes) -> None:
        if self.name == "manifest.json":
            raise KeyboardInterrupt
        write_bytes(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Location, "write_bytes", killed_at_the_manifest)
        with pytest.raises(KeyboardInterrupt):
            make(location, b"half")
    recipe = recipe_of("knowledge", CONFIG, INPUTS)
    with pytest.raises(ArtifactError, match="--resume"):
        read_manifest(location)
    with pytest.raises(ArtifactError, match="--resume"):
        claim_output(location, recipe, resume=False)
    assert claim_output(location, recipe, resume=True) is None
    discard_partial(location)
    assert location.file_names() == []
    assert claim_output(location, recipe, resume=False) is None
    manifest = make(location)
    discard_partial(location)
    assert verify_artifact(location) == manifest


def test_what_is_not_ours_is_neither_overwritten_nor_discarded(location: Location) -> None:
    (location / "thesis.tex").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"in use.*thesis\.tex"):
        claim_output(location, "recipe", resume=True)
    with pytest.raises(ArtifactError, match="in use"):
        make(location)
    discard_partial(location)
    assert location.file_names() == ["thesis.tex"]


def test_of_two_writers_of_one_recipe_the_first_to_publish_wins(location: Location) -> None:
    first = make(location, b"trained here")
    assert make(location, b"trained there") == first
    assert (location / "deep" / "part-0").read_bytes() == b"trained here"
    with pytest.raises(ArtifactError, match="already holds a knowledge with another config"):
        make(location, rate=500)
    assert verify_artifact(location) == first


def test_an_artifact_needs_a_folder_of_its_bucket(s3_server: S3Server) -> None:
    with pytest.raises(ArtifactError, match="whole bucket"):
        claim_output(s3_server.make_bucket("whole"), "recipe", resume=False)


def test_a_read_only_bucket_is_refused_in_one_paragraph(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket("public", read_only=True)
    with pytest.raises(StoreError, match="access is denied"):
        make(bucket / "knowledge")
