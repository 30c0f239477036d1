"""Commands that read files, what they answer of files as they were written, and what was wrong."""

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .invoking import TRAINED_AGAIN, Answer, Command, Done, invoke
from .reading import READERS, numbers

VERDICTS = ("refused", "restored", "same answer", "WRONG")
_VOLATILE = re.compile(r"(^|\.)(wall_s|cpu_s|seconds|started_at|ended_at|latency_ms|created_at)\b")
_EXIT_INTERRUPTED = 130
_ADVICE = ("again", "restore", "remove", "give ", "check", "mvkt ", "set ")


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and what speaks for it."""

    verdict: str
    said: str


def _status(case: Path) -> tuple[Done, Answer]:
    done = invoke("status", case / "study", "--json")
    return done, _of_json(done.stdout)


def _report(case: Path) -> tuple[Done, Answer]:
    shutil.rmtree(case / "study" / "report", ignore_errors=True)
    done = invoke("report", case / "study", "--quiet")
    return done, _of_report(case / "study" / "report")


def _of_report(folder: Path) -> Answer:
    if not (folder / "report.json").exists():
        return {}
    values = dict(_of_json((folder / "report.json").read_text()))
    for table in sorted(folder.glob("*.csv")):
        for number, row in enumerate(csv.reader(table.open())):
            values[f"{table.name}.{number}"] = row
    return values


def _resume(case: Path, *options: object) -> tuple[Done, Answer]:
    line = ("search", "--resume", "--out", case / "study", "--in-process", *options)
    done = invoke(*line)
    return done, numbers(case) if done.exit_code == 0 else {}


def _extend(case: Path) -> tuple[Done, Answer]:
    return _resume(case, "--max-trials", 8)


def _finalize(case: Path) -> tuple[Done, Answer]:
    done = invoke("finalize", case / "study", "--in-process", "--json")
    return done, _of_json(done.stdout)


def _artifact(verb: str, name: str) -> Command:
    def run(case: Path) -> tuple[Done, Answer]:
        folder = case / "model" if name == "model" else case / "study" / name
        done = invoke(verb, folder, "--json")
        return done, _of_json(done.stdout)

    return run


def _export(*options: object) -> Command:
    def run(case: Path) -> tuple[Done, Answer]:
        done = invoke("export", case / "study", case / "exported", *options, "--json")
        manifest = case / "exported" / "model.json"
        found = dict(_of_json(manifest.read_text())) if manifest.exists() else {}
        weights = case / "exported" / "weights.safetensors"
        own_hash = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None
        return done, found | {"weights": own_hash}

    return run


def _predict(*options: object) -> Command:
    def run(case: Path) -> tuple[Done, Answer]:
        record = case.parent / "recording" / "r1"
        done = invoke("predict", case / "model", record, "--json", *options)
        return done, _of_json(done.stdout)

    return run


COMMANDS: Mapping[str, Command] = {
    "status": _status,
    "report": _report,
    "resume": _resume,
    "extend": _extend,
    "finalize": _finalize,
    "export": _export(),
    "export a trial": _export("--from-search"),
    "predict": _predict(),
    "predict int8": _predict("--int8"),
    **{
        f"{verb} {name}": _artifact(verb, name)
        for verb in ("verify", "inspect")
        for name in ("shards", "teacher", "knowledge", "model")
    },
    **READERS,
}


def _run(command: str, case: Path) -> tuple[Done, Answer]:
    """Run a command; its answer is as JSON gives it back, and does not say where the case is."""
    done, answer = COMMANDS[command](case)
    return done, json.loads(json.dumps(answer, default=repr).replace(str(case), "CASE"))


def answer_of_whole(command: str, make_case: Callable[[], Path]) -> Answer:
    """Return what a command answers where nothing is damaged, without what differs by itself."""
    first_done, first = _run(command, make_case())
    again_done, again = _run(command, make_case())
    assert first_done.exit_code == again_done.exit_code == 0, (command, first_done)
    same = {key: value for key, value in first.items() if again.get(key) == value}
    assert same, f"{command} answers something else each time"
    return same


def judge(command: str, case: Path, file: Path, whole: Answer) -> Judged:
    """Run a command on a case with a damaged file, and judge what it says.

    Args:
        command: One of `COMMANDS`.
        case: Folder of the damaged copy.
        file: The damaged file, which a refusal must name.
        whole: What the command answers where nothing is damaged.
    """
    done, answer = _run(command, case)
    text = done.stderr.strip()
    if done.exit_code == _EXIT_INTERRUPTED:
        # Whoever ends this process ends the benchmark: nothing is said about the file.
        raise KeyboardInterrupt
    if "Traceback" in done.stderr + done.stdout:
        return Judged("WRONG", f"traceback: {text.splitlines()[-1] if text else ''}")
    if done.exit_code == 2:
        refusal = " ".join(line for line in text.splitlines() if line.startswith("Error: "))
        if not _names(refusal, file):
            return Judged("WRONG", f"does not name the file: {refusal}")
        if not any(word in refusal.lower() for word in _ADVICE):
            return Judged("WRONG", f"no advice: {refusal}")
        return Judged("refused", refusal)
    if done.exit_code != 0:
        return Judged("WRONG", f"exit code {done.exit_code}: {text[-300:]}")
    logs = "".join(log.read_text() for log in (case / "study" / "logs").rglob("*.log"))
    is_said = file.name in text + logs
    if answer == TRAINED_AGAIN:
        return Judged("restored" if is_said else "WRONG", text)
    other = [key for key, value in whole.items() if answer.get(key) != value]
    if other:
        first = other[0]
        shown = f"{str(whole[first])[:80]} became {str(answer.get(first))[:80]}"
        return Judged("WRONG", f"another answer in {len(other)} places, {first}: {shown}")
    return Judged("restored" if is_said else "same answer", "")


def _names(refusal: str, file: Path) -> bool:
    """Whether a refusal names a file, the artifact that it is of, or the generation of a ledger."""
    if file.name.startswith("wal-"):
        return file.parent.name in refusal
    artifact = file.parent if file.parent.name != "recordings" else file.parent.parent
    return file.name in refusal or (
        (artifact / "manifest.json").exists() and str(artifact) in refusal
    )


def _of_json(text: str) -> Answer:
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text}
    flat = _flat(value, "")
    return {key: item for key, item in flat.items() if not _VOLATILE.search(key)}


def _flat(value: Any, prefix: str) -> dict[str, Any]:
    if isinstance(value, list):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
