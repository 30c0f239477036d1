"""Patients whom only headers name: in shards they are numbers, and nothing else of them is."""

from pathlib import Path

import pytest

from mvkt_ray.data.identity import header_patient, is_header_patient
from mvkt_ray.data.ingest import ingest_finish
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ArtifactError
from mvkt_ray.storage.artifacts import partial_location
from mvkt_ray.storage.sealed import unsealed_json
from tests.hospital_files import write_dicom, write_edf
from tests.hospital_xml import (
    PATIENT_ID,
    PERSON,
    aecg_text,
    muse_lead,
    muse_text,
    muse_waveform,
    twelve,
    write_xml,
)
from tests.object_store import S3Server

SETTINGS = IngestSettings(rows_per_shard=3, n_folds=3)
N_FILES = 8


def make(name: str, folder: Path) -> Path:
    """Write files of four patients, and some that are damaged."""
    leads = "".join(muse_lead(lead, each, step_uv=1) for lead, each in twelve().items())
    for number in range(N_FILES):
        person = f"{PATIENT_ID}{number % 4}"
        if name == "dicom":
            write_dicom(folder / f"r{number}.dcm", PatientID=person)
        elif name == "edf":
            write_edf(folder / f"r{number}.edf", patientcode=person)
        else:
            text = aecg_text() if name == "aecg" else muse_text(muse_waveform(leads))
            write_xml(folder / f"r{number}.xml", text.replace(PATIENT_ID, person))
    first = min(folder.iterdir())
    whole = first.read_bytes()
    for number, cut in enumerate((50, len(whole) // 3, len(whole) - 40)):
        (folder / f"x{number}{first.suffix}").write_bytes(whole[:cut])
    harmed = whole.replace(b"19440229", b"1944022\xff").replace(b"29-FEB-1944", b"29-FEB-194\xff")
    (folder / f"y{first.suffix}").write_bytes(harmed.replace(b"0.01", b"Quackenbush"))
    return folder


@pytest.mark.parametrize("name", ["dicom", "edf", "aecg", "muse"])
def test_nothing_of_a_person_in_the_headers_is_in_the_shards(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = open_source(name, str(make(name, tmp_path / "data")), {})
    manifest = ingest(source, str(tmp_path / "shards"), SETTINGS)
    assert manifest.counts["n_quarantined"] >= 2
    texts = {path: path.read_bytes() for path in (tmp_path / "shards").rglob("*") if path.is_file()}
    texts[Path("terminal")] = "".join((*capfd.readouterr(), caplog.text)).encode()
    hashed = header_patient(f"{PATIENT_ID}0")
    assert hashed is not None
    for path, content in texts.items():
        found = [word for word in (*PERSON, hashed) if word.lower().encode() in content.lower()]
        assert not found, path
    patients = open_shards(tmp_path / "shards").patient_ids().tolist()
    assert {patients[number] for number in range(4)} == {
        f"header patient {number}" for number in (1, 2, 3, 4)
    }
    assert patients[4:N_FILES] == patients[:4]


def test_the_patients_of_headers_are_in_one_fold_each(tmp_path: Path) -> None:
    source = open_source("dicom", str(make("dicom", tmp_path / "data")), {})
    ingest(source, str(tmp_path / "shards"), SETTINGS)
    shards = open_shards(tmp_path / "shards")
    pairs = set(zip(shards.patient_ids().tolist(), shards.folds().tolist(), strict=True))
    assert len(pairs) == 4
    again = ingest(source, str(tmp_path / "again"), SETTINGS)
    assert again.fingerprint == shards.manifest.fingerprint


def test_an_ingest_that_was_killed_while_it_numbered_goes_on_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source("dicom", str(make("dicom", tmp_path / "data")), {})
    whole = ingest(source, str(tmp_path / "whole"), SETTINGS)
    write, calls = ingest_finish.write_folds, []

    def killed_at_the_third(plan: object, item: object) -> object:
        calls.append(item)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(plan, item)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(ingest_finish, "write_folds", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        ingest(source, str(tmp_path / "shards"), SETTINGS)
    monkeypatch.undo()
    [kept] = (tmp_path / "shards.partial" / ".work").glob("patients-*.json")
    whole_list = kept.read_bytes()
    assert all(is_header_patient(each) for each in unsealed_json(whole_list)["patients"])
    kept.write_bytes(whole_list.replace(b"0", b"1"))
    with pytest.raises(
        ArtifactError, match=r"patients-.*does not match the hash.*Remove .*partial"
    ):
        ingest(source, str(tmp_path / "shards"), SETTINGS, resume=True)
    kept.write_bytes(whole_list)
    resumed = ingest(source, str(tmp_path / "shards"), SETTINGS, resume=True)
    assert resumed.fingerprint == whole.fingerprint
    assert not list((tmp_path / "shards").rglob("patients-*.json"))


def test_shards_in_a_store_have_the_same_numbers_and_nothing_is_left_beside_them(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "cache"))
    source = open_source("edf", str(make("edf", tmp_path / "data")), {})
    out = s3_server.make_bucket("data") / "shards"
    far, near = ingest(source, out, SETTINGS), ingest(source, str(tmp_path / "shards"), SETTINGS)
    assert far.fingerprint == near.fingerprint
    assert partial_location(out).names() == []


def test_patients_of_a_table_are_kept_as_they_are(tmp_path: Path) -> None:
    folder = make("aecg", tmp_path / "data")
    rows = "".join(f"r{number},p{number % 4},AF\n" for number in range(N_FILES))
    (folder / "labels.csv").write_text(f"record,patient_id,codes\n{rows}")
    ingest(open_source("aecg", str(folder), {}), str(tmp_path / "shards"), SETTINGS)
    patients = open_shards(tmp_path / "shards").patient_ids().tolist()
    assert patients == [f"p{number % 4}" for number in range(N_FILES)]
