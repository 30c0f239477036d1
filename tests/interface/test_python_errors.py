import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mvkt_ray as mvkt
from mvkt_ray.interface.python_errors import converted_errors, without_flags


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("--max-cost must be above 0.", "max_cost must be above 0."),
        ("Go on by --resume, or give --out.", "Go on by resume=True, or give out."),
        ("Run `mvkt finalize x --again REASON`.", "Run `mvkt finalize x --again REASON`."),
        (
            "Leave --data out. Go on with it: mvkt search --resume --out x",
            "Leave data out. Go on with it: mvkt search --resume --out x",
        ),
        (
            "Run `mvkt finalize` first, or go by --from-search; then",
            "Run `mvkt finalize` first, or go by from_search=True; then",
        ),
        (
            "Check it; without --address, mvkt starts its own Ray.",
            "Check it; without address, mvkt starts its own Ray.",
        ),
        ("a -- b, x--y and ---", "a -- b, x--y and ---"),
    ],
)
def test_flags_are_arguments_but_those_of_a_command(said: str, expected: str) -> None:
    assert without_flags(said) == expected


@given(st.text(alphabet="a-b `:.\n"))
def test_what_is_written_as_arguments_stays_so(text: str) -> None:
    written = without_flags(text)
    assert without_flags(written) == written
    assert "--" in text or written == text


def test_an_error_keeps_its_type_and_what_it_says_besides() -> None:
    with pytest.raises(mvkt.RecordingError, match=r"^lead is flat") as error, converted_errors():
        raise mvkt.RecordingError("--lead is flat", "flat_lead")
    assert error.value.reason == "flat_lead"


def test_a_full_disk_is_the_machines_and_a_defect_stays_one() -> None:
    with pytest.raises(mvkt.MachineError), converted_errors():
        raise OSError(errno.ENOSPC, "No space left on device", "/x")
    with pytest.raises(ZeroDivisionError), converted_errors():
        _ = 1 / 0


WRONG: list[tuple[str, tuple[object, ...], dict[str, object], str]] = [
    ("search", ("s.yaml",), {"out": "x", "max_trails": 3}, "max_trails.*mean 'max_trials'"),
    ("search", ("s.yaml",), {}, "search: out: missing required"),
    ("search", ("s.yaml", "x"), {}, "search: give all arguments except study by name"),
    ("search", (5,), {"out": "x"}, "study: it must be one of str, Path, StudyConfig.*got 5"),
    ("search", ("s.yaml",), {"out": "x", "max_trials": "many"}, "max_trials: .*got 'many'"),
    ("ingest", ("wfdb", "x"), {"out": "y", "leads": "V5"}, "leads: .*got 'V5'"),
    ("ingest", ("wfdb", "x"), {"out": "y", "compression": "zip"}, "compression: .*got 'zip'"),
    ("finalize", (None,), {}, "finalize: study: .*got None"),
    ("open_study", (3,), {}, "open_study: path: it must be one of str, Path, got 3"),
    ("open_shards", (None,), {}, "open_shards: path: "),
    ("load_student", ("x", 5), {}, "load_student: lead: .*got 5"),
    ("plot_ecg", ("HR1",), {}, "plot_ecg: recording: .*got 'HR1'"),
    ("write_study", ("a", "x.yaml"), {}, "write_study: study: "),
]


@pytest.mark.parametrize(("name", "arguments", "options", "said"), WRONG)
def test_an_argument_of_a_wrong_name_or_type_is_one_sentence(
    name: str, arguments: tuple[object, ...], options: dict[str, object], said: str
) -> None:
    with pytest.raises(mvkt.ConfigError, match=said) as error:
        getattr(mvkt, name)(*arguments, **options)
    assert error.value.__cause__ is None


def test_numbers_of_a_table_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(mvkt.ConfigError, match="max_trials must be at least 1, got 0"):
        mvkt.search(
            mvkt.StudyConfig(name="a"),
            out=tmp_path,
            max_trials=np.int64(0),  # pyright: ignore[reportArgumentType]
        )
