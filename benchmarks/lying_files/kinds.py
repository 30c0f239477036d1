"""Which files there are, where the others of their kind lie, and which commands read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Files of one kind."""

    name: str
    pattern: str
    """Of the file that is damaged, below a base's folder."""
    verbs: Sequence[str]
    """Commands of `judging` that read it."""
    base: str = "finished"
    """Which made study: `finished`, `halfway`, `untold` or `unexamined`."""
    others: str = ""
    """Pattern of more files that it may be swapped with; those of its own always."""


_LOOKS = ("status", "report", "resume")

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
    Kind(name="study.yaml", pattern="study/study.yaml", verbs=_LOOKS),
    Kind(name="inputs.json", pattern="study/inputs.json", verbs=_LOOKS),
    Kind(name="stages.json", pattern="study/stages.json", verbs=_LOOKS),
    Kind(name="teacher_usage.json", pattern="study/teacher_usage.json", verbs=_LOOKS),
    Kind(name="ledger.db", pattern="study/ledger.db", verbs=(*_LOOKS, "export")),
    Kind(name="ledger.db, halfway", pattern="study/ledger.db", verbs=("resume",), base="halfway"),
    Kind(
        name="checkpoint",
        pattern="study/trials/*/checkpoint.pt",
        verbs=("resume",),
        base="halfway",
        others="../*/other/trials/*/checkpoint.pt",
    ),
    Kind(
        name="result that was not told",
        pattern="study/trials/00003/result.json",
        verbs=("resume",),
        base="untold",
        others="study/trials/*/result.json",
    ),
    Kind(
        name="result of a trial",
        pattern="study/trials/*/result.json",
        verbs=("report", "export a trial"),
    ),
    Kind(
        name="weights of a trial",
        pattern="study/trials/*/student.safetensors",
        verbs=("export a trial",),
    ),
    Kind(
        name="predictions of a trial",
        pattern="study/trials/*/validation.arrow",
        verbs=("report", "export a trial"),
    ),
    Kind(name="plan.json", pattern="study/finals/01/plan.json", verbs=("report",)),
    Kind(
        name="result of a final",
        pattern="study/finals/01/trials/*/result.json",
        verbs=("report", "export"),
    ),
    Kind(
        name="weights of a final",
        pattern="study/finals/01/trials/*/student.safetensors",
        verbs=("export",),
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
    ),
    Kind(
        name="predictions of a final on test",
        pattern="study/finals/01/trials/*/test.arrow",
        verbs=("report", "export"),
    ),
    Kind(
        name="predictions of the teacher",
        pattern="study/finals/01/teacher_*.arrow",
        verbs=("report",),
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
)


def files_of(kind: Kind, base: Path) -> list[Path]:
    """Return the files of a kind in a made base, sorted."""
    return sorted(base.glob(kind.pattern))


def others_of(kind: Kind, base: Path, file: Path) -> list[Path]:
    """Return what a file may be swapped with: others of its kind here and in the other study."""
    own = set(base.glob(kind.pattern)) - {file}
    twin = kind.pattern.replace("study/", "other/", 1).replace("model/", "other_model/", 1)
    own |= set(base.glob(twin))
    if kind.others:
        own |= {each for each in base.glob(kind.others) if each != file}
    return sorted(own)
