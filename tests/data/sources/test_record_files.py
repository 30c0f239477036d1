"""Every record on disk is listed once, or counted as not listed, whatever links lead to it."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.sources.record_files import list_records, records_not_listed
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.errors import ArtifactError, DataError
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server

FOLDERS = ("top", "top/a", "top/a/b", "top/c", "top/.hidden", "other", "other/d", "other/d/e")
SUFFIXES = (".hea", ".mat", ".HEA", ".Mat")
TREES = st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(SUFFIXES)), max_size=8)
LINKS = st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FOLDERS)), max_size=4)


def listed(*folders: Path) -> list[str]:
    return list(list_records(map(Location.parse, folders), (".hea", ".mat")))


def make_tree(root: Path, records: list[tuple[str, str]], links: list[tuple[str, str]]) -> Path:
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (folder, suffix) in enumerate(records):
        (root / folder / f"r{number}{suffix}").write_text("")
        (root / folder / f"._r{number}{suffix}").write_text("")
    for number, (folder, target) in enumerate(links):
        (root / folder / f"link{number}").symlink_to(root / target)
    return root / "top"


def reachable(folder: Path) -> set[Path]:
    """Real paths of the records that a person finds who enters every folder, by another walk."""
    seen: set[Path] = set()
    found: set[Path] = set()
    left = [folder.resolve()]
    while left:
        here = left.pop()
        if here in seen:
            continue
        seen.add(here)
        for path in here.iterdir():
            if path.name.startswith("."):
                continue
            if path.is_dir():
                left.append(path.resolve())
            elif path.suffix.lower() in (".hea", ".mat"):
                found.add(path.resolve().with_suffix(""))
    return found


@settings(max_examples=60)
@given(records=TREES, links=LINKS)
def test_property_each_real_record_is_listed_once_whatever_links_there_are(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    links: list[tuple[str, str]],
) -> None:
    top = make_tree(tmp_path_factory.mktemp("tree"), records, links)
    paths = [Path(path) for path in listed(top)]
    assert {path.parent.resolve() / path.name for path in paths} == reachable(top)
    assert len(paths) == len(reachable(top))
    assert not any("/." in str(path.relative_to(top)) for path in paths)


@settings(max_examples=40)
@given(records=TREES, links=LINKS, data=st.data())
def test_property_what_is_on_disk_is_listed_by_the_table_or_counted(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str]],
    links: list[tuple[str, str]],
    data: st.DataObject,
) -> None:
    top = make_tree(tmp_path_factory.mktemp("tree"), [(f, ".hea") for f, _ in records], links)
    on_disk = [os.path.relpath(path, top) for path in listed(top)]
    chosen = data.draw(st.lists(st.sampled_from(on_disk), unique=True) if on_disk else st.just([]))
    ways = st.sampled_from(["{}", "./{}", "{}.hea", "{}.dat", f"{top}/{{}}"])
    names = [data.draw(ways).format(name) for name in [*chosen, "ghost"]]
    (top / "labels.csv").write_text("record,codes\n" + "".join(f"{n},X\n" for n in names))
    source = WfdbFolder(location=str(top))
    refs = [ref.record_id for ref in source.references(100)]
    left = source.not_listed(100)
    assert refs == [*chosen, "ghost"]
    assert left.n_records == len(on_disk) - len(chosen)
    assert set(left.examples) <= set(on_disk) - set(chosen)


def test_two_records_of_one_name_are_named_both(tmp_path: Path) -> None:
    for folder in ("g1", "g2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "A1.hea").write_text("")
    with pytest.raises(DataError, match=r"called 'A1': .*g1/A1 and .*g2/A1"):
        listed(tmp_path)
    (tmp_path / "g2" / "A1.hea").unlink()
    (tmp_path / "g2" / "A1.hea").symlink_to(tmp_path / "g1" / "A1.hea")
    assert listed(tmp_path) == [f"{tmp_path}/g1/A1"]


def test_a_folder_that_is_not_connected_is_not_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "g1").mkdir()
    (tmp_path / "g1" / "A1.hea").write_text("")
    (tmp_path / "g2").symlink_to("/nowhere/g2")
    with pytest.raises(DataError, match=r"g2 is a broken link to /nowhere/g2"):
        listed(tmp_path)


def test_a_folder_that_cannot_be_read_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g1").mkdir()
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("g1"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ArtifactError, match=r"g1 cannot be read \(Permission denied\)"):
        listed(tmp_path)


def test_a_record_that_is_listed_by_a_link_is_listed(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "r1.hea").write_text("")
    (tmp_path / "latest").symlink_to(tmp_path / "v2")
    (tmp_path / "labels.csv").write_text("record,codes\nlatest/r1,X\n")
    source = WfdbFolder(location=str(tmp_path))
    assert source.not_listed(100).n_records == 0
    (tmp_path / "labels.csv").write_text("record,codes\nlatest/r1,X\nv2/r1,X\n")
    with pytest.raises(DataError, match=r"line 3: the record 'v2/r1' is in line 2 too"):
        list(source.references(100))


def test_segments_of_a_listed_record_belong_to_it(tmp_path: Path) -> None:
    for name in ("r1", "r1_0001", "r1_layout", "r2_0001", "other"):
        (tmp_path / f"{name}.hea").write_text("")
    left = records_not_listed(Location.parse(tmp_path), [f"{tmp_path}/r1"])
    assert left.examples == ("other", "r2_0001")


def test_a_bucket_counts_as_a_folder_does(tmp_path: Path, s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket("data") / "set"
    for name in ("a/r1.hea", "a/r1.dat", "r2.HEA", "a/._r1.hea", ".x/r3.hea", "r4.dat", "r5.hea"):
        (bucket / name).write_bytes(b"1")
        (Location.parse(tmp_path) / name).write_bytes(b"1")
    here = records_not_listed(Location.parse(tmp_path), [f"{tmp_path}/r5"])
    assert here == records_not_listed(bucket, [f"{bucket}/r5"])
    assert here.examples == ("a/r1", "r2")


def test_a_folder_of_other_people_stops_no_ingest_of_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "r1.hea").write_text("")
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith(("closed", "lost+found")):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    left = records_not_listed(Location.parse(tmp_path), [])
    assert (left.examples, left.unreadable) == (("r1",), (f"{tmp_path}/closed",))


def test_a_header_in_two_cases_is_not_read_by_chance(tmp_path: Path) -> None:
    for name in ("R1.hea", "R1.HEA"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=r"has R1\.HEA and R1\.hea"):
        listed(tmp_path)
