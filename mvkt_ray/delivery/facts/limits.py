"""What the data of a report cannot say, in sentences made from its facts."""

from collections.abc import Callable, Mapping
from typing import Any

from mvkt_ray.phrasing import listing
from mvkt_ray.search.finals.finals_plan import CHOSEN

Report = Mapping[str, Any]


def describe_limits(report: Report) -> list[str]:
    """Return the report's `limits`, the gravest first.

    Args:
        report: everything else of it.
    """
    return [sentence for limit in _LIMITS for sentence in limit(report)]


def _synthetic(report: Report) -> list[str]:
    if not report["answer"]["is_synthetic"]:
        return []
    return [
        "The recordings are made up by a program. What is said here holds for that program, not "
        "for ECGs of people."
    ]


def _not_final(report: Report) -> list[str]:
    if report["finals"] is not None:
        return []
    said = [
        "All scores are on the validation recordings, on which configurations were also chosen: "
        "they are optimistic, and most so for the highest. Every score is of one training, and "
        "another seed would give another one. Leads, gains and their order are not tested."
    ]
    if report["test_split"]["opened"]:
        said.append("An examination on the test split was begun and is not complete.")
    return said


def _openings(report: Report) -> list[str]:
    openings = report["test_split"]["openings"]
    if report["finals"] is None or not openings:
        return []
    if len(openings) == 1:
        return ["The test split was opened once, for all that is compared here."]
    reasons = "; ".join(f"{each['number']}: {each['reason']!r}" for each in openings[1:])
    return [
        f"The test split was opened {len(openings)} times (reasons given: {reasons}). Whoever "
        "chose anything after an earlier opening may have chosen by it."
    ]


def _one_dataset(report: Report) -> list[str]:
    data = report["data"]
    if data is None:
        return [f"There is no data card: {report['data_reason']}"]
    if data["is_synthetic"]:
        return []
    return [
        f"All recordings are of one data set ({data['source']}): its patients, machines and "
        "cardiologists. Intervals say what other patients of the same kind would change, not "
        "what another hospital would."
    ]


def _simulated_single_lead(report: Report) -> list[str]:
    data, teacher = report["data"], report["teacher"]
    leads = data["leads"] if data is not None else teacher["leads"] if teacher is not None else []
    is_synthetic = data is not None and data["is_synthetic"]
    if len(leads) < 2 or is_synthetic:
        return []
    return [
        f"A single lead was taken out of a recording of {len(leads)} leads, made by a clinical "
        "machine on a resting patient. A device with one lead has other electrodes, noise and "
        "patients, and its lead is seldom exactly one of these."
    ]


def _one_teacher(report: Report) -> list[str]:
    teacher = report["teacher"]
    if teacher is None:
        return []
    return [
        f"One teacher ({teacher['network']}, trained once, seed "
        f"{report['provenance']['seeds']['teacher']}) taught every student. Another one may help "
        "more or less."
    ]


def _seeds(report: Report) -> list[str]:
    finals = report["finals"]
    if finals is None:
        return []
    n_seeds = len(finals["seeds"])
    if n_seeds == 1:
        return ["Every student was trained with one seed, so intervals know nothing of seeds."]
    return [
        f"Students were trained with {n_seeds} seeds each; intervals and comparisons allow for "
        "their spread, as far as so few tell it."
    ]


def _choice(report: Report) -> list[str]:
    chosen = [lead for lead in report["leads"] if lead["validation"] is not None]
    selection = report["selection"]
    if not chosen or selection is None:
        return []
    counts = [lead["validation"]["n_candidates"] for lead in chosen]
    n_trials = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    said = [
        f"The configuration of each lead is the best of {n_trials} complete trials on "
        f"{selection['n_recordings']} validation recordings. More trials, or other recordings, "
        "could have chosen another one, and a lead can be behind because of that."
    ]
    racing = report["racing"]
    if racing is not None and racing["stopped"]:
        said.append(
            f"{listing(racing['stopped'])} stopped getting trials when clearly behind: "
            f"the best lead is stopped so in at most {racing['error_rate']:.0%} of studies."
        )
    return said


def _search_went_on(report: Report) -> list[str]:
    if report["finals"] is None:
        return []
    changed = [
        lead["lead"]
        for lead in report["leads"]
        if (chosen := lead["contenders"].get(CHOSEN)) is not None
        and chosen["trial"] not in (None, lead["search"]["best_trial"])
    ]
    if not changed:
        return []
    return [
        f"The search went on after the finals: for {listing(changed)} it has found a "
        "configuration with a higher validation score, which was not examined."
    ]


def _refit(report: Report) -> list[str]:
    if report["finals"] is None or not report["finals"]["refit"]:
        return []
    return [
        "Finals were trained on the training and the validation split together: there are no "
        "recordings left to choose thresholds on, so there is no F1 of the students."
    ]


def _failed_finals(report: Report) -> list[str]:
    finals = report["finals"]
    if finals is None:
        return []
    said: list[str] = []
    missing = finals["n_trainings"] - finals["n_complete"]
    if missing:
        said.append(
            f"{missing} of {finals['n_trainings']} trainings of the finals diverged or failed; "
            "comparisons are over the seeds that both sides have."
        )
    unranked = [lead["lead"] for lead in report["leads"] if lead["in_best_set"] is None]
    if unranked:
        said.append(
            f"{listing(unranked)} could not be ranked: too few of the trainings of the "
            "answer were completed."
        )
    return said


def _classes(report: Report) -> list[str]:
    test = next((lead["test"] for lead in report["leads"] if lead["test"] is not None), None)
    if test is None:
        return []
    said: list[str] = []
    if test["left_out"]:
        said.append(
            f"No test recording has {listing(test['left_out'])}, or every one has: it is "
            "in no mean."
        )
    few = [
        f"{name} ({scores['n_positive']})"
        for name, scores in test["per_class"].items()
        if scores["too_few"] and name not in test["left_out"]
    ]
    if few:
        said.append(
            f"Fewer than {report['statistics']['min_positives']} test recordings have "
            f"{listing(few)}: too few to judge a lead by, though the means count them as "
            "much as any other class."
        )
    return said


def _left_out_recordings(report: Report) -> list[str]:
    data = report["data"]
    if data is None:
        return []
    said: list[str] = []
    if data["n_quarantined"]:
        reasons = ", ".join(f"{reason} {n}" for reason, n in data["quarantine"].items())
        said.append(
            f"{data['n_quarantined']} recordings could not be used ({reasons}). A device will meet "
            "such recordings."
        )
    if data["n_without_label"]:
        said.append(
            f"{data['n_without_label']} training and validation recordings without a label of the "
            "task were left out; the test split leaves out the same kind."
        )
    return said


_LIMITS: tuple[Callable[[Report], list[str]], ...] = (
    _synthetic,
    _not_final,
    _openings,
    _one_dataset,
    _simulated_single_lead,
    _one_teacher,
    _seeds,
    _choice,
    _search_went_on,
    _refit,
    _failed_finals,
    _classes,
    _left_out_recordings,
)
