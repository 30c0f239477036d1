"""Which files there are, where the others of their kind lie, and which commands read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .damage import DAMAGES


@dataclass(frozen=True, kw_only=True, slots=True)
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
        name="manifest of shards",
        pattern="study/shards/manifest.json",
        verbs=("verify shards", "inspect shards", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind(
        name="shard", pattern="study/shards/recordings/*.arrow", verbs=("verify shards", "resume")
    ),
    Kind(
        name="parts of shards",
        pattern="study/shards/parts.parquet",
        verbs=("verify shards", "resume"),
    ),
    Kind(
        name="quarantine",
        pattern="study/shards/quarantine.parquet",
        verbs=("verify shards", "resume", "report"),
    ),
    Kind(
        name="manifest of a teacher",
        pattern="study/teacher/manifest.json",
        verbs=("verify teacher", "inspect teacher", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind(
        name="weights of a teacher",
        pattern="study/teacher/teacher.safetensors",
        verbs=("verify teacher", "resume", "extend"),
    ),
    Kind(
        name="manifest of knowledge",
        pattern="study/knowledge/manifest.json",
        verbs=("verify knowledge", "inspect knowledge", "resume", "report"),
        others="*/*/manifest.json",
    ),
    Kind(
        name="knowledge: crops",
        pattern="study/knowledge/crops.arrow",
        verbs=("verify knowledge", "extend"),
    ),
    Kind(
        name="knowledge: recordings",
        pattern="study/knowledge/recordings.arrow",
        verbs=("verify knowledge", "extend"),
    ),
    Kind(
        name="study.yaml", pattern="study/study.yaml", verbs=_LOOKS, reader=_READ, told_apart=False
    ),
    Kind(
        name="inputs.json",
        pattern="study/inputs.json",
        verbs=_LOOKS,
        reader=_READ,
        told_apart=False,
    ),
    Kind(
        name="stages.json",
        pattern="study/stages.json",
        verbs=_LOOKS,
        reader=_READ,
        told_apart=False,
    ),
    Kind(
        name="teacher_usage.json",
        pattern="study/teacher_usage.json",
        verbs=_LOOKS,
        reader=_READ,
        told_apart=False,
    ),
    Kind(
        name="ledger.db",
        pattern="study/ledger.db",
        verbs=(*_LOOKS, "export"),
        reader="read a ledger",
    ),
    Kind(
        name="ledger.db, halfway",
        pattern="study/ledger.db",
        verbs=("resume",),
        reader="read a ledger",
        base="halfway",
    ),
    Kind(
        name="checkpoint",
        pattern="study/trials/*/checkpoint.pt",
        verbs=("resume",),
        base="halfway",
        others="../*/other/trials/*/checkpoint.pt",
        reader="read checkpoints",
    ),
    Kind(
        name="result that was not told",
        pattern="study/trials/00003/result.json",
        verbs=("resume",),
        base="untold",
        others="study/trials/*/result.json",
        reader="read what was not told",
    ),
    Kind(
        name="result of a trial",
        pattern="study/trials/*/result.json",
        verbs=("report", "export a trial"),
        reader="read trials",
    ),
    Kind(
        name="weights of a trial",
        pattern="study/trials/*/student.safetensors",
        verbs=("export a trial",),
        reader="read trials",
    ),
    Kind(
        name="predictions of a trial",
        pattern="study/trials/*/validation.arrow",
        verbs=("report", "export a trial"),
        reader="read trials",
    ),
    Kind(name="plan.json", pattern="study/finals/01/plan.json", verbs=("report",)),
    Kind(
        name="result of a final",
        pattern="study/finals/01/trials/*/result.json",
        verbs=("report", "export"),
        reader="read finals",
    ),
    Kind(
        name="weights of a final",
        pattern="study/finals/01/trials/*/student.safetensors",
        verbs=("export",),
        reader="read finals",
    ),
    Kind(
        name="weights of a final, not examined",
        pattern="study/finals/01/trials/*/student.safetensors",
        verbs=("finalize",),
        base="unexamined",
    ),
    Kind(
        name="predictions of a final on validation",
        pattern="study/finals/01/trials/*/validation.arrow",
        verbs=("report", "export"),
        reader="read finals",
    ),
    Kind(
        name="predictions of a final on test",
        pattern="study/finals/01/trials/*/test.arrow",
        verbs=("report", "export"),
        told_apart=False,
        reader="read predictions",
    ),
    Kind(
        name="predictions of the teacher",
        pattern="study/finals/01/teacher_*.arrow",
        verbs=("report",),
        told_apart=False,
        reader="read predictions",
    ),
    Kind(name="model.json", pattern="model/model.json", verbs=("predict", "verify model")),
    Kind(
        name="manifest of a model",
        pattern="model/manifest.json",
        verbs=("predict", "verify model", "inspect model"),
        others="*/*/manifest.json",
    ),
    Kind(name="model.onnx", pattern="model/model.onnx", verbs=("predict", "verify model")),
    Kind(
        name="model.int8.onnx",
        pattern="model/model.int8.onnx",
        verbs=("predict int8", "verify model"),
    ),
    Kind(name="weights of a model", pattern="model/weights.safetensors", verbs=("verify model",)),
    Kind(
        name="head.json",
        pattern="store/ledger/head.json",
        verbs=(
            "read a stored ledger",
            "drive a stored ledger",
        ),
        base="in a store",
    ),
    Kind(
        name="lease.json",
        pattern="store/ledger/lease.json",
        verbs=("drive a stored ledger",),
        base="in a store",
    ),
    Kind(
        name="snapshot.db",
        pattern="store/ledger/*/snapshot.db",
        verbs=(
            "read a stored ledger",
            "drive a stored ledger",
        ),
        base="in a store",
    ),
    Kind(
        name="piece of a ledger",
        pattern="store/ledger/*/wal-*",
        verbs=(
            "read a stored ledger",
            "drive a stored ledger",
        ),
        base="in a store",
    ),
    Kind(
        name="plugins.json",
        told_apart=False,
        pattern="study/plugins.json",
        verbs=("read plugins.json",),
        base="small",
    ),
    Kind(
        name="learnt.json",
        told_apart=False,
        pattern="study/learnt.json",
        verbs=("read learnt.json",),
        base="small",
    ),
    Kind(
        name="ledger.json",
        told_apart=False,
        pattern="study/ledger.json",
        verbs=("read ledger.json",),
        base="small",
    ),
    Kind(
        name="usage.json of assistants",
        told_apart=False,
        pattern="study/assistants/usage.json",
        verbs=("read usage.json",),
        base="small",
    ),
    Kind(
        name="manifest of an assistant",
        pattern="study/assistants/II/*/manifest.json",
        verbs=("verify an assistant",),
        base="small",
    ),
    Kind(
        name="label_budget.json",
        pattern="budget/label_budget.json",
        verbs=("read a label budget",),
        base="small",
    ),
    Kind(
        name="base_study.yaml",
        pattern="budget/base_study.yaml",
        verbs=("read a label budget",),
        base="small",
    ),
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
