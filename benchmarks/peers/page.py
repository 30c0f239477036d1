"""The rounds as a page of Markdown: two tables, what was compared, and on what machine."""

import json
from collections.abc import Iterable, Sequence
from statistics import fmean, median, stdev

from scipy.stats import t

from benchmarks.peers.bench import FIXED, OWN, Round
from benchmarks.peers.contenders import CONTENDERS, OURS
from benchmarks.peers.recipe import BATCH_SIZE, NETWORK, Config

SAME_SCORE = 0.003
"""Mean difference of macro AUROC that is no difference: about the deviation between seeds."""

CLOSE_SCORE = 0.01
"""Within which the difference must lie for scores to be called equal."""

CONFIDENCE = 0.99
_GIB = 2**30
_NO_VALUE = "-"


def page(rounds: Sequence[Round], target: float | None = None) -> str:
    """Return the page.

    Args:
        rounds: All that are there.
        target: The validation score of the second table; by default the lowest of the best scores
            that contenders came to with the fixed configurations.
    """
    if not rounds:
        return "No contender has come to the end of a round yet.\n"
    fixed = [each for each in rounds if each.search == FIXED]
    own = [each for each in rounds if each.search == OWN]
    if target is None and fixed:
        target = min(best_score(each) for each in fixed)
    parts = ["# The same search by mvkt-ray and by its peers", _what(rounds)]
    if fixed:
        parts += ["## The same configurations, nothing pruned", fixed_table(fixed)]
    if own and target is not None:
        title = f"## With everybody's own pruning, to a validation score of {target:.4f}"
        parts += [title, own_table(own, target)]
    return "\n\n".join(parts) + "\n"


def fixed_table(rounds: Sequence[Round]) -> str:
    """Return the costs of the same work, with ratios to ours, and whether it was the same."""
    ours = {each.number: each for each in rounds if each.contender == OURS}
    rows = [
        "| contender | wall s | x | CPU s | x | peak GiB | x | read GiB | written GiB | score "
        "| - ours (99 %) | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, own in _by_contender(rounds):
        costs: list[str] = []
        for cost, digits in (("wall_s", 1), ("cpu_s", 1), ("peak_bytes", 2)):
            unit = _GIB if cost == "peak_bytes" else 1
            costs.append(f"{median(getattr(each.usage, cost) for each in own) / unit:.{digits}f}")
            ratios = [
                getattr(each.usage, cost) / getattr(ours[each.number].usage, cost)
                for each in own
                if each.number in ours
            ]
            costs.append(f"{median(ratios):.2f}" if ratios else _NO_VALUE)
        moved = [median(getattr(r.usage, key) for r in own) / _GIB for key in ("rchar", "wchar")]
        scores = [trial.score for each in own for trial in each.trials if trial.score is not None]
        score = f"{fmean(scores):.4f}" if scores else _NO_VALUE
        difference, verdict = same_score(own, ours.values())
        cells = [*costs, *(f"{each:.2f}" for each in moved), score, difference, verdict]
        rows.append(f"| {_named(name)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def same_score(rounds: Iterable[Round], ours: Iterable[Round]) -> tuple[str, str]:
    """Compare scores of the same configurations; say `void` where they differ beyond doubt."""
    known = {r.number: {key(trial.config): trial.score for trial in r.trials} for r in ours}
    pairs = [
        (trial.score, known[each.number].get(key(trial.config)))
        for each in rounds
        if each.number in known
        for trial in each.trials
    ]
    if not pairs:
        return _NO_VALUE, "ours has no such round"
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    if len(differences) < len(pairs):
        missing = len(pairs) - len(differences)
        return _NO_VALUE, f"void: {missing} of {len(pairs)} trials have no counterpart in ours"
    if all(each == 0 for each in differences):
        return _NO_VALUE, ""
    mean = fmean(differences)
    if len(differences) < 3:
        return f"{mean:+.4f}", "too few trials to say"
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1))
    half = quantile * stdev(differences) / len(differences) ** 0.5
    shown = f"{mean:+.4f} +- {half:.4f}"
    if abs(mean) - half > SAME_SCORE:
        return shown, "void: other scores"
    return shown, "equal" if abs(mean) + half <= CLOSE_SCORE else "no difference shown"


