"""What the results page says in words; every sentence follows from the numbers in it."""

import math
from collections.abc import Sequence

from results_page.compared import ALONE, N_RESAMPLES, Compared, Group, Share
from results_page.markdown import change, changes, count, listed, score, share, shares, verdict
from results_page.run_facts import RunFacts

NAMES = {
    ALONE: "student alone",
    "mkd": "MKD",
    "mkd_clt": "MKD + CLT",
    "softmax_kd": "softmax distillation",
    "clt_disjoint": "CLT, disjoint negatives",
    "clt_any": "CLT, any negatives",
    "authors": "authors' scale",
}
"""How the page calls the contenders of search_spaces/fidelity.yaml; others keep their names."""
AIM = 0.25
"""The share of the gap that the best lead's student is to close."""


def named(name: str) -> str:
    """Return how the page calls a contender."""
    return NAMES.get(name, name.replace("_", " "))


def lead_words(leads: Sequence[str], *, capital: bool = False) -> str:
    """Write `twelve leads`, or name them."""
    text = "twelve leads" if len(leads) == 12 else listed(leads)
    return text[0].upper() + text[1:] if capital else text


def opening_part(compared: Compared, facts: RunFacts, command: str) -> str:
    """Return what a reader who stops after half a page should know."""
    group, config = compared.every_lead, facts.config
    lines = [
        "# Results",
        f"{config.data.source}, task {config.data.task}, {config.data.sampling_rate_hz} Hz: "
        f"{facts.n_recordings['train']:,} training, {facts.n_recordings['validation']:,} "
        f"validation and {facts.n_recordings['test']:,} test recordings "
        f"({compared.n_patients:,} patients). Numbers are macro AUROC on the test split, means "
        f"over {count(len(group.seeds), 'seed')}; brackets are 95 % intervals of {N_RESAMPLES:,} "
        "resamples of patients and seeds.",
    ]
    if command:
        lines.append(f"Made by `{command}`.")
    bullets = [f"- The 12-lead teacher reaches {score(compared.teacher.macro_K[0])}."]
    bullets += [f"- {mean_sentence(group, name)}" for name in group.others]
    bullets += [f"- {_gap_sentence(compared)}", f"- {_best_sentence(compared)}"]
    if compared.missing:
        missing = listed([named(name) for name in compared.missing])
        bullets.append(f"- Not compared, as not every training came to its end: {missing}.")
    return "\n\n".join([*lines, "\n".join(bullets)])


def mean_sentence(group: Group, name: str) -> str:
    """Say what a contender gains over the student alone, in the mean and lead by lead."""
    found = group.mean_gain(name)
    claimed = [group.gains[name, lead] for lead in group.leads if group.gains[name, lead].claimed]
    n_gained = sum(each.difference > 0 for each in claimed)
    n_lost = len(claimed) - n_gained
    single = f"{n_gained} of {len(group.leads)} leads gain for themselves after Holm's correction"
    if n_lost:
        single += f", {n_lost} lose"
    return (
        f"{named(name)} against the student alone, mean over {lead_words(group.leads)}: "
        f"{change(found.difference)} ({changes(found.interval)}): "
        f"**{verdict(found, corrected=False)}**; {single}."
    )


def share_closed(closed: Share) -> str:
    """Write `27 % (11 to 42 %)`, or that there is no gap."""
    if math.isnan(closed.fraction):
        return "no gap"
    return f"{share(closed.fraction)} ({shares(closed.interval)})"


def _gap_sentence(compared: Compared) -> str:
    answer, best = compared.answer, compared.ranked[0]
    overall = compared.gap_closed(answer, compared.every_lead.leads)
    of_best = compared.gap_closed(answer, [best])
    text = (
        f"Of the gap between student alone and teacher {named(answer)} closes "
        f"{share_closed(overall)} over the leads, and {share_closed(of_best)} in {best}, the best "
        "lead on test"
    )
    other = compared.best_on_validation
    if other != best:
        of_other = share_closed(compared.gap_closed(answer, [other]))
        text += f" ({of_other} in {other}, which validation alone would have named)"
    mean = compared.every_lead.mean_gain(answer)
    aims = [
        ("a mean gain whose interval is above 0", mean.interval.low > 0),
        (f"{share(AIM)} of the best lead's gap", of_best.fraction >= AIM),
    ]
    said = "; ".join(f"{aim}: {'met' if is_met else 'missed'}" for aim, is_met in aims)
    return f"{text}. Aims: {said}."


def _best_sentence(compared: Compared) -> str:
    leads = compared.best_leads
    if len(leads) == 1:
        return f"The best lead for {named(compared.answer)} is {leads[0]}, alone, at 95 %."
    others = len(compared.every_lead.leads) - len(leads)
    rest = f", and the other {others} are worse" if others else ""
    return (
        f"The best lead for {named(compared.answer)} is one of {listed(leads)}: these "
        f"{len(leads)} cannot be told apart{rest} (simultaneously, at 95 %)."
    )
