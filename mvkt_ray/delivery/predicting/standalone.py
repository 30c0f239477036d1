"""Runs the model beside this file on one CSV file in millivolts; needs numpy and onnxruntime only.

    python predict.py ecg.csv --rate 100

The CSV file has a column for each lead, named in its first line; for a model of one lead it may be
one column of numbers without a name. Signals must have the model's sampling rate, which
`model.json` states; `mvkt predict` resamples, and reads WFDB records too.

Exit codes: 0 done, 2 wrong input.
"""

import argparse
import csv
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
SHORTEST_S = 1.0
LARGEST_MV, SMALLEST_MV = 10.0, 0.02
"""Bounds for a plausible ECG: 90th percentile of the distance to the median; peak-to-peak."""
WINDOWS_PER_BATCH = 64


class WrongInputError(Exception):
    """Wrong input; the message is a sentence for the user."""


def read_csv(path: Path, leads: list[str]) -> np.ndarray:
    """Return the leads of a CSV file as float32 `[n_leads, n_samples]`, in mV.

    Raises:
        WrongInputError: It cannot be read, or lacks a lead.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
            columns = find_columns(path, names, leads)
            skipped = 0 if all(map(is_number, names)) else 1
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without samples, which is refused below
            values = np.loadtxt(
                file, delimiter=",", skiprows=skipped, usecols=columns, ndmin=2, comments=None
            )
    except (OSError, ValueError, csv.Error) as error:
        raise WrongInputError(f"{path} cannot be read: {error}") from error
    if not values.size:
        raise WrongInputError(f"{path} has no samples.")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values.T, dtype=np.float32)


def find_columns(path: Path, names: list[str], leads: list[str]) -> list[int]:
    """Return the column of each lead, by the names in the first line.

    Raises:
        WrongInputError: A lead is missing or named twice.
    """
    if not any(name.strip() for name in names):
        raise WrongInputError(f"{path}: the first line is empty.")
    if all(map(is_number, names)):
        if len(names) == len(leads) == 1:
            return [0]
        raise WrongInputError(f"{path}: the first line must name the leads, {leads} among them.")
    place_of: dict[str, int] = {}
    for place, name in enumerate(names):
        lead = name.strip().lower()
        if lead in {each.lower() for each in leads} and place_of.setdefault(lead, place) != place:
            raise WrongInputError(f"{path} names lead {name.strip()} twice.")
    missing = [lead for lead in leads if lead.lower() not in place_of]
    if missing:
        raise WrongInputError(f"{path} has no lead {', '.join(missing)}: it names {names}.")
    return [place_of[lead.lower()] for lead in leads]


def is_number(cell: str) -> bool:
    """Return whether a cell is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def prepare(signal_mv: np.ndarray, model: dict[str, Any]) -> np.ndarray:
    """Check a signal `[n_leads, n_samples]` in mV, and round it as in the model's training.

    Raises:
        WrongInputError: The signal is too short, constant, or not an ECG in mV.
    """
    duration_s = signal_mv.shape[1] / model["sampling_rate_hz"]
    if duration_s < SHORTEST_S:
        raise WrongInputError(f"it lasts {duration_s:g} s; at least {SHORTEST_S:g} s are needed.")
    if not np.isfinite(signal_mv).all():
        raise WrongInputError("some samples are not numbers.")
    mv_per_bit = model["bits"]["mv_per_bit"]
    spread_mv = np.ptp(signal_mv, axis=1).min()
    if spread_mv < mv_per_bit:
        raise WrongInputError("a lead is constant.")
    away_mv = np.abs(signal_mv - np.median(signal_mv, axis=1, keepdims=True))
    if np.quantile(away_mv, 0.9, axis=1).max() > LARGEST_MV or spread_mv < SMALLEST_MV:
        raise WrongInputError("it is not in millivolts, or not an ECG.")
    bits = np.rint(signal_mv.astype(np.float64) / mv_per_bit)
    if np.abs(bits).max() > np.iinfo(np.int16).max:
        raise WrongInputError(f"it reaches {np.abs(signal_mv).max():g} mV; is it in millivolts?")
    return bits.astype(np.float32) * np.float32(mv_per_bit)


