import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.data.recording import LEADS
from mvkt_ray.delivery.predicting.model_file import ModelClass, ModelFile
from tests.delivery.predicting.model_values import model_class, model_file

NUMBERS = st.floats(min_value=1e-6, max_value=1e6)


@given(
    leads=st.lists(st.sampled_from(LEADS), min_size=1, unique=True).map(tuple),
    length=st.sampled_from(["dynamic", "fixed"]),
    window_samples=st.integers(1, 10_000),
    std_mv=NUMBERS,
    temperature=NUMBERS,
    threshold=st.none() | NUMBERS,
)
def test_what_is_written_is_read_back(threshold: float | None, **changes: Any) -> None:
    classes = (model_class("MI", (), threshold), model_class("STTC", ("a", "b"), 0.5))
    model = model_file(classes=classes, **changes)
    assert ModelFile.from_json(model.to_json()) == model


def test_the_file_states_shapes_and_names_of_the_graph() -> None:
    value = json.loads(model_file(leads=("I", "V5")).to_json())
    assert value["schema_version"] == 1
    assert value["input"] == {
        "name": "signal_mv",
        "dtype": "float32",
        "shape": ["batch", 2, "samples"],
    }
    assert value["output"] == {"name": "probabilities", "shape": ["batch", 2]}
    assert (value["unit"], value["join"], value["shorter"]) == ("mV", "max", "repeat")
    fixed = json.loads(model_file(length="fixed").to_json())
    assert fixed["input"]["shape"] == ["batch", 1, 250]


def test_thresholds_are_found_by_what_they_were_chosen_for() -> None:
    each = {"f1": 0.5, "sensitivity_0.95": 0.1, "specificity_0.90": None}
    model = model_file(classes=(ModelClass(name="MI", codes=(), thresholds=each),))
    assert model.thresholds("f1") == (0.5,)
    assert model.thresholds("sensitivity") == (0.1,)
    assert model.thresholds("specificity") == (None,)
    assert model.class_names == ("MI",)


CLASS = model_class("MI", (), 0.5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"leads": ()}, "distinct leads of the twelve"),
        ({"leads": ("V5", "V5")}, "distinct leads of the twelve"),
        ({"leads": ("V9",)}, "distinct leads of the twelve"),
        ({"sampling_rate_hz": 0}, "sampling_rate_hz is 0"),
        ({"stride_samples": 0}, "stride_samples is 0"),
        ({"std_mv": 0.0}, "std_mv is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"mean_mv": float("inf")}, "mean_mv is inf"),
        ({"length": "any"}, "length is 'any'"),
        ({"classes": ()}, "distinct names"),
        ({"classes": (CLASS, CLASS)}, "distinct names"),
        ({"classes": (dataclasses.replace(CLASS, thresholds={"f1": 0.5}),)}, "one for each"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        model_file(**changes)


def set_in(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        inner: Any = value
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to

    return change


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.pop(key)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_in("schema_version", to=2), "schema version 2, but this mvkt-ray reads 1"),
        (set_in("window_samples", to=250.0), "window_samples is 250.0"),
        (set_in("window_samples", to=True), "window_samples is True"),
        (set_in("leads", to="V5"), "leads is 'V5'"),
        (set_in("extra", to=1), "unknown key extra"),
        (set_in("classes", 1, "extra", to=1), "unknown key classes.1.extra"),
        (set_in("unit", to="uV"), "unit is 'uV', but the rest says 'mV'"),
        (set_in("join", to="mean"), "join is 'mean'"),
        (set_in("input", "shape", to=["batch", 3, "samples"]), "input.shape.1 is 3"),
        (set_in("output", "shape", to=["batch"]), "output.shape is"),
        (set_in("classes", 0, "thresholds", "f1", to="0.3"), "threshold f1 is '0.3'"),
        (set_in("made_from", "examined", to=1), "examined is 1"),
        (without("join"), "it has no join"),
        (without("leads"), "leads"),
    ],
)
def test_another_file_is_refused(change: Callable[[dict[str, Any]], None], text: str) -> None:
    value = json.loads(model_file().to_json())
    change(value)
    with pytest.raises((ValueError, KeyError), match=text):
        ModelFile.from_json(json.dumps(value).encode())
