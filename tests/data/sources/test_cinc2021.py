"""The Challenge of 2021: eight databases, and headers of every kind seen in them."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.sources.challenge import challenge_facts
from mvkt_ray.data.sources.cinc2021 import Cinc2021
from mvkt_ray.errors import ConfigError, DataError, RecordingError

WriteRecord = Callable[..., Path]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Recording]:
    source = Cinc2021(location=str(shared_data / "cinc2021"))
    return [source.read(ref) for ref in source.references(500)]


def readme_table(shared_data: Path, first_cell: str) -> list[list[str]]:
    """Return the rows of the README's table whose header begins with this cell."""
    lines = (shared_data / "cinc2021" / "README.md").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines[start:]]
    return [rows[0], *rows[2 : next(i for i, row in enumerate(rows) if len(row) == 1)]]


def database(recording: Recording) -> str:
    return recording.source.removeprefix("cinc2021/")


def test_label_counts_are_those_of_the_readme(real: list[Recording], shared_data: Path) -> None:
    header, *rows = readme_table(shared_data, "code")
    found: Counter[tuple[str, str]] = Counter()
    for recording in real:
        for code in recording.codes:
            found[code, database(recording)] += 1
            found[code, "all"] += 1
    assert len(rows) > 45
    assert {row[0] for row in rows} == {code for code, _ in found}
    for row in rows:
        wanted = {name: int(n or 0) for name, n in zip(header[2:], row[2:], strict=True)}
        assert {name: found[row[0], name] for name in header[2:]} == wanted, row[1]


def test_every_database_is_read_with_its_rate_and_lengths(
    real: list[Recording], shared_data: Path
) -> None:
    for name, n, rate_hz, seconds, n_several in readme_table(shared_data, "source")[1:]:
        mine = [recording for recording in real if database(recording) == name]
        lengths_s = [r.signal_mv.shape[1] / r.sampling_rate_hz for r in mine]
        low, high = (float(text) for text in seconds.split("-"))
        assert len(mine) == int(n)
        assert {r.sampling_rate_hz for r in mine} == {float(rate_hz)}
        assert min(lengths_s) == pytest.approx(low)
        assert max(lengths_s) == pytest.approx(high)
        assert sum(len(r.codes) > 1 for r in mine) == int(n_several)


def test_facts_that_the_readme_states(real: list[Recording]) -> None:
    of = {recording.record_id: recording for recording in real}
    assert Counter(r.sex for r in real) == {"female": 129, "male": 120}
    assert {r.record_id for r in real if r.age is None} == {"E00001", "E00002"}
    np.testing.assert_array_equal(of["E07509"].signal_mv, of["E07510"].signal_mv)
    assert np.abs(of["A0061"].signal_mv).max() == pytest.approx(11.8, abs=0.05)
    flat = [lead for lead, row in zip(of["JS20008"].leads, of["JS20008"].signal_mv, strict=True)
            if np.ptp(row) == 0]  # fmt: skip
    assert flat == ["V2", "V4", "V6"]
    assert all(r.patient_id == r.record_id and r.fold is None for r in real)


def test_real_signals_equal_an_independent_decoding(
    real: list[Recording], shared_data: Path
) -> None:
    files = {path.stem: path for path in (shared_data / "cinc2021").rglob("*.mat")}
    for recording in real[::10]:
        raw = np.fromfile(files[recording.record_id], dtype="<i2", offset=24).reshape(-1, 12).T
        np.testing.assert_array_equal(np.rint(recording.signal_mv * 1000), raw)


def test_ptbxl_records_are_those_of_ptbxl(real: list[Recording], shared_data: Path) -> None:
    raw = np.fromfile(shared_data / "ptbxl/records500/00000/00001_hr.dat", dtype="<i2")
    mine = next(recording for recording in real if recording.record_id == "HR00001")
    np.testing.assert_array_equal(np.rint(mine.signal_mv * 1000), raw.reshape(-1, 12).T)


@pytest.mark.parametrize(
    ("comments", "codes"),
    [
        (["Dx: 59118001,284470004"], ("59118001", "284470004")),
        (["Dx:59118001 , 284470004"], ("59118001", "284470004")),
        (["Dx: RBBB"], ("59118001",)),
        (["Dx: I-AVB,PVC"], ("270492004", "164884008")),
        (["Dx: 427084000,"], ("427084000",)),
        (["Dx: 427084000,,164934002,,"], ("427084000", "164934002")),
        (["Dx: 284470004,284470004,426783006"], ("284470004", "426783006")),
        (["Dx: RBBB,59118001"], ("59118001",)),
        (["Dx: 6180003"], ("6180003",)),
        (["Dx: something new"], ("something new",)),
        (["Dx:"], ()),
        (["Dx: 427084000", "Age: 5", "Dx: 164934002"], ("427084000", "164934002")),
        (["Dx: 427084000.0"], ("427084000",)),
        (["Hx: Unknown"], ()),
    ],
)
def test_labels_of_every_kind_of_header(comments: Sequence[str], codes: tuple[str, ...]) -> None:
    assert challenge_facts(comments).codes == codes


@pytest.mark.parametrize(
    ("text", "age"), [("74", 74.0), ("NaN", None), ("", None), ("-1", None), ("300", 90.0)]
)
def test_ages(text: str, age: float | None) -> None:
    assert challenge_facts([f"Age: {text}"]).age == age


