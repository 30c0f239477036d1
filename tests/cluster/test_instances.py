"""A user's table of machines: every mistake is named by its line."""

from pathlib import Path

import pytest

from mvkt_ray.cluster_files.instances import COLUMNS, read_instances
from mvkt_ray.errors import ConfigError

HEADER = ",".join(COLUMNS)


def test_comments_are_no_machines(tmp_path: Path) -> None:
    table = tmp_path / "machines.csv"
    table.write_text(f'# our "own"\n{HEADER}\n\n# big, fast\naws,a,2,8,0,,0.1\ngcp,a,4,8,0,,\n')
    machines = read_instances(table, "aws")
    assert list(machines) == ["a"]
    assert (machines["a"].node.cpus, machines["a"].price_per_hour) == (2, 0.1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("aws,a,2,8,0,,0.1\naws,a,4,8,0,,0.2\n", "line 4: the machine 'a' of aws is in an earlier"),
        ("aws,a,2,8,0,,0,1\n", "line 3 has 8 cells, more than the 7 columns"),
        ("aws,a,2,8,0\n", "line 3 has 5 cells, fewer than the 7"),
        ("aws,a,two,8,0,,0.1\n", "line 3: the row of 'a' is wrong"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path: Path, rows: str, message: str) -> None:
    table = tmp_path / "machines.csv"
    table.write_text(f"# ours\n{HEADER}\n{rows}")
    with pytest.raises(ConfigError, match=message):
        read_instances(table, "aws")


def test_a_table_that_is_not_there_is_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"machines\.csv cannot be read"):
        read_instances(tmp_path / "machines.csv", "aws")
