"""Computes a comparison of studies: their scores, and differences to the first study.

Differences are paired over the test recordings, under the same bootstrap resamples as in a report.
The differences by lead are one family of Holm's correction, those by lead and class a second one,
and the means over shared leads a third one.

Shapes: K answers (of a study and lead), B resamples, R seeds, C classes, N recordings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.comparing.compared_studies import (
    ComparedStudy,
    same_recordings,
    unpaired_reason,
)
from mvkt_ray.delivery.comparing.comparison import (
    ClassDifference,
    Comparison,
    LeadDifference,
    LeadScore,
    MeanDifference,
    StudyScores,
    Unpaired,
)
from mvkt_ray.delivery.facts.comparisons import (
    describe_difference,
    macro_differences,
    mean_difference,
)
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED, Evidence
from mvkt_ray.delivery.report.reported_differences import Gain
from mvkt_ray.statistics.gains import Difference, correct_together, paired_differences
from mvkt_ray.statistics.intervals import ends, percentile_interval
from mvkt_ray.statistics.resampling import AurocResamples, bootstrap_auroc, draw_patients
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean


def compare_studies(studies: Sequence[ComparedStudy]) -> Comparison:
    """Compare two or more studies of one task with the first of them."""
    first = studies[0]
    places = {} if first.finals is None else same_recordings(studies)
    paired = [study for study in studies if study.label in places]
    comparison = Comparison(
        reference=first.label,
        level=LEVEL,
        task=first.task,
        classes=first.classes,
        studies=tuple(map(_describe, studies)),
        unpaired=tuple(
            Unpaired(study=study.label, because=unpaired_reason(first, study))
            for study in studies[1:]
            if study.label not in places
        ),
    )
    found = _pair(paired, places) if len(paired) > 1 else None
    if found is None:
        return comparison
    return replace(
        comparison,
        without_common_seed=found.left_out,
        differences=found.by_lead(),
        mean_differences=found.means(),
        class_differences=found.by_class(first.classes),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Paired:
    """The answers of studies with a common test split, resampled together."""

    first: str
    answers: tuple[tuple[str, str], ...]
    """Label of the study, and lead, of each answer."""
    n_seeds: int
    areas: AurocResamples
    left_out: tuple[tuple[str, str], ...]
    """Answers without a seed that the other ones have."""

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Position of each answer, and of the first study's answer for the same lead."""
        at = {answer: place for place, answer in enumerate(self.answers)}
        return [
            (place, at[self.first, lead])
            for (label, lead), place in at.items()
            if label != self.first and (self.first, lead) in at
        ]

    @property
    def scored_pairs(self) -> list[tuple[int, int]]:
        """Pairs with a macro AUROC; empty if no class can be scored."""
        return [] if np.isnan(self.areas.macro_K).any() else self.pairs

    def by_lead(self) -> tuple[LeadDifference, ...]:
        """Return the differences of the macro AUROC by lead."""
        if not (pairs := self.scored_pairs):
            return ()
        found = macro_differences(self.areas, pairs)
        return tuple(LeadDifference(**self._named(each)) for each in found)

    def means(self) -> tuple[MeanDifference, ...]:
        """Return each study's mean difference over the leads that it shares with the first."""
        by_study: dict[str, list[tuple[int, int]]] = {}
        for pair in self.scored_pairs:
            by_study.setdefault(self.answers[pair[0]][0], []).append(pair)
        family = correct_together(
            [mean_difference(self.areas, pairs) for pairs in by_study.values()], LEVEL
        )
        return tuple(
            MeanDifference(study=study, n_leads=len(pairs), **asdict(self._gain(each)))
            for (study, pairs), each in zip(by_study.items(), family, strict=True)
        )

    def by_class(self, classes: Sequence[str]) -> tuple[ClassDifference, ...]:
        """Return the differences of the AUROC by class and lead, for classes that can be scored."""
        areas, pairs = self.areas, self.pairs
        if not pairs:
            return ()
        found = [
            (name, each)
            for c, name in enumerate(classes)
            if c not in areas.left_out
            for each in paired_differences(
                areas.observed_KC[:, c],
                areas.values_BKC[:, :, c],
                pairs,
                level=LEVEL,
                seeds_KR=areas.observed_KRC[:, :, c],
            )
        ]
        family = correct_together([each for _, each in found], LEVEL)
        return tuple(
            ClassDifference(class_=name, **self._named(each))
            for (name, _), each in zip(found, family, strict=True)
        )

    def _named(self, difference: Difference) -> dict[str, Any]:
        study, lead = self.answers[difference.contender]
        return {"study": study, "lead": lead, **asdict(self._gain(difference))}

    def _gain(self, difference: Difference) -> Gain:
        return describe_difference(self.first, difference, self.n_seeds)


def _pair(
    studies: Sequence[ComparedStudy], places: Mapping[str, NDArray[np.int64]]
) -> _Paired | None:
    """Bootstrap the probabilities of all studies on the first study's test recordings."""
    first = studies[0]
    common = [
        (study, lead)
        for study in studies
        for lead in study.leads
        if lead in first.leads and any(lead in other.leads for other in studies[1:])
    ]
    if not common or first.finals is None:
        return None
    of_first = set(first.seeds(common[0][1]))
    shared = of_first.intersection(*(study.seeds(lead) for study, lead in common))
    left_out: list[tuple[ComparedStudy, str]] = []
    if not shared:
        # After failed trainings an answer may share no seed with the others: it is left out.
        shared = of_first
        left_out = [each for each in common if not shared <= set(each[0].seeds(each[1]))]
        common = [each for each in common if each not in left_out]
    test = first.finals.test
    scores = [
        study.scores(lead, sorted(shared), first.classes)[:, places[study.label]]
        for study, lead in common
    ]
    resamples = draw_patients(test.patient_ids_N, N_RESAMPLES, SEED)
    return _Paired(
        first=first.label,
        answers=tuple((study.label, lead) for study, lead in common),
        n_seeds=len(shared),
        areas=bootstrap_auroc(test.labels_NC, np.stack(scores), resamples),
        left_out=tuple((study.label, lead) for study, lead in left_out),
    )


def _describe(study: ComparedStudy) -> StudyScores:
    finals = study.finals
    if finals is None:
        leads = tuple(
            LeadScore(lead=lead, split="validation", macro_auroc=value)
            for lead, value in study.searched.items()
        )
        teacher = None
    else:
        leads = _test_scores(study, Evidence.of(finals))
        teacher = macro_mean(auroc_per_class(finals.test.labels_NC, finals.test.teacher_NC)).value
    return StudyScores(
        study=study.label,
        folder=study.where,
        n_trials=study.n_trials,
        finals=finals and finals.number,
        answer=finals and finals.answer,
        n_test_recordings=finals and len(finals.test.record_ids_N),
        openings=study.n_openings,
        teacher=teacher,
        leads=leads,
    )


def _test_scores(study: ComparedStudy, evidence: Evidence) -> tuple[LeadScore, ...]:
    """Return the test scores of each lead's answer, as in the study's own report."""
    found: list[LeadScore] = []
    for lead in study.leads:
        resampled, k = evidence.scored(evidence.answer(lead))
        areas = resampled.areas
        found.append(
            LeadScore(
                lead=lead,
                split="test",
                macro_auroc=float(areas.macro_K[k]),
                ci=ends(percentile_interval(areas.macro_BK[:, k], LEVEL)),
                n_seeds=len(resampled.seeds),
                per_class=dict(zip(study.classes, areas.observed_KC[k].tolist(), strict=True)),
            )
        )
    return tuple(found)
