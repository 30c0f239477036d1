"""Which files there are, where the others of their kind lie, and which commands read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .damage import DAMAGES


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of one kind."""

    name: str
    pattern: str
    """Of the file that is damaged, below a base's folder."""
    verbs: Sequence[str]
    """Commands of `judging` that read it."""
    reader: str = ""
    """One of `reading` that reads it in milliseconds; empty: the commands are as quick."""
    told_apart: bool = True
    """Whether the reader alone knows one study's file from another's, as whole commands do."""
    base: str = "finished"
    """Which of `making.BASES`."""
    others: str = ""
    """Pattern of more files that it may be swapped with; those of its own always."""


_SLOW = {"status", "report", "resume", "extend", "export", "export a trial", "finalize"}


def commands_of(kind: Kind, *, quick: bool) -> Sequence[str]:
    """Return the commands of a kind that take milliseconds, or all that people type."""
    if not quick:
        return [each for each in kind.verbs if not each.startswith(("read", "drive"))]
    return (kind.reader,) if kind.reader else [each for each in kind.verbs if each not in _SLOW]


def damages_of(kind: Kind, *, quick: bool) -> Sequence[str]:
    """Return what is done to files of a kind."""
    return DAMAGES if kind.told_apart or not quick else DAMAGES[:-1]


_LOOKS = ("status", "report", "resume")
_READ = "read the files of a study"

KINDS = (
    Kind(
        "manifest of shards",
        "study/shards/manifest.json",
        ("verify shards", "inspect shards", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind("shard", "study/shards/recordings/*.arrow", ("verify shards", "resume")),
    Kind("parts of shards", "study/shards/parts.parquet", ("verify shards", "resume")),
    Kind("quarantine", "study/shards/quarantine.parquet", ("verify shards", "resume", "report")),
    Kind(
        "manifest of a teacher",
        "study/teacher/manifest.json",
        ("verify teacher", "inspect teacher", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind(
        "weights of a teacher",
        "study/teacher/teacher.safetensors",
        ("verify teacher", "resume", "extend"),
    ),
    Kind(
        "manifest of knowledge",
        "study/knowledge/manifest.json",
        ("verify knowledge", "inspect knowledge", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind("knowledge: crops", "study/knowledge/crops.arrow", ("verify knowledge", "extend")),
    Kind(
        "knowledge: recordings", "study/knowledge/recordings.arrow", ("verify knowledge", "extend")
    ),
    Kind("study.yaml", "study/study.yaml", _LOOKS, reader=_READ),
    Kind("inputs.json", "study/inputs.json", _LOOKS, reader=_READ, told_apart=False),
    Kind("stages.json", "study/stages.json", _LOOKS, reader=_READ),
    Kind("teacher_usage.json", "study/teacher_usage.json", _LOOKS, reader=_READ),
    Kind("ledger.db", "study/ledger.db", (*_LOOKS, "export"), reader="read a ledger"),
    Kind(
        "ledger.db, halfway", "study/ledger.db", ("resume",), reader="read a ledger", base="halfway"
    ),
    Kind(
        "checkpoint",
        "study/trials/*/checkpoint.pt",
        ("resume",),
        reader="read checkpoints",
        base="halfway",
        others="../*/other/trials/*/checkpoint.pt",
    ),
    Kind(
        "result that was not told",
        "study/trials/00003/result.json",
        ("resume",),
        reader="read what was not told",
        base="untold",
        others="study/trials/*/result.json",
    ),
    Kind(
        "result of a trial",
        "study/trials/*/result.json",
        ("report", "export a trial"),
        reader="read trials",
    ),
    Kind(
        "weights of a trial",
        "study/trials/*/student.safetensors",
        ("export a trial",),
        reader="read trials",
    ),
    Kind(
        "predictions of a trial",
        "study/trials/*/validation.arrow",
        ("report", "export a trial"),
        reader="read trials",
    ),
    Kind("plan.json", "study/finals/01/plan.json", ("report",)),
    Kind(
        "result of a final",
        "study/finals/01/trials/*/result.json",
        ("report", "export"),
        reader="read finals",
    ),
    Kind(
        "weights of a final",
        "study/finals/01/trials/*/student.safetensors",
        ("export",),
        reader="read finals",
    ),
    Kind(
        "weights of a final, not examined",
        "study/finals/01/trials/*/student.safetensors",
        ("finalize",),
        base="unexamined",
    ),
    Kind(
        "predictions of a final on validation",
        "study/finals/01/trials/*/validation.arrow",
        ("report", "export"),
        reader="read finals",
    ),
    Kind(
        "predictions of a final on test",
        "study/finals/01/trials/*/test.arrow",
        ("report", "export"),
        reader="read predictions",
        told_apart=False,
    ),
    Kind(
        "predictions of the teacher",
        "study/finals/01/teacher_*.arrow",
        ("report",),
        reader="read predictions",
        told_apart=False,
    ),
    Kind("model.json", "model/model.json", ("predict", "verify model")),
    Kind(
        "manifest of a model",
        "model/manifest.json",
        ("predict", "verify model", "inspect model"),
        others="*/*/manifest.json",
    ),
    Kind("model.onnx", "model/model.onnx", ("predict", "verify model")),
    Kind("model.int8.onnx", "model/model.int8.onnx", ("predict int8", "verify model")),
    Kind("weights of a model", "model/weights.safetensors", ("verify model",)),
    Kind(
        "head.json",
        "store/ledger/head.json",
        ("read a stored ledger", "drive a stored ledger"),
        base="in a store",
    ),
    Kind("lease.json", "store/ledger/lease.json", ("drive a stored ledger",), base="in a store"),
    Kind(
        "snapshot.db",
        "store/ledger/*/snapshot.db",
        ("read a stored ledger", "drive a stored ledger"),
        base="in a store",
    ),
    Kind(
        "piece of a ledger",
        "store/ledger/*/wal-*",
        ("read a stored ledger", "drive a stored ledger"),
        base="in a store",
    ),
    Kind("plugins.json", "study/plugins.json", ("read plugins.json",), base="small"),
    Kind("learnt.json", "study/learnt.json", ("read learnt.json",), told_apart=False, base="small"),
    Kind("ledger.json", "study/ledger.json", ("read ledger.json",), base="small"),
    Kind(
        "usage.json of assistants",
        "study/assistants/usage.json",
        ("read usage.json",),
        base="small",
    ),
    Kind(
        "manifest of an assistant",
        "study/assistants/II/*/manifest.json",
        ("verify an assistant",),
        base="small",
    ),
    Kind("label_budget.json", "budget/label_budget.json", ("read a label budget",), base="small"),
    Kind("base_study.yaml", "budget/base_study.yaml", ("read a label budget",), base="small"),
)

_TWINS = {
    "study": "other",
    "model": "other_model",
    "store": "other_store",
    "budget": "other_budget",
}
"""Where the same file of another study is."""


def files_of(kind: Kind, base: Path) -> list[Path]:
    """Return the files of a kind in a made base, sorted."""
    return sorted(base.glob(kind.pattern))


def others_of(kind: Kind, base: Path, file: Path) -> list[Path]:
    """Return what a file may be swapped with: others of its kind here and in the other study."""
    own = set(base.glob(kind.pattern)) - {file}
    first, _, rest = kind.pattern.partition("/")
    own |= set(base.glob(f"{_TWINS[first]}/{rest}"))
    if kind.others:
        own |= {each for each in base.glob(kind.others) if each != file}
    return sorted(own)