def window_starts(n_samples: int, model: dict[str, Any]) -> np.ndarray:
    """Return the first sample of each window; the last window ends with the signal."""
    room = max(n_samples - model["window_samples"], 0)
    n_windows = -(-room // model["stride_samples"]) + 1
    return np.minimum(np.arange(n_windows) * model["stride_samples"], room)


def predict(signal_mv: np.ndarray, model: dict[str, Any], graph: Path) -> np.ndarray:
    """Return the probability of each class, `[n_classes]`: the maximum over all windows.

    Args:
        signal_mv: float32 `[n_leads, n_samples]`; a signal shorter than a window is repeated.
        model: Content of `model.json`.
        graph: ONNX file.

    Raises:
        WrongInputError: The graph cannot be opened, or gives no numbers.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors have no common class
        raise WrongInputError(f"{graph} cannot be opened: {error}") from error
    names = [model["output"]["name"]]
    starts = window_starts(signal_mv.shape[1], model)
    highest = np.zeros(len(model["classes"]), np.float32)
    for first in range(0, len(starts), WINDOWS_PER_BATCH):
        batch = starts[first : first + WINDOWS_PER_BATCH, None]
        inside = (batch + np.arange(model["window_samples"])) % signal_mv.shape[1]
        windows = np.ascontiguousarray(signal_mv[:, inside].swapaxes(0, 1))
        [probabilities] = session.run(names, {model["input"]["name"]: windows})
        highest = np.maximum(highest, np.asarray(probabilities).max(axis=0))
    if not np.isfinite(highest).all():
        raise WrongInputError("the model gives a probability that is not a number.")
    return highest


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return sigmoid(logit(probability) / temperature)."""
    exact = probabilities.astype(np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        logits = np.log(exact) - np.log1p(-exact)
        return 1.0 / (1.0 + np.exp(-logits / temperature))


def answer(path: Path, probabilities: np.ndarray, model: dict[str, Any]) -> dict[str, Any]:
    """Return scores by class, and decisions at the thresholds with the best F1."""
    calibrated = calibrate(probabilities, model["temperature"])
    names = [each["name"] for each in model["classes"]]
    thresholds = [each["thresholds"]["f1"] for each in model["classes"]]
    decisions = [
        None if threshold is None else bool(probability >= threshold)
        for probability, threshold in zip(probabilities, thresholds, strict=True)
    ]
    return {
        "record": str(path),
        "probabilities": {n: float(f"{p:.6g}") for n, p in zip(names, probabilities, strict=True)},
        "calibrated": {n: float(f"{p:.6g}") for n, p in zip(names, calibrated, strict=True)},
        "decisions": dict(zip(names, decisions, strict=True)),
    }


def table(value: dict[str, Any]) -> str:
    """Write an answer as a table."""
    word = {True: "yes", False: "no", None: "no threshold"}
    rows = [("class", "probability", "calibrated", "decision")] + [
        (name, f"{probability:.3f}", f"{value['calibrated'][name]:.3f}",
         word[value["decisions"][name]])
        for name, probability in value["probabilities"].items()
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def read_options() -> argparse.Namespace:
    """Read the command line."""
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("csv", type=Path, help="CSV file of millivolts")
    parser.add_argument(
        "--rate", type=float, help="its sampling rate in Hz; by default the model's"
    )
    parser.add_argument("--int8", action="store_true", help="run the int8 graph")
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")
    return parser.parse_args()


def run(options: argparse.Namespace) -> str:
    """Return the answer as text.

    Raises:
        WrongInputError: The options or files are unusable.
    """
    try:
        model = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongInputError(f"model.json cannot be read beside this file: {error}") from error
    rate_hz = model["sampling_rate_hz"]
    if options.rate is not None and options.rate != rate_hz:
        raise WrongInputError(
            f"this file has {options.rate:g} Hz, but the model takes {rate_hz} Hz; resample it, "
            "or use mvkt predict, which resamples."
        )
    graph = HERE / ("model.int8.onnx" if options.int8 else "model.onnx")
    if not graph.is_file():
        raise WrongInputError(f"there is no {graph}; leave --int8 out, or export it again.")
    signal_mv = prepare(read_csv(options.csv, model["leads"]), model)
    value = answer(options.csv, predict(signal_mv, model, graph), model)
    return json.dumps(value) if options.json else table(value)


def main() -> int:
    """Print the answer or the error; return the exit code."""
    try:
        sys.stdout.write(run(read_options()) + "\n")
    except WrongInputError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
