"""The results of studies for a comparison, and the studies with a common test split.

Reads: ledger, finals and predictions of each study. No test split is opened: its predictions were
written by the examination of the study's own finals.

Shapes: N recordings, C classes, R seeds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.facts.evidence import scores_over
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.search.ledger.study_folder import StudyFolder


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ComparedStudy:
    """One study of a comparison."""

    label: str
    """Name of the study, or its location if several studies share the name."""
    where: str
    task: str
    classes: tuple[str, ...]
    n_trials: int
    """Ended trials of the search."""
    n_openings: int
    searched: Mapping[str, float | None]
    """Validation macro AUROC of the best trial, by lead, the best first."""
    finals: FinalsResults | None
    """Newest complete finals, if any."""

    @property
    def leads(self) -> tuple[str, ...]:
        """Leads with a result to compare, in the order of the study."""
        if self.finals is None:
            return tuple(self.searched)
        answer = self.finals.answer
        names = dict.fromkeys(each.condition.name for each in self.finals.plan)
        return tuple(name for name in names if (answer, name) in self.finals.test.scores)

    def seeds(self, lead: str) -> tuple[int, ...]:
        """Return the seeds of a lead's answer in the finals."""
        assert self.finals is not None
        return self.finals.test.seeds[self.finals.answer, lead]

    def scores(
        self, lead: str, seeds: Sequence[int], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return the probabilities of a lead's answer on the test split, float32 `[R, N, C]`."""
        assert self.finals is not None
        found_RNC = scores_over(self.finals.test, (self.finals.answer, lead), seeds)
        return found_RNC[:, :, list(map(self.classes.index, classes))]


def gather_studies(folders: Sequence[StudyFolder]) -> list[ComparedStudy]:
    """Read studies for a comparison; other processes may be running them.

    Args:
        folders: Two or more folders of studies; the first study is the reference.

    Raises:
        ArtifactError: A folder holds no study, or is damaged.
        ConfigError: There are fewer than two different folders, or the tasks of the studies differ.
    """
    places = [str(folder.root) for folder in folders]
    twice = [place for place, times in Counter(places).items() if times > 1]
    if len(folders) < 2 or twice:
        raise ConfigError(
            f"{twice[0]} is given twice. Give different studies."
            if twice
            else f"{' and '.join(places) or 'nothing'} cannot be compared. Give the folders of two "
            "or more studies; the first is the reference."
        )
    materials = [gather_material(folder) for folder in folders]
    names = [material.config.name for material in materials]
    labels = [
        name if names.count(name) == 1 else place for name, place in zip(names, places, strict=True)
    ]
    studies = [_read(label, each) for label, each in zip(labels, materials, strict=True)]
    for other in studies[1:]:
        _expect_same_task(studies[0], other)
    return studies


def same_recordings(studies: Sequence[ComparedStudy]) -> dict[str, NDArray[np.int64]]:
    """Find the studies whose finals have the test recordings and labels of the first study.

    Args:
        studies: Studies, of which the first has finals.

    Returns:
        By label of each such study, the first one included: the rows of its test split in the order
        of the first study's recordings, int64 `[N]`.
    """
    first = studies[0].finals
    assert first is not None
    order = np.argsort(first.test.record_ids_N, kind="stable")
    back = np.argsort(order, kind="stable")
    found: dict[str, NDArray[np.int64]] = {}
    for study in studies:
        if study.finals is None:
            continue
        test = study.finals.test
        at_N = np.argsort(test.record_ids_N, kind="stable")
        if len(at_N) == len(order):
            at_N = at_N[back]
            same_ids = np.array_equal(test.record_ids_N[at_N], first.test.record_ids_N)
            if same_ids and np.array_equal(test.labels_NC[at_N], first.test.labels_NC):
                found[study.label] = at_N
    return found


def unpaired_reason(first: ComparedStudy, other: ComparedStudy) -> str:
    """Return the reason why two studies have no paired differences."""
    missing = [study.label for study in (first, other) if study.finals is None]
    if missing:
        return f"{' and '.join(missing)} was not examined on a test split; run `mvkt finalize`"
    assert first.finals is not None
    assert other.finals is not None
    one, two = (each.finals.test.record_ids_N for each in (first, other) if each.finals)
    n_shared = len(np.intersect1d(one, two))
    if n_shared == len(one) == len(two):
        return "their test splits have the same recordings with other labels"
    return (
        f"their test splits differ: {len(one)} recordings and {len(two)}, of which {n_shared} are "
        "the same; one of them may have trained on what the other is examined on"
    )


def _read(label: str, material: ReportMaterial) -> ComparedStudy:
    searched = {
        rank.condition.name: None if rank.best is None else rank.best.macro_auroc
        for rank in material.ranks
    }
    return ComparedStudy(
        label=label,
        where=str(material.folder.root),
        task=material.task,
        classes=material.classes,
        n_trials=sum(record.state.is_finished for record in material.records),
        n_openings=len(material.openings),
        searched=searched,
        finals=material.finals,
    )


def _expect_same_task(first: ComparedStudy, other: ComparedStudy) -> None:
    if (first.task, set(first.classes)) == (other.task, set(other.classes)):
        return
    raise ConfigError(
        f"{first.label} is of the task {first.task!r} with {len(first.classes)} classes, "
        f"{other.label} of {other.task!r} with {len(other.classes)}: their macro AUROCs are not "
        "comparable. Compare studies of one task."
    )
