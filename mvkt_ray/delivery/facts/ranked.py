"""The part of a report that ranks and compares: on validation before finals, on test after."""

from dataclasses import asdict, dataclass

from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.class_means import validation_scores
from mvkt_ray.delivery.facts.comparisons import (
    MeanDifference,
    describe_difference,
    gains_of_answer,
    lead_against_lead,
    mean_gains,
)
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED, TEACHER, Evidence
from mvkt_ray.delivery.facts.gaps.teacher_gap import describe_teacher_gap, gap_closed
from mvkt_ray.delivery.facts.leads import (
    Ranking,
    first_gain,
    leads_after_finals,
    leads_before_finals,
)
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.split_scores import MIN_POSITIVES, describe_test
from mvkt_ray.delivery.report.quantities import Split
from mvkt_ray.delivery.report.reported_differences import (
    GapClosed,
    LeadPair,
    MeanGain,
    TeacherGap,
)
from mvkt_ray.delivery.report.reported_leads import ReportedLead, ReportedTeacher
from mvkt_ray.delivery.report.study_report import FinalsDone, Statistics
from mvkt_ray.records import TrialState
from mvkt_ray.search.finals.finals_plan import CHOSEN
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.storage.artifacts import Manifest

BASIS = (
    "Intervals are percentiles of a bootstrap over patients, with the noise that other seeds would "
    "add where there are several; BCa intervals (Efron 1987) stand beside them. All contenders "
    "share the resamples, so every comparison is paired.",
    "The set of best leads: a model confidence set (Hansen, Lunde and Nason 2011) at critical "
    "values from the bootstrap; it holds every lead that is best, alone or tied, with the chance "
    "that is asked for, however many leads there are.",
    "Differences are judged by their bootstrap standard error, on a Student t where seeds tell "
    "their spread badly, and corrected by Holm (1979) within three families: gains of the answer "
    "over other contenders, leads against leads, and mean gains over leads. A difference is "
    "claimed only where its corrected interval leaves out 0.",
    "The share of the gap between student alone and teacher is a ratio of means, with percentiles "
    "of its bootstrap; there is none where the gap itself is not shown. Parts of the gap by lead "
    "and class have intervals of each number alone; those of an ensemble know patients, not seeds.",
)

BASIS_OF_SEARCH = (
    "Before finals no lead and no gain is tested. Intervals stand at scores that are corrected for "
    "having chosen, and are percentiles over resamples of the validation patients.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """Ranks and comparisons; the fields are those of `StudyReport` and of its `Answer`."""

    contender: str
    highest: str | None
    ranked_on: Split
    finals: FinalsDone | None
    statistics: Statistics
    teacher: ReportedTeacher | None
    leads: tuple[ReportedLead, ...]
    lead_pairs: tuple[LeadPair, ...]
    best_set: tuple[str, ...]
    mean_gain: MeanGain | None
    mean_gains: tuple[MeanGain, ...]
    mean_gap_closed: GapClosed | None
    teacher_gap: TeacherGap | None


def describe_search(material: ReportMaterial, selections: Selections) -> Ranked:
    """Return what a report says of ranks and comparisons before there are finals."""
    leads = leads_before_finals(material, selections)
    return Ranked(
        contender=CHOSEN,
        highest=next((lead.lead for lead in leads if lead.validation is not None), None),
        ranked_on="validation",
        finals=None,
        statistics=_statistics(0, 0, 0, BASIS_OF_SEARCH),
        teacher=_teacher(material, None),
        leads=tuple(leads),
        lead_pairs=(),
        best_set=(),
        mean_gain=None,
        mean_gains=(),
        mean_gap_closed=None,
        teacher_gap=None,
    )


def describe_finals(
    material: ReportMaterial, finals: FinalsResults, selections: Selections
) -> Ranked:
    """Return what a report says of ranks and comparisons after finals."""
    evidence = Evidence.of(finals)
    ranking = Ranking.of(evidence)
    gains = gains_of_answer(evidence)
    ranked = ranking.leads if ranking is not None else ()
    pairs = tuple(
        LeadPair(
            lead=lead,
            **asdict(describe_difference(other, difference, len(evidence.ranking_seeds))),
        )
        for lead, other, difference in lead_against_lead(evidence, ranked)
    )
    means = tuple(_mean_gain(name, gain) for name, gain in mean_gains(evidence).items())
    return Ranked(
        contender=finals.answer,
        highest=ranked[0] if ranked else None,
        ranked_on="test",
        finals=_finals(finals, can_be_scored=evidence.can_be_scored),
        statistics=_statistics(len(gains), len(pairs), len(means), BASIS),
        teacher=_teacher(material, evidence if ranked else None),
        leads=tuple(leads_after_finals(material, evidence, ranking, gains, selections)),
        lead_pairs=pairs,
        best_set=tuple(ranking.best_set) if ranking is not None else (),
        mean_gain=first_gain(means),
        mean_gains=means,
        mean_gap_closed=gap_closed(evidence, ranked) if ranked else None,
        teacher_gap=describe_teacher_gap(evidence, ranked),
    )


def _mean_gain(name: str, gain: MeanDifference) -> MeanGain:
    described = describe_difference(name, gain.difference, gain.n_seeds)
    return MeanGain(
        **asdict(described), n_leads=gain.n_leads, n_positive_leads=gain.n_positive_leads
    )


def _statistics(
    n_gains: int, n_lead_pairs: int, n_mean_gains: int, basis: tuple[str, ...]
) -> Statistics:
    return Statistics(
        level=LEVEL,
        n_resamples=N_RESAMPLES,
        seed=SEED,
        min_positives=MIN_POSITIVES,
        basis=basis,
        n_gains=n_gains,
        n_lead_pairs=n_lead_pairs,
        n_mean_gains=n_mean_gains,
    )


def _finals(finals: FinalsResults, *, can_be_scored: bool) -> FinalsDone:
    complete = [record for record in finals.records if record.state is TrialState.COMPLETE]
    return FinalsDone(
        number=finals.number,
        answer=finals.answer,
        refit=finals.refit,
        contenders=tuple(dict.fromkeys(each.name for each in finals.plan)),
        n_trainings=sum(contender.n_seeds for contender in finals.plan),
        n_complete=len(complete),
        can_be_scored=can_be_scored,
        seeds=tuple(sorted({record.trial.repetition for record in finals.records})),
    )


def _teacher(material: ReportMaterial, evidence: Evidence | None) -> ReportedTeacher | None:
    if material.teacher is None:
        return None
    manifest: Manifest = material.teacher
    details, assistant = manifest.details, material.config.teacher.of_assistant()
    return ReportedTeacher(
        network=str(details["network"]),
        assistant=None if assistant is None else assistant.network,
        leads=tuple(manifest.config["view"]["leads"]),
        n_parameters=int(manifest.counts["n_parameters"]),
        validation=validation_scores(
            details["macro_auroc"], details["per_class_auroc"], material.classes
        ),
        test=None if evidence is None else describe_test(evidence, TEACHER, material.task),
    )