def own_table(rounds: Sequence[Round], target: float) -> str:
    """Return how long each took to the target, and in all."""
    ours = {each.number: each for each in rounds if each.contender == OURS}
    rows = [
        "| contender | wall s to the score | x | wall s in all | x | CPU s in all | x "
        "| trials to their end | epochs | best score |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, own in _by_contender(rounds):
        reached = {each.number: seconds_to(each, target) for each in own}
        known = [seconds for seconds in reached.values() if seconds is not None]
        to_score = f"{median(known):.1f}" if known else "not reached"
        if len(known) < len(reached) and known:
            to_score += f" (in {len(known)} of {len(reached)} rounds)"
        ratios: list[float] = []
        for number, seconds in reached.items():
            our_seconds = seconds_to(ours[number], target) if number in ours else None
            if seconds is not None and our_seconds is not None:
                ratios.append(seconds / our_seconds)
        cells = [to_score, f"{median(ratios):.2f}" if ratios else _NO_VALUE]
        for cost in ("wall_s", "cpu_s"):
            cells.append(f"{median(getattr(each.usage, cost) for each in own):.1f}")
            costs = [
                getattr(each.usage, cost) / getattr(ours[each.number].usage, cost)
                for each in own
                if each.number in ours
            ]
            cells.append(f"{median(costs):.2f}" if costs else _NO_VALUE)
        complete = [sum(trial.score is not None for trial in each.trials) for each in own]
        epochs = [sum(trial.epochs for trial in each.trials) for each in own]
        cells += [f"{median(complete):g}", f"{median(epochs):g}"]
        cells.append(f"{median(best_score(each) for each in own):.4f}")
        rows.append(f"| {_named(name)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def seconds_to(this: Round, target: float) -> float | None:
    """Return the wall seconds to the end of the first trial whose score is at least the target."""
    ends = [
        trial.ended_s - this.usage.started_s
        for trial in this.trials
        if trial.score is not None and trial.score >= target
    ]
    return min(ends, default=None)


def best_score(this: Round) -> float:
    """Return the best score of the trials that came to their end; 0 if none did."""
    return max((trial.score for trial in this.trials if trial.score is not None), default=0.0)


def key(config: Config) -> str:
    """Return what two trials of the same configuration have in common."""
    return json.dumps(
        {
            name: float(f"{value:.9g}") if isinstance(value, float) else value
            for name, value in sorted(config.items())
        }
    )


def _by_contender(rounds: Sequence[Round]) -> list[tuple[str, list[Round]]]:
    grouped = {name: [each for each in rounds if each.contender == name] for name in CONTENDERS}
    return [(name, own) for name, own in grouped.items() if own]


def _named(name: str) -> str:
    return f"{name}: {CONTENDERS[name].what}"


def _what(rounds: Sequence[Round]) -> str:
    recipe, machine = rounds[0].recipe, rounds[0].machine
    loads = [each.load_before for each in rounds]
    folds = "/".join(
        ",".join(map(str, each))
        for each in (recipe.train_folds, recipe.val_folds, recipe.test_folds)
    )
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    n_rounds = 1 + max(each.number for each in rounds)
    return (
        f"From recordings to the last of {recipe.n_trials} trials: {recipe.epochs} epochs of "
        f"{NETWORK} with MKD on one of the leads {', '.join(recipe.leads)}, batches of "
        f"{BATCH_SIZE}, a teacher of {recipe.teacher_epochs} epochs, folds {folds} of PTB-XL. "
        f"Contenders in turn, medians of {n_rounds} round(s); x is the median ratio to ours of the "
        "same round. Memory is the highest sum of proportional set sizes over the process tree, "
        "looked at every second; bytes are those of system calls, page cache included, memory maps "
        "not. Scores are macro AUROC on the validation split.\n\n"
        f"{machine['cores']} cores, {machine['cpu']}; Python {machine['python']}, {packages}; "
        f"load before the rounds {min(loads):.1f} to {max(loads):.1f}."
    )
