"""Controls of the label budget: what a student gains without twelve leads, or without sense.

- `self`: the teacher sees the student's own lead and nothing else. What is gained is not from the
  twelve leads.
- `shuffled`: every recording is taught what the teacher says of another one. Nothing is to be
  gained.

Each is a study like the cell that it stands beside, of one lead, with the same seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.teacher_pays.studies import finalize, finals_of, gain, search, write_study
from mvkt_ray.distill.knowledge import Knowledge, open_knowledge
from mvkt_ray.distill.knowledge_parts import Answer, Part, crops_of
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.stages import Prepared, prepare
from mvkt_ray.storage.location import Location

CONTROLS = ("self", "shuffled")
FOLDS = "1-7/8/9"
BUDGET, LEADS = "folds2", ("II", "V5")
"""Of the label budget, that controls stand beside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A control beside a cell of a label budget."""

    cell: Path
    """The cell's folder."""
    name: str
    lead: str

    def out(self, root: Path) -> Path:
        """Return the folder of its study."""
        return root / "controls" / f"{self.cell.name}_{self.name}_{self.lead}"

    def study(self) -> dict[str, Any]:
        """Return its study file: the cell's, with one lead and one contender."""
        value: dict[str, Any] = yaml.safe_load((self.cell / "study.yaml").read_text())
        contender = value["finals"]["contenders"]["distilled"]
        teacher = {**value["teacher"], "leads": [self.lead] if self.name == "self" else []}
        return {
            **value,
            "name": f"{self.cell.name}_{self.name}_{self.lead}",
            "teacher": teacher,
            "search": {"leads": [self.lead], "n_trials": 0, "baselines": []},
            "finals": {
                "n_seeds": value["finals"]["n_seeds"],
                "n_configurations": 0,
                "baselines": [],
                "answer": self.name,
                "contenders": {self.name: contender},
            },
        }


def run_control(control: Control, root: Path, data: str, runner: Sequence[str]) -> None:
    """Train and examine a control, as far as that is missing."""
    out = control.out(root)
    if finals_of(out) is not None:
        return
    study = write_study(out.parent / f"{out.name}.yaml", control.study())
    search(study, out, data, FOLDS, runner)
    if control.name == "shuffled":
        shuffle_knowledge(out)
    finalize(out, runner)


def shuffle_knowledge(out: Path) -> None:
    """Give every recording what the teacher says of another one; once."""
    folder = StudyFolder(Location.parse(out))
    mark = out / "knowledge_of_teacher"
    if mark.exists() and folder.knowledge.exists():
        return
    config, inputs = folder.read_config(), folder.read_inputs()
    assert inputs["shards"] is not None
    prepared = prepare(config, inputs["shards"])
    if not mark.exists():
        (out / "knowledge").rename(mark)
    knowledge = open_knowledge(str(mark), shards=prepared.shards)
    n_crops_N = crops_of(prepared.shards, prepared.splits.train, prepared.view)
    order_N = np.random.default_rng(0).permutation(len(n_crops_N))
    write_knowledge(
        str(folder.knowledge),
        ask=partial(_said_of_others, knowledge, n_crops_N, order_N, prepared),
        shards=prepared.shards,
        split=prepared.splits.train,
        view=prepared.view,
        teacher_fingerprint=knowledge.manifest.inputs["teacher"],
        embedding_dim=knowledge.embedding_dim,
    )


def _said_of_others(
    knowledge: Knowledge,
    n_crops_N: NDArray[np.int64],
    order_N: NDArray[np.int64],
    prepared: Prepared,
    part: Part,
) -> Answer:
    """Answer for a part with what was said of the recordings in another order."""
    place_of = {int(row): at for at, row in enumerate(prepared.splits.train.rows)}
    chosen: list[NDArray[np.int64]] = []
    for row in part.rows:
        at = place_of[int(row)]
        other = order_N[at]
        # Crop by crop; where the other recording is shorter, its crops again.
        crop = np.arange(n_crops_N[at]) % n_crops_N[other]
        chosen.append(knowledge.first_crop_N[other] + crop)
    rows = np.concatenate(chosen)
    return Answer(
        first_row=part.first_row,
        n_crops=len(rows),
        logits_RC=knowledge.logits_RC[rows],
        embedding_RD=knowledge.embedding_RD[rows],
    )


def controls_of(labels: Path, budget: str, leads: Sequence[str]) -> list[Control]:
    """List the controls of every examined draw of a budget."""
    cells = sorted(path for path in labels.glob(f"{budget}_draw*") if finals_of(path) is not None)
    return [
        Control(cell=cell, name=name, lead=lead)
        for cell in cells
        for lead in leads
        for name in CONTROLS
    ]


def describe_controls(root: Path) -> list[dict[str, Any]] | None:
    """Compare each control with the student alone and the distilled one of its cell.

    Returns:
        For each lead and control the differences of its draws; None before any was examined.
    """
    labels = root / "labels"
    rows: list[dict[str, Any]] = []
    for lead in LEADS:
        for name in CONTROLS:
            of = [each for each in controls_of(labels, BUDGET, [lead]) if each.name == name]
            found = [pair for control in of if (pair := _compared(root, control)) is not None]
            if found:
                to_alone, to_distilled = zip(*found, strict=True)
                rows.append(
                    {
                        "lead": lead,
                        "control": name,
                        "to_alone": list(to_alone),
                        "to_distilled": list(to_distilled),
                    }
                )
    return rows or None


def _compared(root: Path, control: Control) -> tuple[float, float] | None:
    own = _scores_of(control.out(root), control.name, control.lead)
    cell = finals_of(control.cell)
    if own is None or cell is None:
        return None
    found: list[float] = []
    for name in ("student_alone", "distilled"):
        other = _scores_of(control.cell, name, control.lead)
        assert other is not None
        seeds = sorted(own.keys() & other.keys())
        compared = gain(
            cell.test.labels_NC,
            cell.test.patient_ids_N,
            np.stack([own[seed] for seed in seeds]),
            np.stack([other[seed] for seed in seeds]),
        )
        found.append(float(compared.difference))
    return found[0], found[1]


def _scores_of(folder: Path, contender: str, lead: str) -> Mapping[int, NDArray[np.float32]] | None:
    """Return what each seed of a contender said of the test split; None where it is not there."""
    finals = finals_of(folder)
    if finals is None or (contender, lead) not in finals.test.scores:
        return None
    key = (contender, lead)
    return dict(zip(finals.test.seeds[key], finals.test.scores[key], strict=True))
