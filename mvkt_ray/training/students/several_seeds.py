"""A trial of several seeds: one training after the other, and their joint result.

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
    """Train a trial with several seeds, one after the other, and write their joint result.

    Each seed is a separate training with its own checkpoint; its result is kept until the last one
    has ended. Epochs are numbered consecutively over the seeds; those of later seeds are reported
    without a score, so that pruning and racing use the first seed only.

    Args:
        opened: The trial.
        folder: Folder of the trial.
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
        files = trained.leave(folder) if ranks.is_first and seed == 0 else {}
        history = trained.outcome.history
        ended.append(
            StoredResult(recipe=of_seed.recipe, result=result, history=history, files=files)
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
    """Write the joint result of all seeds, with the history of the first."""
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
    """Return the report of a later seed: without scores, epochs numbered after earlier seeds."""
    if n_before == 0:
        return report

    def report_unscored(metrics: EpochMetrics) -> Decision:
        return report(replace(metrics, epoch=n_before + metrics.epoch, macro_auroc=None))

    return report_unscored


def result_of_seeds(results: Sequence[TrialResult]) -> TrialResult:
    """Return a trial's result: means of its seeds' scores, sums of their epochs and times.

    Args:
        results: Results of the seeds, in order; all complete, except the last if that ended the
            trial.
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
