"""Conclusions that a label budget supports, one sentence per lead.

Reads: the report of the label budget.
"""

from mvkt_ray.delivery.label_curve.reported_curve import EqualLabels, LabelCurve, LeadCurve
from mvkt_ray.delivery.sentences.answer import SYNTHETIC
from mvkt_ray.phrasing import SENTENCE, listing, percent

_ALONE, _ANSWER = "the student alone", "the distilled student"
"""Names in sentences, independent of the contenders' names in the finals."""


def curve_sentences(curve: LabelCurve) -> list[str]:
    """Return a sentence per lead on gain and equal labels, then warnings."""
    said = [_of_lead(curve, lead) for lead in curve.leads if lead.points]
    missing = [cell.name for cell in curve.cells if cell.state != "examined"]
    if missing:
        n_cells = len(curve.cells)
        are, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        said.append(
            f"{n_cells - len(missing)} of {n_cells} cells are examined; {listing(missing)} "
            f"{are} not, and nothing of {them} is drawn."
        )
    if curve.is_synthetic:
        said.append(SYNTHETIC)
    return said


def equal_labels_text(equal: EqualLabels | None) -> str:
    """Write the number of labels with which alone is as good, and its interval, for a table."""
    if equal is None or (equal.low_is_below and equal.high_is_beyond):
        return "cannot be told"
    value, (low, high) = _value(equal), _ends(equal)
    return value if value == low == high else f"{value} ({low} to {high})"


def curve_caption(curve: LabelCurve) -> str:
    """Return the caption of the figure."""
    level = percent(curve.statistics.level)
    return (
        "Macro AUROC on the test split against the number of labelled recordings that teacher and "
        f"students knew. Small marks are draws of the labels, bars {level} intervals over patients "
        "and draws (over seeds where there is one draw). Distilled students "
        + (
            "also saw the other training recordings, without their labels."
            if curve.distils_unlabelled
            else "saw no other recordings."
        )
    )


def _of_lead(curve: LabelCurve, lead: LeadCurve) -> str:
    point = lead.points[0]
    equal, gain, level = point.equal_labels, point.gain, percent(curve.statistics.level)
    worth = (
        f"{SENTENCE.signed(gain.difference)}, corrected {level} interval "
        f"{SENTENCE.signed_interval(gain.ci_corrected)}"
    )
    begin = f"On {lead.lead}, {_ANSWER} with {SENTENCE.count(point.n_labelled)} labels"
    if gain.claimed and gain.difference < 0:
        return f"{begin} is worse than {_ALONE} with as many ({worth})."
    if not gain.claimed:
        return f"{begin} is not shown to be better than {_ALONE} with as many ({worth})."
    better = f"{begin} is better than {_ALONE} with as many ({worth})"
    if equal is None:
        return f"{better}; with how many labels {_ALONE} is as good cannot be said of one budget."
    most, (low, high) = SENTENCE.count(equal.most), _ends(equal)
    if equal.low_is_beyond:
        return f"{better}, and than {_ALONE} with all {most} labels that were measured."
    if equal.is_beyond:
        return (
            f"{better}, and as good as {_ALONE} with the {most} labels that were measured, or "
            f"better; {level} of the resamples leave open {low} and more."
        )
    if equal.high_is_beyond:
        high = f"more than the {most} that were measured"
    if equal.n_labels is None or equal.n_labels <= point.n_labelled:
        return f"{better}; how many labels that is worth the curve of {_ALONE} does not tell."
    return (
        f"{better}: as good as {_ALONE} with about {SENTENCE.count(equal.n_labels)} ({level} "
        f"interval {low} to {high})."
    )


def _value(equal: EqualLabels) -> str:
    return _place(equal, equal.n_labels, equal.is_beyond, equal.is_below)


def _ends(equal: EqualLabels) -> tuple[str, str]:
    return (
        _place(equal, equal.low, equal.low_is_beyond, equal.low_is_below),
        _place(equal, equal.high, equal.high_is_beyond, equal.high_is_below),
    )


def _place(equal: EqualLabels, n_labels: float | None, is_beyond: bool, is_below: bool) -> str:
    if is_beyond:
        return f"more than {SENTENCE.count(equal.most)}"
    return f"fewer than {SENTENCE.count(equal.fewest)}" if is_below else SENTENCE.count(n_labels)
