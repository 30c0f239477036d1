from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.delivery.predicting.found_records import find_records
from mvkt_ray.delivery.predicting.graph_session import GraphSession
from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.predicting.open_model import read_model
from mvkt_ray.delivery.predicting.predict_recordings import (
    Answer,
    Predicted,
    Refused,
    predict_recordings,
)
from mvkt_ray.delivery.predicting.recording_reader import RecordingReader
from mvkt_ray.storage.location import Location
from mvkt_ray.training.validation import raise_to_windows
from tests.delivery.predicting.made_up_model import numpy_probabilities, write_model
from tests.delivery.predicting.written_recordings import signal_of, write_wfdb
from tests.object_store import S3Server

RATES_HZ = (100, 500, 257, 100, 1000, 100)
SECONDS = (10, 10, 10, 1.5, 7.3, 60)


@dataclass(frozen=True)
class Opened:
    model: ModelFile
    session: GraphSession

    def predict(self, names: Sequence[object], *, per_batch: int = 64) -> list[Answer]:
        reader = RecordingReader(leads=self.model.leads, rate_hz=100)
        found = find_records([str(name) for name in names])
        answers = predict_recordings(
            self.model, self.session, found, reader, windows_per_batch=per_batch
        )
        return list(answers)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("model") / "model"
    write_model(folder, leads=("I", "V5"))
    model, graph = read_model(Location.parse(folder))
    return Opened(model, GraphSession(graph, model))


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of several rates and lengths, one shorter than a window."""
    folder = tmp_path_factory.mktemp("records")
    return [
        write_wfdb(
            folder / f"r{number}",
            {
                lead: signal_of(100 * number + at, round(seconds * rate))
                for at, lead in enumerate(LEADS)
            },
            rate,
        )
        for number, (rate, seconds) in enumerate(zip(RATES_HZ, SECONDS, strict=True))
    ]


def matrix(answers: Sequence[Answer]) -> np.ndarray:
    return np.stack([a.probabilities_C for a in answers if isinstance(a, Predicted)])


def test_the_numbers_are_those_of_an_examination(
    opened: Opened, records: list[Path], tmp_path: Path
) -> None:
    folder = records[0].parent
    rows = "".join(f"{path.name},{number},NORM\n" for number, path in enumerate(records))
    (folder / "labels.csv").write_text("record,fold,codes\n" + rows)
    ingest(WfdbFolder(location=str(folder)), str(tmp_path / "shards"), IngestSettings())
    shards = open_shards(tmp_path / "shards")
    model = opened.model
    view = View(
        leads=model.leads,
        crop_samples=model.window_samples,
        grid_samples=1,
        stride_samples=model.stride_samples,
        mean_mv=model.mean_mv,
        std_mv=model.std_mv,
    )
    n = len(records)
    split = Split(
        name="val",
        rows=np.arange(n),
        labels=np.zeros((n, 1), np.float32),
        classes=("NORM",),
        shards=shards,
    )
    scores_NC = torch.full((n, len(model.classes)), -torch.inf, dtype=torch.float64)
    for batch in EvalLoader(shards, split, view, batch_size=5).batches():
        # The loader scales what it gives, and the graph what it takes.
        signal_mv = batch.signal_BLS.double().numpy() * model.std_mv + model.mean_mv
        windows_WC = torch.from_numpy(numpy_probabilities(model, signal_mv))
        raise_to_windows(scores_NC, windows_WC, batch.example_B)
    ids = [f"{folder}/{name}" for name in split.record_ids]
    answers = opened.predict(ids)
    assert [answer.record for answer in answers] == ids
    np.testing.assert_allclose(matrix(answers), scores_NC.numpy(), atol=1e-5)


@given(per_batch=st.integers(1, 80))
def test_any_size_of_a_batch_gives_the_same(
    opened: Opened, records: list[Path], per_batch: int
) -> None:
    answers = opened.predict(records, per_batch=per_batch)
    assert [answer.record for answer in answers] == [str(path) for path in records]
    np.testing.assert_allclose(matrix(answers), matrix(opened.predict(records)), atol=1e-6)


def test_a_recording_is_told_by_the_highest_of_its_windows(
    opened: Opened, records: list[Path]
) -> None:
    for answer in opened.predict(records):
        assert isinstance(answer, Predicted)
        signal = answer.signal
        windows_WLS = signal.windows(0, signal.n_windows, opened.model.window_samples)
        expected_WC = numpy_probabilities(opened.model, windows_WLS)
        np.testing.assert_allclose(answer.window_probabilities_WC, expected_WC, atol=1e-5)
        np.testing.assert_allclose(answer.probabilities_C, expected_WC.max(axis=0), atol=1e-5)
        assert len(expected_WC) == signal.n_windows


def test_what_is_refused_keeps_its_place_and_costs_no_other(
    opened: Opened, records: list[Path], tmp_path: Path
) -> None:
    one_lead = write_wfdb(tmp_path / "one", {"I": signal_of(0, 1000)})
    torn = write_wfdb(tmp_path / "torn", {"I": signal_of(0, 500), "V5": signal_of(1, 500)})
    torn.with_suffix(".dat").write_bytes(b"\0\0")
    flat = write_wfdb(tmp_path / "flat", {"I": signal_of(0, 500), "V5": np.ones(500)})
    names = [one_lead, *records[:3], torn, tmp_path / "nowhere", records[3], flat]
    answers = opened.predict(names, per_batch=4)
    assert [answer.record for answer in answers] == [str(name) for name in names]
    assert [answer.reason for answer in answers if isinstance(answer, Refused)] == [
        "missing_lead",
        "truncated",
        "missing_file",
        "flat_lead",
    ]
    np.testing.assert_allclose(matrix(answers), matrix(opened.predict(records[:4])), atol=1e-6)


def test_answers_come_while_recordings_are_read(opened: Opened, records: list[Path]) -> None:
    """Thousands of recordings need not fit in memory."""

    @dataclass(frozen=True)
    class Counting(RecordingReader):
        n_read: ClassVar[list[str]] = []

        def read(self, ref):
            self.n_read.append(ref.record_id)
            return RecordingReader.read(self, ref)

    reader = Counting(leads=opened.model.leads, rate_hz=None)
    found = find_records([str(path) for path in records])
    answers = predict_recordings(opened.model, opened.session, found, reader, windows_per_batch=7)
    assert next(answers).record == str(records[0])
    assert len(Counting.n_read) == 1


class _NanSession:
    def probabilities(self, signal_WLS: np.ndarray) -> np.ndarray:
        return np.full((len(signal_WLS), 2), np.nan, np.float32)


def test_a_probability_that_is_no_number_is_told(opened: Opened, records: list[Path]) -> None:
    broken = Opened(opened.model, _NanSession())  # pyright: ignore[reportArgumentType]
    (answer,) = broken.predict(records[:1])
    assert isinstance(answer, Refused)
    assert answer.reason == "not_finite"


def test_tables_and_arrays_give_what_the_record_gives(opened: Opened, tmp_path: Path) -> None:
    first, second = signal_of(5, 900), signal_of(6, 900)
    record = write_wfdb(tmp_path / "r1", {"V5": second, "I": first})
    (tmp_path / "r1.csv").write_text(
        "i,v5\n" + "".join(f"{a:.3f},{b:.3f}\n" for a, b in zip(first, second, strict=True))
    )
    np.save(tmp_path / "r1.npy", np.stack([first, second]))
    answers = opened.predict([record, f"{record}.csv", f"{record}.npy"])
    probabilities = matrix(answers)
    np.testing.assert_array_equal(probabilities, probabilities[:1].repeat(3, axis=0))


def test_recordings_and_model_may_be_in_a_bucket(
    opened: Opened,
    records: list[Path],
    s3_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MVKT_CACHE_DIR", str(tmp_path / "cache"))
    bucket = s3_server.make_bucket("recordings")
    write_model(tmp_path / "model", leads=("I", "V5"))
    for path in (tmp_path / "model").iterdir():
        (bucket / f"model/{path.name}").upload(path)
    for record in records[:3]:
        for suffix in (".hea", ".dat"):
            path = record.with_name(record.name + suffix)
            (bucket / f"set/{path.name}").upload(path)
    model, graph = read_model(bucket / "model")
    far = Opened(model, GraphSession(graph, model))
    answers = far.predict([f"{bucket}/set", f"{bucket}/set/nowhere"])
    assert [answer.record for answer in answers] == [
        *(f"{bucket}/set/{record.name}" for record in records[:3]),
        f"{bucket}/set/nowhere",
    ]
    assert matrix(answers).tolist() == matrix(opened.predict(records[:3])).tolist()
