"""What a comparison of studies says: their scores, and differences to the first of them.

Differences are paired over the test recordings, under the resamples that a report has. Those of
each lead are one family of Holm's, those of each lead and class another, and so are the means over
the leads that two studies share.

Shapes: K answers (of a study and lead), B resamples, R seeds, C classes, N recordings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.delivery.comparing.compared_studies import (
    ComparedStudy,
    same_recordings,
    why_unpaired,
)
from mvkt_ray.delivery.facts.comparisons import describe_difference
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED, Evidence
from mvkt_ray.statistics.gains import Difference, correct_together, paired_differences
from mvkt_ray.statistics.intervals import ends, percentile_interval
from mvkt_ray.statistics.resampling import AurocResamples, bootstrap_auroc, draw_patients
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean

Answer = tuple[str, str]
"""Label of a study, and a lead."""


def compare_studies(studies: Sequence[ComparedStudy]) -> dict[str, Any]:
    """Compare studies with the first of them.

    Args:
        studies: Of one task; two or more.

    Returns:
        Plain values: `studies` with the scores of their leads, `differences` by lead,
        `mean_differences`, `class_differences`, and `unpaired` with the reason.
    """
    first = studies[0]
    places = {} if first.finals is None else same_recordings(studies)
    paired = [study for study in studies if study.label in places]
    found = _Paired.of(paired, places) if len(paired) > 1 else None
    return {
        "reference": first.label,
        "level": LEVEL,
        "task": first.task,
        "classes": list(first.classes),
        "studies": [_describe(study) for study in studies],
        "unpaired": [
            {"study": study.label, "because": why_unpaired(first, study)}
            for study in studies[1:]
            if study.label not in places
        ],
        "without_common_seed": [] if found is None else [list(each) for each in found.left_out],
        "differences": [] if found is None else found.by_lead(),
        "mean_differences": [] if found is None else found.means(),
        "class_differences": [] if found is None else found.by_class(first.classes),
    }


class _Paired:
    """The answers of studies with one test split, resampled together."""

    def __init__(
        self,
        first: str,
        answers: Sequence[Answer],
        n_seeds: int,
        areas: AurocResamples,
        left_out: Sequence[Answer],
    ) -> None:
        self._first, self._answers, self._n_seeds, self._areas = first, answers, n_seeds, areas
        self.left_out = left_out

    @classmethod
    def of(
        cls, studies: Sequence[ComparedStudy], places: Mapping[str, NDArray[np.int64]]
    ) -> "_Paired | None":
        """Resample what the studies say of the recordings of the first one's test split."""
        first = studies[0]
        common = [
            (study, lead)
            for study in studies
            for lead in study.leads
            if lead in first.leads and any(lead in other.leads for other in studies[1:])
        ]
        if not common or first.finals is None:
            return None
        of_first = _seeds(first, common[0][1])
        shared = set(of_first).intersection(*(_seeds(study, lead) for study, lead in common))
        left_out: list[Answer] = []
        if not shared:
            # Where trainings failed, what has no seed in common is named and left out.
            shared = set(of_first)
            left_out = [(s.label, lead) for s, lead in common if not shared <= set(_seeds(s, lead))]
            common = [pair for pair in common if (pair[0].label, pair[1]) not in left_out]
        scores: list[NDArray[np.float32]] = []
        for study, lead in common:
            own = _scores(study, lead)[[_seeds(study, lead).index(seed) for seed in sorted(shared)]]
            columns = [study.classes.index(name) for name in first.classes]
            scores.append(own[:, places[study.label]][:, :, columns])
        test = first.finals.test
        resamples = draw_patients(test.patient_ids_N, N_RESAMPLES, SEED)
        return cls(
            first.label,
            [(study.label, lead) for study, lead in common],
            len(shared),
            bootstrap_auroc(test.labels_NC, np.stack(scores), resamples),
            left_out,
        )

    def by_lead(self) -> list[dict[str, Any]]:
        """Return the differences of the macro AUROC, lead by lead."""
        areas, pairs = self._areas, self._pairs()
        if np.isnan(areas.macro_K).any():
            return []
        found = _differences(areas.macro_K, areas.macro_BK, areas.macro_KR, pairs)
        return [
            self._describe(self._answers[pair[0]], difference)
            for pair, difference in zip(pairs, found, strict=True)
        ]

    def means(self) -> list[dict[str, Any]]:
        """Return the mean difference of each study, over the leads that it shares."""
        areas, by_study = self._areas, dict[str, list[tuple[int, int]]]()
        if np.isnan(areas.macro_K).any():
            return []
        for pair in self._pairs():
            by_study.setdefault(self._answers[pair[0]][0], []).append(pair)
        made: list[Difference] = []
        for pairs in by_study.values():
            own, reference = ([pair[side] for pair in pairs] for side in (0, 1))

            def both(
                of_K: NDArray[Any],
                own: list[int] = own,
                reference: list[int] = reference,
            ) -> NDArray[Any]:
                return np.stack([of_K[own].mean(0), of_K[reference].mean(0)])

            made += _differences(
                both(areas.macro_K), both(areas.macro_BK.T).T, both(areas.macro_KR), [(0, 1)]
            )
        family = correct_together(made, LEVEL)
        return [
            {"study": label, "n_leads": len(by_study[label]), **self._of(each)}
            for label, each in zip(by_study, family, strict=True)
        ]

    def by_class(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """Return the differences of the AUROC of each class that can be scored, lead by lead."""
        areas, pairs = self._areas, self._pairs()
        made: list[tuple[Answer, str, Difference]] = []
        for column, name in enumerate(classes):
            if column in areas.left_out:
                continue
            found = _differences(
                areas.observed_KC[:, column],
                areas.values_BKC[:, :, column],
                areas.observed_KRC[:, :, column],
                pairs,
            )
            made += [(self._answers[p[0]], name, d) for p, d in zip(pairs, found, strict=True)]
        family = correct_together([difference for _, _, difference in made], LEVEL)
        return [
            {**self._describe(answer, difference), "class": name}
            for (answer, name, _), difference in zip(made, family, strict=True)
        ]

    def _pairs(self) -> list[tuple[int, int]]:
        at = {answer: place for place, answer in enumerate(self._answers)}
        return [
            (place, at[self._first, lead])
            for (label, lead), place in at.items()
            if label != self._first and (self._first, lead) in at
        ]

    def _describe(self, answer: Answer, difference: Difference) -> dict[str, Any]:
        return {"study": answer[0], "lead": answer[1], **self._of(difference)}

    def _of(self, difference: Difference) -> dict[str, Any]:
        return asdict(describe_difference(self._first, difference, self._n_seeds))


def _differences(
    observed_K: NDArray[Any],
    values_BK: NDArray[Any],
    seeds_KR: NDArray[Any],
    pairs: Sequence[tuple[int, int]],
) -> list[Difference]:
    if not pairs:
        return []
    return paired_differences(observed_K, values_BK, pairs, level=LEVEL, seeds_KR=seeds_KR)


def _describe(study: ComparedStudy) -> dict[str, Any]:
    finals = study.finals
    leads = (
        [
            {"lead": lead, "split": "validation", "macro_auroc": value, "ci": None}
            for lead, value in study.searched.items()
        ]
        if finals is None
        else _test_scores(study)
    )
    return {
        "study": study.label,
        "folder": study.where,
        "n_trials": study.n_trials,
        "finals": None if finals is None else finals.number,
        "answer": None if finals is None else finals.answer,
        "n_test_recordings": None if finals is None else len(finals.test.record_ids_N),
        "openings": study.n_openings,
        "teacher": None
        if finals is None
        else macro_mean(auroc_per_class(finals.test.labels_NC, finals.test.teacher_NC)).value,
        "leads": leads,
    }


def _test_scores(study: ComparedStudy) -> list[dict[str, Any]]:
    """Return the scores of each lead's answer that the study's own report has."""
    assert study.finals is not None
    evidence, found = Evidence.of(study.finals), list[dict[str, Any]]()
    for lead in study.leads:
        resampled, k = evidence.scored(evidence.answer(lead))
        areas = resampled.areas
        found.append(
            {
                "lead": lead,
                "split": "test",
                "macro_auroc": float(areas.macro_K[k]),
                "ci": ends(percentile_interval(areas.macro_BK[:, k], LEVEL)),
                "n_seeds": len(resampled.seeds),
                "per_class": dict(zip(study.classes, areas.observed_KC[k].tolist(), strict=True)),
            }
        )
    return found


def _scores(study: ComparedStudy, lead: str) -> NDArray[np.float32]:
    assert study.finals is not None
    return study.finals.test.scores[study.finals.answer, lead]


def _seeds(study: ComparedStudy, lead: str) -> tuple[int, ...]:
    assert study.finals is not None
    return study.finals.test.seeds[study.finals.answer, lead]
