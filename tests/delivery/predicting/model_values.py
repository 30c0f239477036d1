"""A made-up model, as `model.json` says it."""

from typing import Any

from mvkt_ray.delivery.predicting.model_file import MadeFrom, ModelClass, ModelFile


def model_file(**changes: Any) -> ModelFile:
    """Return a model of one lead and two classes, with some fields changed."""
    values: dict[str, Any] = {
        "name": "tiny V5 chosen",
        "leads": ("V5",),
        "sampling_rate_hz": 100,
        "window_samples": 250,
        "stride_samples": 125,
        "length": "dynamic",
        "mean_mv": 0.002,
        "std_mv": 0.25,
        "mv_per_bit": 0.001,
        "classes": (model_class("MI", ("AMI", "IMI"), 0.3), model_class("NORM", ("NORM",), None)),
        "temperature": 1.5,
        "versions": {"mvkt_ray": "0.0", "onnx": "1.0"},
        "made_from": MadeFrom(
            study="tiny",
            study_fingerprint="f" * 64,
            contender="chosen",
            repetition=0,
            trial=12,
            examined=True,
        ),
    }
    return ModelFile(**{**values, **changes})


def model_class(name: str, codes: tuple[str, ...], threshold: float | None) -> ModelClass:
    """Return a class whose decisions are all by one threshold."""
    names = ("f1", "sensitivity_0.90", "specificity_0.90")
    return ModelClass(name=name, codes=codes, thresholds=dict.fromkeys(names, threshold))
