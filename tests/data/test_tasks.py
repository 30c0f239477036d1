"""Codes become classes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.sources.challenge import CINC26, ICBEB9
from mvkt_ray.data.tasks import (
    Task,
    codes_without_class,
    read_task,
    unknown_codes,
    unknown_codes_message,
)
from mvkt_ray.errors import ConfigError
from mvkt_ray.testing import TaskContract

TASK = Task.of_classes("t", {"MI": ["IMI", "AMI"], "CD": ["LBBB"], "ANY": ["IMI", "LBBB"]})
CODES = ["IMI", "AMI", "LBBB", "OTHER"]


def test_labels_by_hand() -> None:
    labels = TASK.labels([["IMI"], ["AMI", "LBBB"], ["OTHER"], []])
    assert TASK.classes == ("ANY", "CD", "MI")
    np.testing.assert_array_equal(labels, [[1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]])
    assert labels.dtype == np.float32


def test_a_present_code_counts_at_any_likelihood_unless_told_otherwise() -> None:
    codes, likelihoods = [["IMI", "LBBB"]], [[0.0, 50.0]]
    np.testing.assert_array_equal(TASK.labels(codes, likelihoods), [[1, 1, 1]])
    np.testing.assert_array_equal(TASK.labels(codes, likelihoods, 50.0), [[1, 1, 0]])
    np.testing.assert_array_equal(TASK.labels(codes, likelihoods, 50.1), [[0, 0, 0]])


@settings(max_examples=30)
@given(st.lists(st.lists(st.tuples(st.sampled_from(CODES), st.floats(0, 100))), max_size=8))
def test_labels_equal_the_definition(rows: list[list[tuple[str, float]]]) -> None:
    codes = [[code for code, _ in row] for row in rows]
    likelihoods = [[likelihood for _, likelihood in row] for row in rows]
    labels = TASK.labels(codes, likelihoods, 30.0)
    for row, marked in zip(rows, labels, strict=True):
        for name, value in zip(TASK.classes, marked, strict=True):
            has = any(x >= 30 and name in TASK.class_of_code.get(code, ()) for code, x in row)
            assert value == float(has)


class TestTasks(TaskContract):
    @pytest.fixture(params=[TASK, ICBEB9, CINC26], ids=lambda task: task.name)
    def task(self, request: pytest.FixtureRequest) -> Task:
        return request.param


def test_icbeb9_is_not_filtered_by_the_scored_classes() -> None:
    unscored = [["164884008"], ["429622005"], ["164931005"]]
    marked = [ICBEB9.classes[i] for i in ICBEB9.labels(unscored).argmax(axis=1)]
    assert marked == ["PVC", "STD", "STE"]
    assert ICBEB9.classes == ("Normal", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE")


def test_cinc26_has_thirty_codes_in_twenty_six_classes() -> None:
    assert len(CINC26.classes) == 26
    assert len(CINC26.class_of_code) == 30
    pairs = [("733534002", "164909002"), ("713427006", "59118001"), ("284470004", "63593006"),
             ("427172004", "17338001")]  # fmt: skip
    for one, other in pairs:
        assert CINC26.class_of_code[one] == CINC26.class_of_code[other]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text(text)
    return path


def test_a_users_task_keeps_the_order_of_its_classes(tmp_path: Path) -> None:
    path = write(tmp_path, "name: mine\nclasses:\n  RHY: [AFIB, 164889003]\n  CD: [1AVB]\n")
    task = read_task(path)
    assert task.name == "mine"
    assert task.classes == ("RHY", "CD")
    assert task.class_of_code == {"AFIB": ("RHY",), "164889003": ("RHY",), "1AVB": ("CD",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nclases:\n  A: [B]\n", "unknown key 'clases'.*did you mean 'classes'"),
        ("classes:\n  A: [B]\n", "`name` is None"),
        ("name: x\n", "`classes` is None"),
        ("name: x\nclasses:\n  A: B\n", "`classes.A` is 'B'"),
        ("name: x\nclasses:\n  A: []\n", r"`classes.A` is \[\]"),
        ("name: x\nclasses:\n  A: [no]\n", "False, which is not a code.*quotes"),
        ("name: x\nclasses:\n  NO: [A]\n", "key False, which is not a name.*quotes"),
        ("name: x\nclasses:\n  A: [B]\n  A: [C]\n", "given twice"),
        ("- just\n- a list\n", "keys to values"),
        ("name: [\n", "not YAML"),
        ("name: !!python/object/apply:os.getcwd []\nclasses: {A: [B]}\n", "not YAML"),
    ],
)
def test_a_mistake_in_a_task_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_task(write(tmp_path, text))
    assert "task.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_task_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        read_task(tmp_path / "nowhere.yaml")


def test_codes_that_do_not_occur_are_reported_with_the_nearest() -> None:
    counts = {"IMI": 3, "CLBBB": 2, "OTHER": 7, "AMI": 1, "RARE": 0}
    assert unknown_codes(TASK, counts) == ("LBBB",)
    assert "'LBBB' (nearest: 'CLBBB')" in str(unknown_codes_message(TASK, counts))
    assert unknown_codes_message(TASK, {"IMI": 1, "AMI": 1, "LBBB": 1}) is None
    assert codes_without_class([TASK], counts) == {"OTHER": 7, "CLBBB": 2}


def test_a_code_is_known_in_every_spelling(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\nclasses:\n  MI: [IMI, ' ami']\n  AF: [164889003]\n")
    task = read_task(path)
    codes = [["imi"], ["AMI "], ["164889003.0"], ["IM I"]]
    np.testing.assert_array_equal(task.labels(codes), [[1, 0], [1, 0], [0, 1], [0, 0]])
    assert unknown_codes(task, {"imi": 1, "Ami": 1, "164889003.0": 1}) == ()
    assert codes_without_class([task], {"imi": 1, "AMI": 2, "other": 3}) == {"other": 3}


@pytest.mark.parametrize("codes_of_class", [{}, {"A": []}])
def test_a_task_without_classes_or_codes_is_refused(codes_of_class: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigError, match="'t'"):
        Task.of_classes("t", codes_of_class)
