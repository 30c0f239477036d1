"""`mvkt gc`: less on the disk, and every answer as before."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding

pytestmark = pytest.mark.usefixtures("without_images")


def answers(mvkt: Any, study: Path) -> list[Any]:
    """What the study says of itself, by every verb that only reads."""
    report = mvkt("report", study, "--json").json
    # When it was made is its own.
    facts = {key: value for key, value in report.items() if key != "made_at"}
    status = mvkt("status", study, "--trials", "--json").json
    intact = [mvkt("verify", study / name, "--json").json for name in ("teacher", "knowledge")]
    return [facts, status, intact]


def test_a_study_gives_the_same_answers_with_less_on_the_disk(
    mvkt: Any, study_dir: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(study_dir, study)
    go_on = ("search", "--resume", "--out", study, "--in-process", "--quiet", "--max-trials")
    assert mvkt(*go_on, 7).exit_code == 0
    finals = ("finalize", study, "--in-process", "--seeds", 1, "--refit", "--quiet")
    assert mvkt(*finals).exit_code == 0
    (study / "trials" / "00003" / "checkpoint.pt").write_bytes(b"of a killed process")
    before = answers(mvkt, study)
    there = set(study.rglob("*"))

    listed = mvkt("gc", study, "--json").json
    assert not listed["deleted"]
    assert set(study.rglob("*")) == there
    assert listed["size_bytes"] == sum(Path(file).stat().st_size for file in listed["files"])
    names = {Path(file).relative_to(study).parts[0] for file in listed["files"]}
    assert names == {"trials", "finals"}
    text = mvkt("gc", study)
    assert "checkpoints of trials that have ended" in text.stdout
    assert "Nothing was removed: --delete does that." in text.stdout

    removed = mvkt("gc", study, "--delete", "--json").json
    assert removed["files"] == listed["files"]
    assert not any(Path(file).exists() for file in removed["files"])
    assert "nothing that can be removed" in mvkt("gc", study, "--delete").stdout
    assert answers(mvkt, study) == before
    gone = next(int(Path(f).parts[-2]) for f in removed["files"] if f.endswith("safetensors"))
    assert mvkt("rerun", study, gone, "--json").json["equal"]
    assert mvkt(*go_on, 8).exit_code == 0
    ended = mvkt("status", study, "--json").json["trials"]
    assert [trial["state"] for trial in ended] == ["complete"] * 8


@pytest.mark.parametrize("flags", [(), ("--delete",)])
def test_a_study_that_is_driven_is_left_alone(
    mvkt: Any, study_dir: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    study = tmp_path / "study"
    shutil.copytree(study_dir, study)
    there = set(study.rglob("*"))
    with holding(Location.parse(study)):
        mvkt("gc", study, *flags).expect_wrong_input(str(study))
    assert set(study.rglob("*")) == there