@pytest.mark.parametrize(
    ("text", "sex"), [("Male", "male"), ("F", "female"), ("Unknown", None), ("NaN", None)]
)
def test_sexes(text: str, sex: str | None) -> None:
    assert challenge_facts([f"Sex: {text}"]).sex == sex


GEORGIA_OF_2020 = """\
E1.mat 12 500 {n} 05-May-2020 14:50:55
{leads}
#Age: NaN
#Sex: Female
# Dx: 426783006,
"""


@pytest.mark.parametrize(
    "signal_line",
    ["16+24 1000/mV 16 0 0 0 0", "16x1+24 1000.0(0)/mv 16 0 -1 0 0"],
)
def test_headers_of_every_form_are_read(tmp_path: Path, signal_line: str) -> None:
    folder = tmp_path / "training" / "georgia" / "g1"
    folder.mkdir(parents=True)
    raw = np.arange(12 * 50, dtype="<i2").reshape(50, 12)
    (folder / "E1.mat").write_bytes(b"\0" * 24 + raw.tobytes())
    names = "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split()
    lines = "\n".join(f"E1.mat {signal_line} {name}" for name in names)
    (folder / "E1.hea").write_text(GEORGIA_OF_2020.format(n=50, leads=lines))
    source = Cinc2021(location=str(tmp_path))
    recording = source.read(next(source.references(500)))
    np.testing.assert_allclose(recording.signal_mv, raw.T / 1000, atol=1e-6)
    assert recording.source == "cinc2021/georgia"
    assert recording.codes == ("426783006",)
    assert (recording.age, recording.sex) == (None, "female")


@pytest.fixture
def tree(tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording) -> Path:
    for name, record_id in [("georgia", "E2"), ("georgia", "E1"), ("ningbo", "JS9")]:
        subfolder = tmp_path / "training" / name / "g1"
        write_record(subfolder, record_id, synthetic_recording.signal_mv, 500, comments=["Dx: AF"])
    return tmp_path


def listed(location: Path, **options: tuple[str, ...]) -> list[str]:
    source = Cinc2021(location=str(location), **options)
    return [ref.record_id for ref in source.references(500)]


def test_databases_are_found_from_each_folder_above_them(tree: Path) -> None:
    assert listed(tree) == listed(tree / "training") == ["E1", "E2", "JS9"]
    assert listed(tree / "training" / "ningbo") == ["JS9"]


def test_databases_are_chosen_and_skipped(tree: Path) -> None:
    assert listed(tree, only=("ningbo",)) == listed(tree, skip=("georgia",)) == ["JS9"]
    with pytest.raises(DataError, match=r"lacks the database 'ptb'.*georgia, ningbo"):
        listed(tree, only=("ptb",))
    with pytest.raises(DataError, match="`skip` excludes all databases"):
        listed(tree, skip=("georgia", "ningbo"))
    with pytest.raises(ConfigError, match=r"'gorgia'.*did you mean 'georgia'"):
        listed(tree, skip=("gorgia",))


def test_a_signal_without_a_header_is_listed_and_says_what_is_missing(tree: Path) -> None:
    (tree / "training" / "ningbo" / "g1" / "JS10.mat").write_bytes(b"")
    source = Cinc2021(location=str(tree))
    ref = next(ref for ref in source.references(500) if ref.record_id == "JS10")
    with pytest.raises(RecordingError) as caught:
        source.read(ref)
    assert caught.value.reason == "missing_file"


def test_another_folder_is_not_the_challenge(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("is not the training data of the Challenge")):
        listed(tmp_path)


def test_folders_behind_links_are_entered_and_hidden_files_are_no_records(
    tree: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    elsewhere = tree / "other_disk" / "g2"
    write_record(elsewhere, "E3", synthetic_recording.signal_mv, 500, comments=["Dx: AF"])
    georgia = tree / "training" / "georgia"
    (georgia / "g2").symlink_to(elsewhere)
    (georgia / "again").symlink_to(georgia / "g1")
    (georgia / "g1" / "loop").symlink_to(georgia)
    (georgia / "g1" / "._E1.hea").write_bytes(b"of macOS")
    assert listed(tree) == ["E1", "E2", "E3", "JS9"]


def test_one_id_in_two_databases_is_refused_and_both_are_named(
    tree: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    write_record(tree / "training" / "ptb" / "g1", "JS9", synthetic_recording.signal_mv, 500)
    with pytest.raises(DataError, match=r"'JS9': .*/ptb/g1/JS9 and .*/ningbo/g1/JS9"):
        listed(tree)


def test_records_beside_the_databases_are_counted(
    tree: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    assert Cinc2021(location=str(tree)).not_listed(500).n_records == 0
    write_record(tree / "training" / "Georgia" / "g1", "E9", synthetic_recording.signal_mv, 500)
    for location in (tree, tree / "training"):
        left = Cinc2021(location=str(location), skip=("ningbo",)).not_listed(500)
        assert (left.n_records, left.examples) == (1, ("Georgia/g1/E9",))
    assert Cinc2021(location=str(tree / "training" / "ningbo")).not_listed(500).n_records == 0
