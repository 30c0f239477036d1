"""An artifact is finished or is none, says what it was made from, and shows any later change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.storage.artifacts import (
    claim_output,
    discard_partial,
    expect_input,
    partial_location,
    publish,
    read_manifest,
    verify_artifact,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, fingerprint_of, recipe_of
from mvkt_ray.storage.output_lock import holding

CONFIG = {"rate": 100}
INPUTS = {"shards": "abc"}


def make(location: Location, content: bytes = b"signal") -> Manifest:
    (partial_location(location) / "part-0").write_bytes(content)
    return publish(
        location,
        kind="knowledge",
        config=CONFIG,
        inputs=INPUTS,
        n_rows={"part-0": 3},
        counts={"n_crops": 3},
    )


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location.parse(tmp_path) / "artifact"


def test_a_published_artifact_reads_back_equal(location: Location) -> None:
    manifest = make(location)
    assert read_manifest(location, "knowledge") == manifest
    assert verify_artifact(location) == manifest
    assert manifest.files["part-0"].n_rows == 3
    assert not partial_location(location).exists()


def test_a_file_that_is_a_link_is_the_one_that_was_published_or_refused(location: Location) -> None:
    manifest = make(location)
    part, elsewhere = location.local_path / "part-0", location.parent.local_path / "elsewhere"
    part.rename(elsewhere)
    part.symlink_to(elsewhere)
    assert verify_artifact(location) == manifest
    elsewhere.write_bytes(b"sIgnal")
    with pytest.raises(ArtifactError, match="part-0 has hash"):
        verify_artifact(location)


def test_an_unfinished_artifact_is_not_read_and_says_how_to_go_on(location: Location) -> None:
    (partial_location(location) / "part-0").write_bytes(b"half")
    with pytest.raises(ArtifactError, match="--resume"):
        read_manifest(location)
    with pytest.raises(ArtifactError, match="--resume"):
        claim_output(location, "recipe", resume=False)
    assert claim_output(location, "recipe", resume=True) is None


def test_the_same_recipe_is_reused_and_another_is_refused(location: Location) -> None:
    manifest = make(location)
    same = recipe_of("knowledge", CONFIG, INPUTS)
    assert claim_output(location, same, resume=False) == manifest
    other = recipe_of("knowledge", {"rate": 500}, INPUTS)
    with pytest.raises(ArtifactError, match="never changed"):
        claim_output(location, other, resume=False)


def test_a_folder_with_foreign_files_is_in_use(location: Location) -> None:
    (location / "thesis.tex").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"in use.*thesis\.tex"):
        claim_output(location, "recipe", resume=True)


def test_a_file_in_the_way_is_named(location: Location) -> None:
    location.write_bytes(b"thesis")
    with pytest.raises(ArtifactError, match="is a file"):
        claim_output(location, "recipe", resume=True)
    with (
        pytest.raises(ArtifactError, match=r"cannot be written: .*Give an output folder"),
        holding(location / "inside"),
    ):
        pytest.fail("nothing can be held below a file")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"SIGNAL"), "hash"),
        (lambda path: path.write_bytes(b"sig"), "3 bytes"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_any_change_after_publishing_is_found(location: Location, damage, said: str) -> None:
    make(location)
    damage(location.local_path / "part-0")
    with pytest.raises(ArtifactError, match=said):
        verify_artifact(location)


def test_a_changed_size_is_found_without_reading_hashes(location: Location) -> None:
    make(location)
    (location.local_path / "part-0").write_bytes(b"sig")
    with pytest.raises(ArtifactError, match="3 bytes"):
        verify_artifact(location, hashes=False)


def test_the_fingerprint_depends_on_content_and_not_on_time(tmp_path: Path) -> None:
    one, two, three = (
        make(Location.parse(tmp_path) / name, content)
        for name, content in (("one", b"a"), ("two", b"a"), ("three", b"b"))
    )
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != three.fingerprint
    assert one.recipe == three.recipe


def test_an_artifact_of_other_inputs_is_refused_with_both_fingerprints(location: Location) -> None:
    manifest = make(location)
    expect_input("the knowledge", manifest, "shards", "abc")
    with pytest.raises(StaleArtifactError, match=r"abc.*def"):
        expect_input("the knowledge", manifest, "shards", "def")


def test_another_kind_or_schema_or_broken_json_is_refused(location: Location) -> None:
    manifest = make(location)
    with pytest.raises(ArtifactError, match="not a teacher"):
        read_manifest(location, "teacher")
    path = location / "manifest.json"
    path.write_bytes(json.dumps({**json.loads(manifest.to_json()), "schema_version": 99}).encode())
    with pytest.raises(ArtifactError, match="schema version 99"):
        read_manifest(location)
    path.write_bytes(b"{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_manifest(location)


def test_an_edited_manifest_is_refused(location: Location) -> None:
    make(location)
    path = location / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"n_crops": 3', b'"n_crops": 4'))
    with pytest.raises(ArtifactError, match="it was edited"):
        verify_artifact(location)


def test_equal_values_have_equal_fingerprints_whatever_their_order() -> None:
    assert fingerprint_of({"a": 1, "b": [1, 2]}) == fingerprint_of({"b": [1, 2], "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": 2})


HOLDER = """
import sys
from mvkt_ray.storage.output_lock import holding
from mvkt_ray.storage.location import Location
with holding(Location(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_an_output_that_another_process_writes_is_in_use(location: Location) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, location.uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ArtifactError, match="another process"), holding(location):
            pytest.fail("two processes held the same output")
        other.communicate("go\n")
    with holding(location):
        assert not location.exists()


def test_what_a_killed_writer_left_can_be_discarded(location: Location) -> None:
    (partial_location(location) / "part-0").write_bytes(b"half")
    discard_partial(location)
    assert not partial_location(location).exists()
