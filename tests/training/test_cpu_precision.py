"""Which precision `auto` is on CPUs: measured, kept, and told where a processor lacks it."""

import logging
from pathlib import Path

import pytest
import torch

from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import MeasuredPrecision
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.sealed import sealed_json
from mvkt_ray.training import cpu_precision
from mvkt_ray.training.cpu_precision import (
    LEAST_GAIN,
    computes_in_bf16,
    measure_precisions,
    settled_precision,
)

CPU = torch.device("cpu")


def test_a_named_precision_is_taken_and_auto_is_what_was_chosen() -> None:
    chosen = {"xresnet1d18": "bf16", "sepconv1d_tiny": "float32"}
    assert computes_in_bf16("bf16", CPU, "sepconv1d_tiny", chosen)
    assert not computes_in_bf16("float32", CPU, "xresnet1d18", chosen)
    assert computes_in_bf16("auto", CPU, "xresnet1d18", chosen)
    assert not computes_in_bf16("auto", CPU, "sepconv1d_tiny", chosen)
    assert not computes_in_bf16("auto", CPU, "resnet1d_wang", chosen)


def test_bf16_is_chosen_where_it_is_measured_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_precision, "has_bf16", lambda: True)
    random = torch.random.get_rng_state()
    [measured] = measure_precisions(["sepconv1d_tiny"], n_leads=1, n_samples=50).values()
    assert measured.float32_ms
    assert measured.bf16_ms
    gains = measured.float32_ms >= LEAST_GAIN * measured.bf16_ms
    assert measured.chosen == ("bf16" if gains else "float32")
    assert torch.equal(torch.random.get_rng_state(), random)


def test_a_processor_without_bf16_measures_nothing_and_tells_who_wants_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cpu_precision, "has_bf16", lambda: False)
    chosen = measure_precisions(["xresnet1d18"], n_leads=1, n_samples=250)
    assert chosen == {"xresnet1d18": MeasuredPrecision(chosen="float32")}
    with caplog.at_level(logging.WARNING):
        assert computes_in_bf16("auto", CPU, "xresnet1d18", {"xresnet1d18": "bf16"})
    assert "xresnet1d18 runs in bf16" in caplog.text


def test_a_training_that_goes_on_keeps_the_precision_it_began_with(tmp_path: Path) -> None:
    file = Location.parse(tmp_path / "teacher.partial" / ".precision.json")
    began = settled_precision(file, "sepconv1d_tiny", n_leads=1, n_samples=50)
    assert settled_precision(file, "sepconv1d_tiny", n_leads=1, n_samples=50) == began

    elsewhere = MeasuredPrecision(chosen="bf16", float32_ms=2.0, bf16_ms=1.0)
    file.write_bytes(sealed_json(elsewhere.to_json()))
    assert settled_precision(file, "sepconv1d_tiny", n_leads=1, n_samples=50) == elsewhere

    file.write_bytes(b'{"chosen": ')
    with pytest.raises(ArtifactError, match=r"\.precision\.json"):
        settled_precision(file, "sepconv1d_tiny", n_leads=1, n_samples=50)
