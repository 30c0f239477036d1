"""The verbs `ingest`, `search` and `finalize` as functions that return the opened result.

Each shows how far it is unless `progress` is False, in a notebook as at a terminal. What is wrong
is an `MvktError`; a call that was interrupted goes on with the same arguments, an ingest and a
search with `resume=True`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.display.console import Output
from mvkt_ray.interface.arguments import passed_on
from mvkt_ray.interface.finals_run import finals_call, train_and_examine
from mvkt_ray.interface.ingest_run import ingest_call, ingest_recordings
from mvkt_ray.interface.opened_shards import ShardSet, open_shards
from mvkt_ray.interface.opened_study import Study, open_study
from mvkt_ray.interface.python_errors import for_python
from mvkt_ray.interface.search_run import search_call, search_study


@for_python
def ingest(
    source: str,
    path: str | Path = "-",
    *,
    out: str | Path,
    options: Mapping[str, Any] | None = None,
    rate: int = 100,
    rows_per_shard: int = 2048,
    leads: Sequence[str] | None = None,
    flat_leads: Literal["quarantine", "keep"] = "quarantine",
    missing_leads: Literal["quarantine", "keep"] = "quarantine",
    uncalibrated: Literal["quarantine", "keep"] = "keep",
    n_folds: int = 10,
    seed: int = 0,
    compression: Literal["none", "zstd"] = "none",
    strict: bool = False,
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> ShardSet:
    """Turn the recordings of a dataset into shards, as `mvkt ingest` does.

    Recordings that cannot be used are in `quarantine` of what is returned, with their reason.

    Args:
        source: Kind of the dataset: `ptbxl`, `wfdb`, `synthetic` and so on.
        path: Its folder, or the URI of it; nothing for `synthetic`.
        out: Folder of the shards, or its URI; new or empty.
        options: Of the source.
        rate: Sampling rate of the shards, in Hz.
        rows_per_shard: Recordings in one file; one file is one task.
        leads: To take; all twelve by default.
        flat_leads: What becomes of recordings with a flat lead.
        missing_leads: What becomes of recordings that lack a lead.
        uncalibrated: What becomes of recordings whose files state no gain or no sampling rate.
        n_folds: Patient-disjoint folds to make where the source has none.
        seed: Of the folds that are made.
        compression: `zstd` is smaller, but cannot be memory-mapped as it is.
        strict: Stop at the first recording that cannot be used.
        address: Of a Ray cluster; by default a Ray of its own is started.
        in_process: Do the work in this process, without Ray.
        resume: Go on with what an interrupted ingest left.
        progress: Show how far it is.

    Raises:
        ConfigError: An argument is wrong.
        DataError: The dataset, or what is at `out`, cannot be used.
        ClusterError: The cluster cannot be reached.
        MachineError: The disk is full, or fails.
    """
    call = ingest_call(**passed_on(locals(), "progress"))
    ingest_recordings(Output.open(quiet=not progress), call)
    return open_shards(out)


@for_python
def search(
    study: str | Path | StudyConfig | None = None,
    *,
    out: str | Path,
    data: str | Path | None = None,
    teacher: str | Path | None = None,
    ledger: str | None = None,
    folds: str | None = None,
    max_trials: int | None = None,
    time_budget: str | None = None,
    max_gpu_hours: float | None = None,
    max_cost: float | None = None,
    prices: str | Path | None = None,
    trackers: Sequence[str] = (),
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
    like: str | Path | None = None,
    progress: bool = True,
) -> Study:
    """Search for the best lead, as `mvkt search` does: every missing stage, the trials, the report.

    Args:
        study: A study file, or a study that was built here; may be left out with `resume`.
        out: Folder of the study, or its URI.
        data: Shards, or the folder of the dataset; not needed by `synthetic`.
        teacher: Folder of a trained teacher to use instead of training one.
        ledger: Keep the ledger in PostgreSQL: `postgresql://USER@HOST:PORT/DATABASE`.
        folds: Of the three splits instead of those of the study, as `1-7/8/9`.
        max_trials: Trials in all, instead of the study's.
        time_budget: Start no trial after this time, as `30m` or `2h`.
        max_gpu_hours: Stop after so many GPU hours, teacher and earlier starts included.
        max_cost: Stop after so much money, likewise; needs prices.
        prices: File with prices of node types, instead of the study's.
        trackers: `mlflow=URI`, `wandb=PROJECT` or `tensorboard=DIR`.
        address: Of a Ray cluster; by default a Ray of its own is started.
        in_process: Do the work in this process, without Ray.
        resume: Go on with what an interrupted search left.
        like: Predict time and cost from this study's trials, while there are no own ones.
        progress: Show how far it is.

    Raises:
        ConfigError: An argument, or the study, is wrong.
        DataError: The data, or what is at `out`, cannot be used.
        ClusterError: The cluster cannot be reached, or does not do.
        AllFailedError: Trials fail one after the other.
        MachineError: The machine fails; all goes on with `resume=True`.
    """
    call = search_call(**passed_on(locals(), "progress"))
    output = Output.open(quiet=not progress)
    done = search_study(output, call)
    done.report.expect_written()
    if done.why_stopped:
        output.note(done.why_stopped)
    return Study.of(done.report)


@for_python
def finalize(
    study: str | Path | Study,
    *,
    config: str | Path | StudyConfig | None = None,
    seeds: int | None = None,
    top_k: int | None = None,
    refit: bool = False,
    again: str | None = None,
    start_over: bool = False,
    without_failed: bool = False,
    now: bool = False,
    max_gpu_hours: float | None = None,
    max_cost: float | None = None,
    prices: str | Path | None = None,
    address: str | None = None,
    in_process: bool = False,
    progress: bool = True,
) -> Study:
    """Train what was chosen again with several seeds, and open the test split once.

    As `mvkt finalize` does. The study that is returned is the one after its finals; the one that
    was given stays as it was.

    Args:
        study: An opened study, or its folder or URI.
        config: Take `finals` from this study file; the rest must be the same study.
        seeds: Of each configuration.
        top_k: Compare the best configurations of each lead, so many.
        refit: Train on the training and validation splits together.
        again: Why the test split is opened again; the report says so.
        start_over: Leave behind unopened finals of another configuration.
        without_failed: Examine without trainings that failed.
        now: Choose although the search has not ended.
        max_gpu_hours: Stop after so many GPU hours, teacher and search included.
        max_cost: Stop after so much money, likewise; needs prices.
        prices: File with prices of node types, instead of the study's.
        address: Of a Ray cluster; by default a Ray of its own is started.
        in_process: Do the work in this process, without Ray.
        progress: Show how far it is.

    Raises:
        ConfigError: An argument is wrong, or the search has not ended.
        ArtifactError: There is no study, or it is damaged, or another process drives it.
        TrialError: A training failed.
        ClusterError: The cluster cannot be reached, or does not do.
        MachineError: The machine fails; the same call goes on.
    """
    given = passed_on(locals(), "study", "config", "progress")
    folder = study.path if isinstance(study, Study) else study
    call = finals_call(folder, study=config, **given)
    train_and_examine(Output.open(quiet=not progress), call)
    return open_study(folder)
