"""Files as hospitals export them, made by other programs than those that read them here.

Every file is full of a person: names, birth dates, numbers, places. None of that may be found in
shards; `PERSON` is what to look for.
"""

import datetime
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvkt_ray.data.recording import LEADS
from tests.hospital_xml import (
    PATIENT_ID,
    Signals,
    aecg_text,
    muse_lead,
    muse_text,
    muse_waveform,
    twelve,
    write_xml,
)
from tests.tiny_datasets import RATE_HZ, SIGNAL_MV


def dicom_group(
    signals: Signals,
    *,
    rate_hz: float = RATE_HZ,
    unit: str | None = "uV",
    step_uv: float = 1.0,
    **elements: object,
) -> Any:
    """Return an item of a waveform sequence, 16 bits; `elements` replace those of the group."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    numbers = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64}
    numbers |= {f"V{number}": number + 2 for number in range(1, 7)}
    group = Dataset()
    n_samples = len(next(iter(signals.values())))
    group.MultiplexGroupTimeOffset = 0
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = len(signals)
    group.NumberOfWaveformSamples = n_samples
    group.SamplingFrequency = rate_hz
    group.MultiplexGroupLabel = "RHYTHM"
    channels = []
    for lead in signals:
        channel = Dataset()
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = f"2:{numbers[lead]}", "MDC"
        code.CodeMeaning = f"Lead {lead}"
        channel.ChannelSourceSequence = Items([code])
        channel.ChannelSensitivity = step_uv
        if unit is not None:
            of_unit = Dataset()
            of_unit.CodeValue, of_unit.CodingSchemeDesignator = unit, "UCUM"
            of_unit.CodeMeaning = unit
            channel.ChannelSensitivityUnitsSequence = Items([of_unit])
        channel.ChannelSensitivityCorrectionFactor = 1
        channel.ChannelBaseline = 0
        channel.ChannelTimeSkew = 0
        channel.WaveformBitsStored = 16
        channels.append(channel)
    group.ChannelDefinitionSequence = Items(channels)
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    stored = np.rint(np.stack(list(signals.values())) * 1000 / step_uv).astype("<i2")
    group.add_new(0x54001010, "OW", stored.T.tobytes())
    for name, value in elements.items():
        setattr(group, name, value)
    return group


def write_dicom(path: Path, groups: Sequence[Any] | None = None, **elements: object) -> Path:
    """Write a 12-lead ECG by pydicom; `elements` replace those of the file."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = TwelveLeadECGWaveformStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset.file_meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = "ECG"
    dataset.PatientName = "Quackenbush^Wilhelmina"
    dataset.PatientID, dataset.PatientSex = PATIENT_ID, "F"
    dataset.PatientBirthDate, dataset.PatientAge = "19440229", "051Y"
    dataset.PatientAddress = "Rosengasse 7"
    dataset.ReferringPhysicianName = "Thistlewood"
    dataset.StudyDate = dataset.AcquisitionDateTime = "20190701"
    dataset.WaveformSequence = Items(groups if groups is not None else [dicom_group(twelve())])
    for name, value in elements.items():
        setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_edf(
    path: Path,
    signals: Signals | None = None,
    *,
    rates_hz: Mapping[str, int] | None = None,
    unit: str = "uV",
    label: str = "ECG {}",
    **header: object,
) -> Path:
    """Write EDF+ or BDF+ by pyedflib, whose C knows nothing of the reader's Python."""
    import pyedflib

    path.parent.mkdir(parents=True, exist_ok=True)
    signals = twelve() if signals is None else signals
    is_bdf = path.suffix == ".bdf"
    kind = pyedflib.FILETYPE_BDFPLUS if is_bdf else pyedflib.FILETYPE_EDFPLUS
    top = 8_000_000 if is_bdf else 8_000
    per_mv = {"uV": 1000.0, "mV": 1.0, "V": 1e-3, "nV": 1e6}.get(unit, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts that are cut
        writer: Any = pyedflib.EdfWriter(str(path), len(signals), file_type=kind)
        with writer:
            facts = {
                "patientname": "Wilhelmina Quackenbush", "patientcode": PATIENT_ID, "sex": 0,
                "birthdate": datetime.date(1944, 2, 29), "technician": "Thistlewood",
                "patient_additional": "Rosengasse",
                "recording_additional": "", "equipment": "", "admincode": "",
                "startdate": datetime.datetime(2019, 7, 1, 12),
            } | header  # fmt: skip
            writer.setHeader(facts)
            writer.setSignalHeaders([
                {
                    "label": label.format(name), "dimension": unit,
                    "sample_frequency": (rates_hz or {}).get(name, RATE_HZ),
                    "physical_min": -8 * per_mv, "physical_max": 8 * per_mv,
                    "digital_min": -top, "digital_max": top, "transducer": "", "prefilter": "",
                }
                for name in signals
            ])  # fmt: skip
            digital = [np.rint(each * top / 8).astype(np.int32) for each in signals.values()]
            writer.writeSamples(digital, digital=True)
    return path


def write_table(path: Path, signals: Signals) -> Path:
    """Write a file of microvolts, by its suffix: `.csv`, `.parquet` or `.npy`."""
    import pandas as pd

    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({lead: np.rint(each * 1000) for lead, each in signals.items()})
    if path.suffix == ".npy":
        np.save(path, frame.to_numpy().T)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


TABLE_OPTIONS = {"rate_hz": RATE_HZ, "unit": "uV", "leads": LEADS}


def write_labels(folder: Path, suffix: str) -> None:
    """Write a table of three recordings."""
    rows = "".join(f"r{n}{suffix},p{n},51,F,{n},AFIB;LVH\n" for n in (1, 2, 3))
    (folder / "labels.csv").write_text("record,patient_id,age,sex,fold,codes\n" + rows)


def make_dicom(folder: Path) -> None:
    for number in (1, 2, 3):
        write_dicom(folder / f"r{number}.dcm")
    write_labels(folder, ".dcm")


def make_edf(folder: Path) -> None:
    for name in ("r1.edf", "r2.bdf", "r3.edf"):
        write_edf(folder / name)
    write_labels(folder, "")


def make_aecg(folder: Path) -> None:
    for number in (1, 2, 3):
        write_xml(folder / f"r{number}.xml", aecg_text())
    write_labels(folder, ".xml")


def make_muse(folder: Path) -> None:
    leads = "".join(muse_lead(lead, each, step_uv=1) for lead, each in twelve().items())
    for number in (1, 2, 3):
        write_xml(folder / f"r{number}.xml", muse_text(muse_waveform(leads)))
    write_labels(folder, ".xml")


def make_table(folder: Path) -> None:
    for name in ("r1.csv", "r2.parquet", "r3.npy"):
        write_table(folder / name, twelve())
    write_labels(folder, "")


def write_rows(path: Path, columns: Mapping[str, Any], names: Sequence[str] = ()) -> Path:
    """Write rows as the library of Hugging Face does; `names` are those of `label`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    if names:
        info = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path, row_group_size=2)
    return path


def make_parquet(folder: Path) -> None:
    for number in (1, 2, 3):
        facts = {"patient_id": f"p{number}", "age": 51, "sex": "F", "fold": number}
        columns = {"signal": (SIGNAL_MV * 1000).tolist(), "sampling_rate": RATE_HZ, "label": 1}
        rows = {name: [value] for name, value in (facts | columns).items()}
        write_rows(folder / "data" / f"train-0000{number}-of-00003.parquet", rows, ["N", "AFIB"])


OPTIONS: Mapping[str, Mapping[str, object]] = {
    "table": TABLE_OPTIONS,
    "parquet": {"unit": "uV", "leads": LEADS, "codes": "label"},
}

MAKE = {
    "dicom": make_dicom, "edf": make_edf, "aecg": make_aecg, "muse": make_muse, "table": make_table,
    "parquet": make_parquet,
}  # fmt: skip
