"""YAML with anchors: as many values as a person writes, and no more."""

from pathlib import Path

import pytest

from mvkt_ray.config.study_file import read_mapping
from mvkt_ray.errors import ConfigError


def read(folder: Path, text: str) -> object:
    path = folder / "file.yaml"
    path.write_text(text)
    return read_mapping(path)


def test_anchors_may_be_used_again(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &a {low: 1}\nb: *a\nc: [*a, *a]\n") == {
        "a": {"low": 1},
        "b": {"low": 1},
        "c": [{"low": 1}, {"low": 1}],
    }


def test_aliases_of_aliases_take_no_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match=r"file\.yaml is not YAML: its aliases come to more than"):
        read(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: [*a]}"])
def test_a_value_is_no_part_of_itself(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="a part of itself"):
        read(tmp_path, text)
