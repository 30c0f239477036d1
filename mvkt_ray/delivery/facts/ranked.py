"""Sections that finals add to a report: leads ranked and compared on the test split."""

from dataclasses import replace

from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.comparisons import gains_of_answer, lead_against_lead, mean_gains
from mvkt_ray.delivery.facts.evidence import TEACHER, Evidence
from mvkt_ray.delivery.facts.gaps.teacher_gap import describe_teacher_gap, gap_closed
from mvkt_ray.delivery.facts.gaps.validation_gap import describe_gap
from mvkt_ray.delivery.facts.leads import Ranking, first_gain, leads_after_finals
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.pareto_fronts import describe_sizes
from mvkt_ray.delivery.facts.split_scores import describe_test
from mvkt_ray.delivery.report.study_report import FinalsDone, StudyReport
from mvkt_ray.records import TrialState
from mvkt_ray.search.finals.finals_results import FinalsResults

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


def with_finals(
    report: StudyReport, material: ReportMaterial, finals: FinalsResults, selections: Selections
) -> StudyReport:
    """Return a report of the search with ranking and comparisons on the test split."""
    evidence = Evidence.of(finals)
    ranking = Ranking.of(evidence)
    ranked, best_set = (ranking.leads, ranking.best_set) if ranking is not None else ((), ())
    highest = ranked[0] if ranked else None
    gains, means = gains_of_answer(evidence), mean_gains(evidence)
    pairs = lead_against_lead(evidence, ranked)
    leads = leads_after_finals(material, evidence, ranking, gains, selections)
    teacher = report.teacher
    if teacher is not None and ranked:
        teacher = replace(teacher, test=describe_test(evidence, TEACHER, material.task))
    return replace(
        report,
        answer=replace(
            report.answer,
            lead=best_set[0] if len(best_set) == 1 else None,
            highest=highest,
            best_set=best_set,
            ranked_on="test",
            contender=finals.answer,
        ),
        finals=_finals(finals, can_be_scored=evidence.can_be_scored),
        statistics=replace(
            report.statistics,
            basis=BASIS,
            n_gains=len(gains),
            n_lead_pairs=len(pairs),
            n_mean_gains=len(means),
        ),
        teacher=teacher,
        leads=leads,
        lead_pairs=pairs,
        best_set=best_set,
        mean_gain=first_gain(means),
        mean_gains=means,
        mean_gap_closed=gap_closed(evidence, ranked) if ranked else None,
        teacher_gap=describe_teacher_gap(evidence, ranked),
        validation_gap=describe_gap(leads, highest),
        sizes=describe_sizes(material, leads),
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
