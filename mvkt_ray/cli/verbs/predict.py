"""`mvkt predict`: what an exported model says of recordings."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mvkt_ray.cli.options import VerbOutput, not_empty
from mvkt_ray.display.prediction_table import PredictionTable
from mvkt_ray.display.progress import StepProgress
from mvkt_ray.errors import ConfigError, DataError, MvktError

if TYPE_CHECKING:
    from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
    from mvkt_ray.delivery.predicting.found_records import Found
    from mvkt_ray.delivery.predicting.model_file import ModelFile
    from mvkt_ray.delivery.predicting.predict_recordings import Answer


def predict_verb(
    output: VerbOutput,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Folder that mvkt export made.", callback=not_empty),
    ],
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING",
            help="WFDB records with or without suffix, .mat of CPSC 2018, DICOM, EDF, aECG and "
            "MUSE files, folders of these, CSV files and .npy arrays of millivolts.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File for all predictions: .csv or .jsonl."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Sampling rate of CSV files and arrays.")
    ] = None,
    threshold: Annotated[
        Literal["f1", "sensitivity", "specificity"],
        typer.Option(help="Criterion of the decision thresholds."),
    ] = "f1",
    windows: Annotated[
        bool, typer.Option("--windows", help="Also give the time and scores of each window.")
    ] = False,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw the model's input on ECG paper: to a .png or .svg file for one recording, "
            "or to a folder.",
        ),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Run the int8 graph.")] = False,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Threads of onnxruntime.")] = 1,
) -> None:
    """Predict recordings with an exported model, on the CPU, without torch.

    Leads are found by name, and signals are resampled to the model's rate. Recordings that cannot
    be used are listed with the reason; exits with 2 if none can. --json prints one JSON object per
    recording and line.
    """
    from mvkt_ray.delivery.predicting.answer_file import (
        check_answer_file,
        json_line,
        partial_file,
        writing_answers,
    )
    from mvkt_ray.delivery.predicting.answer_rows import AnswerRows
    from mvkt_ray.delivery.predicting.found_records import find_records
    from mvkt_ray.delivery.predicting.graph_session import GraphSession
    from mvkt_ray.delivery.predicting.open_model import read_model
    from mvkt_ray.delivery.predicting.predict_recordings import predict_recordings
    from mvkt_ray.delivery.predicting.recording_reader import RecordingReader
    from mvkt_ray.storage.location import Location

    if out is not None:
        check_answer_file(out)
    for each in recordings:
        not_empty(each)
    opened, graph = read_model(Location.parse(model), int8=int8)
    session = GraphSession(graph, opened, n_threads=threads)
    found = find_records(recordings)
    reader = RecordingReader(leads=opened.leads, rate_hz=_checked_rate(rate, found))
    rows = AnswerRows(opened, threshold, with_windows=windows)
    table = PredictionTable(rows, windows)
    n_done, started = 0, time.monotonic()
    with contextlib.ExitStack() as stack:
        takers: list[Callable[[Answer], None]] = [table.add]
        if output.is_json:
            takers.append(lambda answer: output.answer_line(json_line(rows.value(answer))))
        if draw is not None:
            takers.append(_drawing(draw, len(found), opened, rows))
        if out is not None:
            takers.append(stack.enter_context(writing_answers(out, rows)))
        progress = stack.enter_context(StepProgress(output, "predict", "recordings"))
        try:
            for answer in predict_recordings(opened, session, found, reader):
                for take in takers:
                    take(answer)
                n_done += 1
                progress.update(n_done, len(found), table.refused_note)
        except (KeyboardInterrupt, MvktError):
            if out is not None:
                output.note(f"{n_done:,} of {len(found):,} answers are in {partial_file(out)}.")
            raise
    if not output.is_json:
        output.answer(None, table.shown(time.monotonic() - started))
    if not table.n_predicted:
        raise DataError(
            f"none of {len(found):,} recordings could be predicted: {table.reasons}. The lines "
            "above say what is wrong with each."
        )


def _checked_rate(rate_hz: float | None, found: "Sequence[Found]") -> float | None:
    """Return the rate of tables and arrays.

    Raises:
        ConfigError: It is needed and not given, or is no rate.
    """
    from mvkt_ray.delivery.predicting.found_records import tables_and_arrays

    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ConfigError(f"--rate must be above 0 Hz, got {rate_hz:g}.")
    silent = tables_and_arrays(found)
    if silent and rate_hz is None:
        raise ConfigError(
            f"{silent[0].record_id} does not state its sampling rate: give it by --rate, for "
            "example --rate 500."
        )
    return rate_hz


def _drawing(
    path: Path, n_recordings: int, model: "ModelFile", rows: "AnswerRows"
) -> "Callable[[Answer], None]":
    """Return a function that draws an answer.

    Raises:
        ConfigError: Recordings cannot be drawn there.
    """
    from mvkt_ray.delivery.predicting.predict_recordings import Predicted
    from mvkt_ray.delivery.predicting.strip_picture import check_picture, draw_strips, picture_path

    check_picture(path, n_recordings)

    def take(answer: "Answer") -> None:
        if isinstance(answer, Predicted):
            draw_strips(picture_path(path, answer.record), answer, model, rows)

    return take
