"""Tiny datasets in the layouts of the real ones, for tests: three recordings each."""

import hashlib
from pathlib import Path

import numpy as np

from mvkt_ray.data.recording import LEADS

N_SAMPLES, RATE_HZ = 300, 100
SIGNAL_MV = np.round(np.random.default_rng(0).normal(0, 0.5, size=(12, N_SAMPLES)), 3)
HEADER_LEADS = ("III", "v1", "I", "II", "AVR", "avl", "AVF", "V6", "V5", "V4", "V3", "V2")
"""In another order and spelling than ours, as files may have them."""


def write_record(folder: Path, name: str, leads: tuple[str, ...], comments: str = "") -> None:
    """Write header and 16-bit samples by hand, from the format's manual."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {lead.lower(): row for lead, row in zip(LEADS, SIGNAL_MV, strict=True)}
    digital = np.rint([rows[lead.lower()] * 1000 for lead in leads]).astype("<i2")
    (folder / f"{name}.dat").write_bytes(digital.T.tobytes())
    lines = [f"{name} {len(leads)} {RATE_HZ} {N_SAMPLES}"]
    lines += [f"{name}.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in leads]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n" + comments)


def make_ptbxl(folder: Path) -> None:
    header = "ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr\n"
    rows = ""
    for number in (1, 2, 3):
        write_record(folder / "records100", f"{number}_lr", HEADER_LEADS)
        codes = "\"{'NORM': 100.0, 'SR': 0.0}\""
        rows += f"{number},{number % 2}.0,5{number}.0,1,{codes},{number},"
        rows += f"records100/{number}_lr,records500/{number}_hr\n"
    (folder / "ptbxl_database.csv").write_text(header + rows)
    (folder / "scp_statements.csv").write_text(
        ",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n"
        "NORM,normal,1.0,,,NORM,NORM\nSR,sinus,,,1.0,,\nPVC,ectopic,,1.0,,,\n"
    )


def make_cpsc2018(folder: Path) -> None:
    for number in (1, 2, 3):
        subfolder = folder / "training" / "cpsc_2018" / "g1"
        write_record(subfolder, f"A000{number}", HEADER_LEADS, "#Age: 51\n#Sex: Female\n#Dx: AF\n")


def make_cinc2021(folder: Path) -> None:
    for number in (1, 2, 3):
        subfolder = folder / "training" / "georgia" / "g1"
        write_record(
            subfolder, f"E0000{number}", HEADER_LEADS, "# Age: 51\n# Sex: F\n# Dx: 164889003,"
        )


def make_wfdb(folder: Path) -> None:
    for number in (1, 2, 3):
        write_record(folder, f"r{number}", HEADER_LEADS)
    rows = "".join(f"r{n},p{n},51,F,{n},AFIB;LVH\n" for n in (1, 2, 3))
    (folder / "labels.csv").write_text("record,patient_id,age,sex,fold,codes\n" + rows)


def write_sums(folder: Path) -> None:
    """As PhysioNet writes it: one blank, names relative to the root."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "SHA256SUMS.txt"
    ]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))
