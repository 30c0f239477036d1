"""Downloads from a real web server on loopback that fails as servers do."""

import os
import resource
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.download import (
    PUBLISHED,
    DownloadSummary,
    Patience,
    PublishedDataset,
    download,
)
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ConfigError, DataError, StoreError, StoreUnreachableError
from tests.file_server import FileServer, serve_folder
from tests.object_store import S3Server
from tests.patience import PATIENCE_S
from tests.tiny_datasets import RATE_HZ, make_ptbxl, write_sums

PTBXL = PUBLISHED["ptbxl"]
IMPATIENT = Patience(n_attempts=3, first_wait_s=0.01)
BIG = "records500/big.dat"
BIG_BYTES = 3_000_000


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset like PTB-XL, with a large file and a folder that nobody needs."""
    folder = tmp_path_factory.mktemp("original")
    make_ptbxl(folder)
    (folder / "records500").mkdir()
    (folder / BIG).write_bytes(np.random.default_rng(0).bytes(BIG_BYTES))
    (folder / "sources").mkdir()
    (folder / "sources" / "entry with #.zip").write_bytes(b"code")
    write_sums(folder)
    return folder


@pytest.fixture
def server(original: Path) -> Generator[FileServer]:
    with serve_folder(original) as files:
        yield files


def bring(
    server: FileServer | str, dest: Path, *parts: str, dataset: PublishedDataset = PTBXL
) -> DownloadSummary:
    mirror = server if isinstance(server, str) else server.url
    return download(dataset, dest, mirror=mirror, parts=parts, patience=IMPATIENT)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def wanted_files(original: Path) -> dict[str, bytes]:
    return {k: v for k, v in files_below(original).items() if not k.startswith("sources/")}


def test_every_file_arrives_once_and_the_folder_is_what_the_source_reads(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "new" / "ptbxl"
    seen: list[tuple[int, int, int]] = []
    summary = download(
        PTBXL,
        dest,
        mirror=server.url,
        on_progress=lambda state: seen.append((state.n_files_done, state.n_files, state.n_bytes)),
    )
    wanted = wanted_files(original)
    assert files_below(dest) == wanted
    n_files, n_bytes = len(wanted) - 1, sum(map(len, wanted.values()))
    assert (summary.n_fetched, summary.n_kept, summary.n_repaired) == (n_files, 0, 0)
    assert summary.n_bytes + len(wanted["SHA256SUMS.txt"]) == n_bytes == server.n_bytes()
    assert [done for done, _, _ in seen] == list(range(1, n_files + 1))
    assert seen[-1] == (n_files, n_files, summary.n_bytes)
    source = open_source("ptbxl", str(dest), {})
    assert [source.read(ref).record_id for ref in source.references(RATE_HZ)] == ["1", "2", "3"]


def test_again_fetches_nothing_but_the_list(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    first = bring(server, tmp_path)
    server.sent.clear()
    second = bring(server, tmp_path)
    assert (second.n_kept, second.n_fetched, second.n_bytes) == (first.n_fetched, 0, 0)
    assert server.n_bytes() == (original / "SHA256SUMS.txt").stat().st_size


def test_a_part_comes_alone_and_the_rest_later(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    bring(server, tmp_path, "100")
    assert not (tmp_path / "records500").exists()
    assert not server.asked(BIG)
    rest = bring(server, tmp_path)
    assert (rest.n_fetched, rest.n_bytes) == (1, BIG_BYTES)
    assert files_below(tmp_path) == wanted_files(original)


@pytest.mark.parametrize("harm", ["changed", "truncated", "emptied"])
def test_a_wrong_file_is_repaired_and_the_others_stay(
    server: FileServer, original: Path, tmp_path: Path, harm: str
) -> None:
    bring(server, tmp_path)
    victim = tmp_path / "records100" / "2_lr.dat"
    content = victim.read_bytes()
    changed = bytes([content[0] ^ 1]) + content[1:]
    victim.write_bytes({"changed": changed, "truncated": content[:-1], "emptied": b""}[harm])
    server.sent.clear()
    summary = bring(server, tmp_path)
    assert (summary.n_repaired, summary.n_fetched) == (1, 0)
    assert summary.n_bytes == len(content)
    assert files_below(tmp_path) == wanted_files(original)


def test_what_breaks_off_goes_on_from_there(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    server.breaks[BIG].extend([1_000_000, 700_000])
    bring(server, tmp_path)
    assert (tmp_path / BIG).read_bytes() == (original / BIG).read_bytes()
    first, second, third = server.asked(BIG)
    assert first.start == 0 < second.start < third.start
    assert third.start + third.n_bytes == BIG_BYTES
    # What a connection had sent and the client had not yet taken may come twice, no more.
    assert server.n_bytes(BIG) < BIG_BYTES + 2 * 262_144


def test_a_server_without_ranges_sends_it_anew(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    server.has_ranges = False
    server.breaks[BIG].append(1_000_000)
    bring(server, tmp_path)
    assert files_below(tmp_path) == wanted_files(original)
    assert [sent.start for sent in server.asked(BIG)] == [0, 0]


def test_a_server_that_never_gets_further_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.has_ranges = False
    server.breaks[BIG].extend([1_000_000] * 50)
    with pytest.raises(StoreUnreachableError, match=r"3 attempts in a row made no progress"):
        bring(server, tmp_path)
    assert len(server.asked(BIG)) <= 4
    # All that came is kept, and the same command resumes.
    server.breaks[BIG].clear()
    bring(server, tmp_path)
    assert (tmp_path / BIG).stat().st_size == BIG_BYTES


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(
    server: FileServer, original: Path, tmp_path: Path, status: int
) -> None:
    server.answers["SHA256SUMS.txt"].append(status)
    server.answers[BIG].extend([status] * 2)
    server.answers["records100/1_lr.hea"].append(status)
    bring(server, tmp_path)
    assert files_below(tmp_path) == wanted_files(original)


def test_bytes_spoilt_on_the_way_are_fetched_again(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    server.spoilt["records100/1_lr.dat"] = 1
    bring(server, tmp_path)
    assert files_below(tmp_path) == wanted_files(original)


def test_a_stale_part_of_something_else_is_replaced(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    bring(server, tmp_path, "100")
    (tmp_path / "records500").mkdir()
    for n_bytes in (1000, BIG_BYTES, BIG_BYTES + 5):
        (tmp_path / BIG).unlink(missing_ok=True)
        (tmp_path / f"{BIG}.part").write_bytes(bytes(n_bytes))
        bring(server, tmp_path)
        assert files_below(tmp_path) == wanted_files(original)


def test_a_file_that_the_mirror_lacks_or_has_wrong_fails_alone(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    server.answers[BIG].extend([404] * 5)
    server.spoilt["records100/1_lr.dat"] = 100
    with pytest.raises(DataError, match=r"2 of 9 files could not be downloaded") as caught:
        bring(server, tmp_path)
    for part in (
        BIG,
        "no such file",
        "records100/1_lr.dat",
        "does not have the listed hash",
        server.url,
    ):
        assert part in str(caught.value)
    wanted = wanted_files(original)
    del wanted[BIG], wanted["records100/1_lr.dat"]
    assert files_below(tmp_path) == wanted


@pytest.mark.parametrize("status", [401, 403])
def test_a_closed_server_is_not_asked_again(
    server: FileServer, tmp_path: Path, status: int
) -> None:
    server.answers["SHA256SUMS.txt"].append(status)
    with pytest.raises(StoreError, match=r"access is denied") as caught:
        bring(server, tmp_path)
    assert not isinstance(caught.value, StoreUnreachableError)
    assert len(server.sent) == 1
    assert not list(tmp_path.glob("[!.]*"))


def test_a_server_that_is_not_there_is_one_paragraph(tmp_path: Path, original: Path) -> None:
    with serve_folder(original) as gone:
        url = gone.url
    with pytest.raises(StoreUnreachableError, match=r"does not answer.*the same command resumes"):
        bring(url, tmp_path / "dest")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"{'0' * 64}  ../outside", "is not a path below the folder"),
        (f"{'0' * 64}  /etc/passwd", "is not a path below the folder"),
        (f"{'0' * 64}  records100/../../outside", "is not a path below the folder"),
        (f"{'0' * 64}  .ssh/authorized_keys", "is not a path below the folder"),
        ("<html>not found</html>", "is not a hash and a file name"),
        (f"{'0' * 64}  a.csv\n{'1' * 64}  a.csv", "twice with different hashes"),
        ("", "names no files"),
        (f"{'0' * 64}  training/georgia/g1/E1.mat", "lists no files in records100/"),
    ],
)
def test_a_bad_list_of_hashes_is_refused_before_anything_is_written(
    tmp_path: Path, line: str, problem: str
) -> None:
    mirror, dest = tmp_path / "mirror", tmp_path / "dest"
    mirror.mkdir()
    (mirror / "SHA256SUMS.txt").write_text(f"{line}\n")
    with serve_folder(mirror) as server, pytest.raises(DataError, match=problem):
        bring(server, dest)
    assert not dest.exists()
    assert not (tmp_path / "outside").exists()


def test_another_folder_is_left_alone(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "scp_statements.csv").write_text("mine")
    with pytest.raises(DataError, match=r"holds scp_statements.csv but no SHA256SUMS.txt"):
        bring(server, tmp_path)
    (tmp_path / "SHA256SUMS.txt").write_text(f"{'0' * 64}  scp_statements.csv\n")
    with pytest.raises(DataError, match=r"another version"):
        bring(server, tmp_path)
    assert (tmp_path / "scp_statements.csv").read_text() == "mine"


def test_a_destination_that_is_a_file_is_refused(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"is a file"):
        bring(server, tmp_path / "file")
    assert not server.sent


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    server: FileServer, tmp_path: Path
) -> None:
    server.claimed[BIG] = 10**18
    with pytest.raises(DataError, match=r"has room for .* GB, but about 1000000\.00 TB in 9 f"):
        bring(server, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()
    assert {sent.name for sent in server.sent if sent.method == "GET"} == {"SHA256SUMS.txt"}


def test_unknown_parts_and_mirrors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no rate '250'; it has 100, 500"):
        bring("http://127.0.0.1:1", tmp_path, "250")
    for mirror in ("https://", "http://host/folder?x=1"):
        with pytest.raises(ConfigError, match=r"not a folder of a web server"):
            bring(mirror, tmp_path)
    with pytest.raises(StoreError, match=r"ftp:// is not supported"):
        bring("ftp://host/folder", tmp_path)


def test_from_a_bucket_and_from_a_folder_as_from_a_server(
    s3_server: S3Server, original: Path, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("mirror")
    for name, content in files_below(original).items():
        (bucket / "ptb-xl/1.0.3" / name).write_bytes(content)
    s3_server.forget_requests()
    for number, mirror in enumerate([f"{bucket}/ptb-xl/1.0.3", str(original)]):
        bring(mirror, tmp_path / str(number))
        assert files_below(tmp_path / str(number)) == wanted_files(original)
    assert len(s3_server.asked("GET", "ptb-xl/1.0.3/records500/big.dat")) == 1
    # Goes on in the middle of a file.
    (tmp_path / "0" / BIG).unlink()
    (tmp_path / "0" / f"{BIG}.part").write_bytes((original / BIG).read_bytes()[:1_000_000])
    s3_server.forget_requests()
    assert bring(f"{bucket}/ptb-xl/1.0.3", tmp_path / "0").n_bytes == BIG_BYTES - 1_000_000
    assert s3_server.n_bytes_read(f"ptb-xl/1.0.3/{BIG}") == BIG_BYTES - 1_000_000
    with pytest.raises(StoreError, match=r"no such bucket"):
        bring("s3://nowhere/ptb-xl", tmp_path / "2")
    with pytest.raises(DataError, match=r"has no SHA256SUMS.txt"):
        bring(f"{bucket}/other", tmp_path / "2")


def command_line(server: FileServer, dest: Path) -> list[str]:
    line = [sys.executable, "-m", "mvkt_ray", "download", "ptbxl", str(dest)]
    return [*line, "--from", server.url, "--json"]


def test_killed_at_a_full_disk_and_in_the_middle_it_goes_on(
    server: FileServer, original: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "dest"
    part = dest / f"{BIG}.part"

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    full = subprocess.run(
        command_line(server, dest), capture_output=True, text=True, preexec_fn=small_files_only
    )
    assert full.returncode == 1, full.stderr
    assert "is full" in full.stderr
    assert "bytes are free" in full.stderr
    assert "Traceback" not in full.stderr
    n_before = part.stat().st_size
    assert 0 < n_before <= 500_000

    server.held[BIG] = 1_500_000
    process = subprocess.Popen(command_line(server, dest), stdout=subprocess.DEVNULL)
    try:
        wait_for_size(part, n_before + 1_000_000, process)
    finally:
        process.kill()
        process.wait()
    server.release.set()
    n_killed = part.stat().st_size
    whole = {name for name in files_below(dest) if not name.endswith(".part")} - {"SHA256SUMS.txt"}
    server.sent.clear()
    summary = bring(server, dest)
    assert server.n_bytes(BIG) == BIG_BYTES - n_killed
    assert summary.n_kept == len(whole)
    assert not whole & {sent.name for sent in server.sent if sent.method == "GET"}
    assert files_below(dest) == wanted_files(original)


def wait_for_size(path: Path, n_bytes: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in looks(process):
        if path.exists() and path.stat().st_size >= n_bytes:
            return


def looks(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Look again and again while the process lives."""
    while True:
        yield
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the download ended with {process.returncode}")


def test_two_downloads_do_not_share_a_folder(server: FileServer, tmp_path: Path) -> None:
    server.held[BIG] = 500_000
    process = subprocess.Popen(command_line(server, tmp_path / "dest"), stdout=subprocess.DEVNULL)
    try:
        wait_for_size(tmp_path / "dest" / f"{BIG}.part", 1, process)
        with pytest.raises(DataError, match=r"is in use"):
            bring(server, tmp_path / "dest")
        os.kill(process.pid, 2)
        assert process.wait(PATIENCE_S) == 130
    finally:
        server.release.set()
        process.kill()
        process.wait()
