"""`model.json`: input, output and origin of an exported model.

Export writes it with `ModelFile.to_json`, predict reads it with `ModelFile.from_json`; `predict.py`
beside it reads the same file without this package.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from mvkt_ray.data.recording import LEADS

MODEL_KIND = "model"
MODEL_NAME = "model.json"
ONNX_NAME = "model.onnx"
INT8_NAME = "model.int8.onnx"
PREDICT_NAME = "predict.py"
INPUT_NAME = "signal_mv"
OUTPUT_NAME = "probabilities"

MODEL_SCHEMA_VERSION = 1
_CONSTANTS = {"unit": "mV", "join": "max", "shorter": "repeat"}
"""Constant values, stated for readers of the file."""

THRESHOLD_KINDS = ("f1", "sensitivity", "specificity")
"""Targets of thresholds on validation; names of the last two end in the target value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelClass:
    """One class of the model's output."""

    name: str
    codes: tuple[str, ...]
    """Label codes of the class."""
    thresholds: Mapping[str, float | None]
    """Thresholds of the probability by target: `f1`, `sensitivity_0.90`; None if validation had too
    few positives or negatives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeFrom:
    """The training of the model's weights."""

    study: str
    study_fingerprint: str
    contender: str | None
    """None for a trial of the search."""
    repetition: int | None
    trial: int
    examined: bool
    """Whether it was examined on the test split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFile:
    """Description of an exported model.

    Its graph maps signals in mV, float32 `[batch, n_leads, samples]`, to probabilities, float32
    `[batch, n_classes]`.

    Raises:
        ValueError: A value is invalid; the message is a clause with the value.
    """

    name: str
    leads: tuple[str, ...]
    """Leads in the order of the graph's input."""
    sampling_rate_hz: int
    window_samples: int
    stride_samples: int
    """Distance between the beginnings of windows; the last window ends with the recording."""
    length: Literal["dynamic", "fixed"]
    """Whether the graph accepts inputs longer than a window."""
    mean_mv: float
    std_mv: float
    """Standard deviation of the input scaling, which, with `mean_mv`, is part of the graph."""
    mv_per_bit: float
    """Resolution to which recordings are rounded before training and prediction."""
    classes: tuple[ModelClass, ...]
    temperature: float
    """Temperature of the calibrated probability, sigmoid(logit(probability) / temperature)."""
    versions: Mapping[str, str]
    made_from: MadeFrom

    def __post_init__(self) -> None:
        wrong = [lead for lead in self.leads if lead not in LEADS]
        if wrong or not self.leads or len(set(self.leads)) < len(self.leads):
            raise ValueError(f"its leads {list(self.leads)} are not distinct leads of the twelve")
        for what, value in (
            ("sampling_rate_hz", self.sampling_rate_hz),
            ("window_samples", self.window_samples),
            ("stride_samples", self.stride_samples),
        ):
            if value < 1:
                raise ValueError(f"its {what} is {value}, but must be at least 1")
        for what, value in (
            ("std_mv", self.std_mv),
            ("mv_per_bit", self.mv_per_bit),
            ("temperature", self.temperature),
        ):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"its {what} is {value}, but must be above 0")
        if not math.isfinite(self.mean_mv):
            raise ValueError(f"its mean_mv is {self.mean_mv}, but must be finite")
        if self.length not in ("dynamic", "fixed"):
            raise ValueError(f"its length is {self.length!r}, but must be 'dynamic' or 'fixed'")
        _check_classes(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the graph's output."""
        return tuple(each.name for each in self.classes)

    def thresholds(self, kind: str) -> tuple[float | None, ...]:
        """Return the threshold of each class for one of `THRESHOLD_KINDS`."""
        name = _threshold_name(self.classes[0], kind)
        return tuple(each.thresholds[name] for each in self.classes)

    def to_json(self) -> bytes:
        """Return the content of `model.json`."""
        n_samples = "samples" if self.length == "dynamic" else self.window_samples
        value = {
            "schema_version": MODEL_SCHEMA_VERSION,
            "name": self.name,
            "leads": list(self.leads),
            "sampling_rate_hz": self.sampling_rate_hz,
            "unit": _CONSTANTS["unit"],
            "window_samples": self.window_samples,
            "stride_samples": self.stride_samples,
            "join": _CONSTANTS["join"],
            "shorter": _CONSTANTS["shorter"],
            "length": self.length,
            "input": {
                "name": INPUT_NAME,
                "dtype": "float32",
                "shape": ["batch", len(self.leads), n_samples],
            },
            "output": {"name": OUTPUT_NAME, "shape": ["batch", len(self.classes)]},
            "scaling": {"mean_mv": self.mean_mv, "std_mv": self.std_mv},
            "bits": {"mv_per_bit": self.mv_per_bit},
            "classes": [
                {"name": each.name, "codes": list(each.codes), "thresholds": dict(each.thresholds)}
                for each in self.classes
            ],
            "temperature": self.temperature,
            "versions": dict(self.versions),
            "made_from": asdict(self.made_from),
        }
        return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "ModelFile":
        """Read the content of `model.json` as `to_json` writes it.

        Raises:
            ValueError: A value is invalid, a key is unknown, or the schema version differs.
            KeyError: A key is missing.
            TypeError: A list or a string is in the place of an object.
        """
        value = _typed(json.loads(content), dict, "the file")
        if value["schema_version"] != MODEL_SCHEMA_VERSION:
            raise ValueError(
                f"it has schema version {value['schema_version']}, but this mvkt-ray reads "
                f"{MODEL_SCHEMA_VERSION}"
            )
        made = cls(
            name=_typed(value["name"], str, "name"),
            leads=_texts(value["leads"], "leads"),
            sampling_rate_hz=_typed(value["sampling_rate_hz"], int, "sampling_rate_hz"),
            window_samples=_typed(value["window_samples"], int, "window_samples"),
            stride_samples=_typed(value["stride_samples"], int, "stride_samples"),
            length=value["length"],
            mean_mv=_number(value["scaling"]["mean_mv"], "mean_mv"),
            std_mv=_number(value["scaling"]["std_mv"], "std_mv"),
            mv_per_bit=_number(value["bits"]["mv_per_bit"], "mv_per_bit"),
            classes=tuple(map(_class_of, _typed(value["classes"], list, "classes"))),
            temperature=_number(value["temperature"], "temperature"),
            versions={
                package: _typed(version, str, f"version of {package}")
                for package, version in _typed(value["versions"], dict, "versions").items()
            },
            made_from=_made_from(value["made_from"]),
        )
        # All other keys follow from the ones read: they must agree.
        difference = _difference(value, json.loads(made.to_json()), "")
        if difference:
            raise ValueError(difference)
        return made


def _threshold_name(of: ModelClass, kind: str) -> str:
    """Return the full name of a threshold, `sensitivity_0.90` for `sensitivity`."""
    return next(name for name in of.thresholds if name.partition("_")[0] == kind)


def _check_classes(classes: Sequence[ModelClass]) -> None:
    names = [each.name for each in classes]
    if not names or len(set(names)) < len(names) or not all(names):
        raise ValueError(f"its classes {names} are not distinct names")
    first = tuple(classes[0].thresholds)
    kinds = sorted(name.partition("_")[0] for name in first)
    if kinds != sorted(THRESHOLD_KINDS):
        raise ValueError(f"its thresholds {list(first)} are not one for each of {THRESHOLD_KINDS}")
    for each in classes:
        if tuple(each.thresholds) != first:
            raise ValueError(f"class {each.name!r} has other kinds of thresholds than {names[0]!r}")
        for name, threshold in each.thresholds.items():
            if threshold is not None and not math.isfinite(threshold):
                raise ValueError(f"threshold {name} of class {each.name!r} is {threshold}")


def _class_of(value: Mapping[str, Any]) -> ModelClass:
    return ModelClass(
        name=_typed(value["name"], str, "the name of a class"),
        codes=_texts(value["codes"], "codes"),
        thresholds={
            name: None if threshold is None else _number(threshold, f"threshold {name}")
            for name, threshold in _typed(value["thresholds"], dict, "thresholds").items()
        },
    )


def _made_from(value: Mapping[str, Any]) -> MadeFrom:
    contender, repetition = value["contender"], value["repetition"]
    return MadeFrom(
        study=_typed(value["study"], str, "study"),
        study_fingerprint=_typed(value["study_fingerprint"], str, "study_fingerprint"),
        contender=None if contender is None else _typed(contender, str, "contender"),
        repetition=None if repetition is None else _typed(repetition, int, "repetition"),
        trial=_typed(value["trial"], int, "trial"),
        examined=_typed(value["examined"], bool, "examined"),
    )


def _texts(value: object, what: str) -> tuple[str, ...]:
    return tuple(cast(str, _typed(each, str, what)) for each in _typed(value, list, what))


def _number(value: object, what: str) -> float:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _typed(value, float, what)


def _typed(value: Any, kind: type, what: str) -> Any:
    # In Python bool is a subclass of int; in JSON it is not a number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{what} is {value!r}, not a {kind.__name__}")
    return value


def _difference(given: Any, right: Any, where: str) -> str:
    """Return the first difference of two JSON values as a clause; empty for equal values."""
    if isinstance(given, list) and isinstance(right, list) and len(given) == len(right):
        given, right = dict(enumerate(given)), dict(enumerate(right))
    if not (isinstance(given, dict) and isinstance(right, dict)):
        return "" if given == right else f"{where} is {given!r}, but the rest says {right!r}"
    for key in [*given, *right]:
        inside = f"{where}.{key}" if where else str(key)
        if key not in right:
            return f"it has the unknown key {inside}"
        if key not in given:
            return f"it has no {inside}"
        if difference := _difference(given[key], right[key], inside):
            return difference
    return ""
