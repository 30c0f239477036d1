"""A trial of several seeds: trained from one after the other, and what they come to together.

Reads and writes: the trial's folder, see `trial_files`.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from mvkt_ray.records import Decision, EpochMetrics, TrialResult, TrialState
from mvkt_ray.storage.manifest import fingerprint_of
from mvkt_ray.training.course import Report
from mvkt_ray.training.students.one_training import replay, train_once
from mvkt_ray.training.students.opened_trial import OpenedTrial
from mvkt_ray.training.trial_files import StoredResult, TrialFolder


def run_seeds(opened: OpenedTrial, folder: TrialFolder, report: Report) -> TrialResult:
    """Train a trial from several seeds, one after the other, and write what they came to together.

    Each seed is a training of its own with a checkpoint of its own, and what it came to is kept
    until the last has ended. Their epochs are counted on, so that a report tells how far the trial
    is; those of later seeds come without a score, as nobody decides by it.

    Args:
        opened: The trial.
        folder: Its own.
        report: See `run_trial`.

    Raises:
        ConfigError: See `run_trial`.
        DataError: Likewise.
    """
    ranks = opened.ranks
    seeds = [
        replace(opened, trial=replace(opened.trial, repetition=seed))
        for seed in range(opened.inputs.n_seeds(opened.trial))
    ]
    recipes = [each.recipe for each in seeds]
    recipe = fingerprint_of(recipes)
    content = ranks.from_first(folder.result_content() if ranks.is_first else None)
    stored = folder.parse_result(content, recipe)
    if stored is not None:
        if ranks.is_first:
            folder.discard_checkpoint()
            folder.seeds.delete()
        return replay(stored, report, ranks)

    content = ranks.from_first(folder.seeds_content() if ranks.is_first else None)
    ended = folder.parse_seeds(content, recipes)
    results = [
        replay(each, _counted_on(report, seed * opened.epochs), ranks)
        for seed, each in enumerate(ended)
    ]
    for seed, of_seed in enumerate(seeds[len(ended) :], start=len(ended)):
        trained = train_once(of_seed, folder, _counted_on(report, seed * opened.epochs))
        result = trained.result
        results.append(result)
        if result.state is TrialState.RUNNING:
            return replace(result_of_seeds(results), reason=result.reason)
        left = trained.leave(folder) if ranks.is_first and seed == 0 else {}
        history = trained.outcome.history
        ended.append(
            StoredResult(recipe=of_seed.recipe, result=result, history=history, files=left)
        )
        if ranks.is_first:
            folder.write_seeds(ended)
            folder.discard_checkpoint()
        if result.state is not TrialState.COMPLETE:
            break
    return _end(opened, folder, recipe, ended)


def _end(
    opened: OpenedTrial, folder: TrialFolder, recipe: str, ended: Sequence[StoredResult]
) -> TrialResult:
    """Write the result of a trial of several seeds; its curve is that of the first."""
    results = [each.result for each in ended]
    whole = result_of_seeds(results)
    if opened.ranks.is_first:
        is_complete = whole.state is TrialState.COMPLETE
        folder.write_result(
            opened.trial,
            whole,
            ended[0].history,
            recipe=recipe,
            facts=opened.facts | {"seeds": [each.macro_auroc for each in results]},
            files=ended[0].files if is_complete else {},
        )
        folder.discard_checkpoint()
        folder.seeds.delete()
        if not is_complete:
            folder.student.delete()
            folder.validation.delete()
    return whole


def _counted_on(report: Report, n_before: int) -> Report:
    """Report epochs that come after those of other seeds, which nobody decides by."""
    if n_before == 0:
        return report

    def tell(metrics: EpochMetrics) -> Decision:
        return report(replace(metrics, epoch=n_before + metrics.epoch, macro_auroc=None))

    return tell


def result_of_seeds(results: Sequence[TrialResult]) -> TrialResult:
    """Return what a trial came to: the means of its seeds' scores, and the sums of what they took.

    Args:
        results: Of the seeds, the first first. Each was complete, but for the last where that ended
            the trial.
    """
    first, last = results[0], results[-1]
    taken = replace(
        last,
        epochs=sum(each.epochs for each in results),
        wall_s=sum(each.wall_s for each in results),
        cpu_s=sum(each.cpu_s for each in results),
        latency_ms=first.latency_ms,
    )
    if last.state is not TrialState.COMPLETE:
        where = f"seed {len(results) - 1}: " if len(results) > 1 else ""
        return replace(taken, reason=f"{where}{last.reason}")
    scores = [each.macro_auroc for each in results if each.macro_auroc is not None]
    return replace(
        taken,
        macro_auroc=fmean(scores) if scores else None,
        per_class_auroc={
            name: fmean(each.per_class_auroc[name] for each in results)
            for name in first.per_class_auroc
        },
    )
