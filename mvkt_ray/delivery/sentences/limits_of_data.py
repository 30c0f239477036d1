"""The limits of recordings and classes, in sentences made from the report's values."""

from mvkt_ray.delivery.facts.class_means import left_out_of
from mvkt_ray.delivery.report.quantities import SPLITS
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence
from mvkt_ray.delivery.sentences.recording_counts import use_sentence
from mvkt_ray.phrasing import counted, listing


def one_source(report: StudyReport) -> list[str]:
    """Return a sentence on the single source, which excludes other hospitals."""
    data = report.data
    if data is None:
        return [f"There is no data card: {report.data_reason}"]
    if data.is_synthetic:
        return []
    return [
        f"All recordings come from one source ({data.source}): its patients, machines and "
        "cardiologists. Intervals say what other patients of the same kind would change, not "
        "what other hospitals would."
    ]


def recorders(report: StudyReport) -> list[str]:
    """Return a sentence on devices with few leads, whose recordings differ."""
    data, teacher = report.data, report.teacher
    leads = data.leads if data is not None else teacher.leads if teacher is not None else []
    is_synthetic = data is not None and data.is_synthetic
    if len(leads) < 2 or is_synthetic:
        return []
    return [
        f"What a student sees was taken out of a recording of {len(leads)} leads. A device that "
        "records only that has other electrodes, noise and patients, and its leads are seldom "
        "exactly these."
    ]


def classes_without_score(report: StudyReport) -> list[str]:
    """Return sentences on the classes excluded from the means, by split."""
    validation, test = (left_out_of(report, split) for split in SPLITS)
    said = [left_out_sentence(report, split) for split in SPLITS]
    if report.finals is not None and validation != test:
        said.append(
            "Means on validation and on test are not over the same classes, so the two are not "
            "the same measure."
        )
    return [sentence for sentence in said if sentence]


def classes_hard_to_judge(report: StudyReport) -> list[str]:
    """Return sentences on classes without a threshold, and on classes with few positives."""
    test = next((lead.test for lead in report.leads if lead.test is not None), None)
    if test is None:
        return []
    said: list[str] = []
    thresholds = [
        name
        for name, scores in test.per_class.items()
        if scores.n_positive and scores.threshold is None
    ]
    if thresholds and not test.f1_reason:
        said.append(
            f"No validation recording has {listing(thresholds)}, so there is no threshold to say "
            "it by: it is in no mean F1, and by scores of decisions it is never found."
        )
    few = [
        f"{name} ({scores.n_positive})"
        for name, scores in test.per_class.items()
        if scores.too_few and name not in test.left_out
    ]
    if few:
        said.append(
            f"Fewer than {report.statistics.min_positives} test recordings have "
            f"{listing(few)}: too few to judge a lead by, though the means count them as "
            "much as any other class, and resamples without any of them are scored by the others."
        )
    return said


def recordings_left_out(report: StudyReport) -> list[str]:
    """Return sentences on unused recordings, assumed gains and rates, and the ingest's remarks."""
    data = report.data
    if data is None:
        return []
    said: list[str] = []
    if data.n_quarantined:
        reasons = ", ".join(
            f"{reason.replace('_', ' ')} {n}" for reason, n in data.quarantine.items()
        )
        said.append(
            f"{counted(data.n_quarantined, 'recording')} could not be used "
            f"({reasons}). Models were neither trained nor tried on such recordings, and a device "
            "may meet them."
        )
    assumed = (
        (data.n_with_assumed_gain, "gain", "millivolts"),
        (data.n_with_assumed_rate, "sampling rate", "times"),
    )
    said += [
        f"{n:,} {'recording states' if n == 1 else 'recordings state'} no {what}, and the usual "
        f"one was assumed: their {numbers} are a guess."
        for n, what, numbers in assumed
        if n
    ]
    if sum(split.n_recordings for split in data.splits.all) < data.n_recordings:
        said.append(use_sentence(data))
    return said + [f"{remark[:1].upper()}{remark[1:]}" for remark in data.remarks]
