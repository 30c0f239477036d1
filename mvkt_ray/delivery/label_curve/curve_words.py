"""What a label budget may say, one sentence per lead, and no more than the curves hold.

Reads: what `curve_facts` made.
"""

from collections.abc import Mapping
from typing import Any

from mvkt_ray.phrasing import SENTENCE, listing, percent

_ALONE, _ANSWER = "the student alone", "the distilled student"
"""Whatever the finals call them: one was not taught, the other was."""
Curve = Mapping[str, Any]


def curve_sentences(curve: Curve) -> list[str]:
    """Say of each lead what labels distilling is worth, then what is missing or made up."""
    said = [_of_lead(curve, lead) for lead in curve["leads"] if lead["points"]]
    missing = [cell["name"] for cell in curve["cells"] if cell["state"] != "examined"]
    if missing:
        n_cells = len(curve["cells"])
        said.append(
            f"{n_cells - len(missing)} of {n_cells} cells are examined; {listing(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not, and nothing of "
            f"{'it' if len(missing) == 1 else 'them'} is drawn."
        )
    if curve["is_synthetic"]:
        said.append(
            "These recordings are made up by a program: this is a demonstration, and says nothing "
            "about ECGs."
        )
    return said


def labels_of(n_labels: float) -> str:
    """Write a number of labelled recordings."""
    return f"{n_labels:,.0f}"


def equal_labels_text(equal: Mapping[str, Any] | None) -> str:
    """Write with how many labels alone is as good, and its interval, for a table."""
    if equal is None or (equal["low_is_below"] and equal["high_is_beyond"]):
        return "cannot be told"
    value = _place(equal, "n_labels", "is_beyond", "is_below")
    low = _place(equal, "low", "low_is_beyond", "low_is_below")
    high = _place(equal, "high", "high_is_beyond", "high_is_below")
    return value if value == low == high else f"{value} ({low} to {high})"


def curve_caption(curve: Curve) -> str:
    """Say how the figure is read."""
    level = percent(curve["statistics"]["level"])
    return (
        "Macro AUROC on the test split against the number of labelled recordings that teacher and "
        f"students knew. Small marks are draws of the labels, bars {level} intervals over patients "
        "and draws (over seeds where there is one draw). Distilled students "
        + (
            "also saw the other training recordings, without their labels."
            if curve["distils_unlabelled"]
            else "saw no other recordings."
        )
    )


def _of_lead(curve: Curve, lead: Mapping[str, Any]) -> str:
    point = lead["points"][0]
    name, equal, gain = lead["lead"], point["equal_labels"], point["gain"]
    level = percent(curve["statistics"]["level"])
    labels = f"{labels_of(point['n_labelled'])} labels"
    worth = (
        f"{SENTENCE.signed(gain['difference'])}, corrected {level} interval "
        f"{SENTENCE.signed_interval(gain['ci_corrected'])}"
    )
    begin = f"On {name}, {_ANSWER} with {labels}"
    if gain["claimed"] and gain["difference"] < 0:
        return f"{begin} is worse than {_ALONE} with as many ({worth})."
    if not gain["claimed"]:
        return f"{begin} is not shown to be better than {_ALONE} with as many ({worth})."
    better = f"{begin} is better than {_ALONE} with as many ({worth})"
    if equal is None:
        return f"{better}; with how many labels {_ALONE} is as good cannot be said of one budget."
    most = labels_of(equal["most"])
    if equal["low_is_beyond"]:
        return f"{better}, and than {_ALONE} with all {most} labels that were measured."
    low = _place(equal, "low", "low_is_beyond", "low_is_below")
    if equal["is_beyond"]:
        return (
            f"{better}, and as good as {_ALONE} with the {most} labels that were measured, or "
            f"better; {level} of the resamples leave open {low} and more."
        )
    if equal["high_is_beyond"]:
        high = f"more than the {most} that were measured"
    else:
        high = _place(equal, "high", "high_is_beyond", "high_is_below")
    if equal["n_labels"] is None or equal["n_labels"] <= point["n_labelled"]:
        return f"{better}; how many labels that is worth the curve of {_ALONE} does not tell."
    return (
        f"{better}: as good as {_ALONE} with about {labels_of(equal['n_labels'])} ({level} "
        f"interval {low} to {high})."
    )


def _place(equal: Mapping[str, Any], name: str, beyond: str, below: str) -> str:
    if equal[beyond]:
        return f"more than {labels_of(equal['most'])}"
    if equal[below]:
        return f"fewer than {labels_of(equal['fewest'])}"
    return labels_of(equal[name])
