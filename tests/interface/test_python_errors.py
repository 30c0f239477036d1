import errno

import pytest

import mvkt_ray as mvkt
from mvkt_ray.interface.python_errors import told_to_python, without_flags


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
        ("a -- b, x--y and ---", "a -- b, x--y and ---"),
    ],
)
def test_flags_are_arguments_but_those_of_a_command(said: str, expected: str) -> None:
    assert without_flags(said) == expected


def test_an_error_keeps_its_type_and_what_it_says_besides() -> None:
    with pytest.raises(mvkt.RecordingError, match=r"^lead is flat") as error, told_to_python():
        raise mvkt.RecordingError("--lead is flat", "flat_lead")
    assert error.value.reason == "flat_lead"


def test_a_full_disk_is_the_machines_and_a_defect_stays_one() -> None:
    with pytest.raises(mvkt.MachineError), told_to_python():
        raise OSError(errno.ENOSPC, "No space left on device", "/x")
    with pytest.raises(ZeroDivisionError), told_to_python():
        _ = 1 / 0
