"""The verbs `ingest`, `search` and `finalize` as functions that return the opened result.

Each shows its progress, in a notebook or a terminal, unless `progress` is False. Errors are
`MvktError`s. The same call continues interrupted finals; with `resume=True`, an ingest or a search.
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

    Unusable recordings are listed in the result's `quarantine`, with the reason.

    Args:
        source: Kind of the dataset: `ptbxl`, `wfdb`, `synthetic` and so on.
        path: Folder or URI of the dataset; unused by `synthetic`.
        out: Folder or URI of the shards; new or empty.
        options: Options of the source.
        rate: Sampling rate of the shards in Hz.
        rows_per_shard: Recordings per file; one file is one task.
        leads: Leads to store; all twelve by default.
        flat_leads: Treatment of recordings with a flat lead.
        missing_leads: Treatment of recordings without one of the leads.
        uncalibrated: Treatment of recordings whose files state no gain or no sampling rate.
        n_folds: Patient-disjoint folds to make for a source without folds.
        seed: Seed of these folds.
        compression: Compression of files; `zstd` is smaller, but prevents memory-mapping.
        strict: Whether to stop at the first unusable recording.
        address: Address of a Ray cluster; by default Ray is started on this machine.
        in_process: Whether to run in this process, without Ray.
        resume: Whether to continue an interrupted ingest.
        progress: Whether to show the progress.

    Raises:
        ConfigError: An argument is wrong.
        DataError: The dataset is unusable, or `out` holds something else.
        ClusterError: The cluster is unreachable.
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
    """Search for the best lead, as `mvkt search` does: missing stages, trials, report.

    Args:
        study: A study file, or a study as an object; optional with `resume`.
        out: Folder or URI of the study.
        data: Shards, or the folder of the dataset; unused by `synthetic`.
        teacher: Folder of a trained teacher to use instead of training one.
        ledger: Database of the ledger in PostgreSQL, `postgresql://USER@HOST:PORT/DATABASE`.
        folds: Folds of the three splits instead of the study's, as `1-7/8/9`.
        max_trials: Number of trials instead of the study's.
        time_budget: Time after which no trial is started, as `30m` or `2h`.
        max_gpu_hours: Limit in GPU hours, teacher and earlier runs included.
        max_cost: Limit in money, teacher and earlier runs included; needs prices.
        prices: File with prices of node types instead of the study's.
        trackers: `mlflow=URI`, `wandb=PROJECT` or `tensorboard=DIR`.
        address: Address of a Ray cluster; by default Ray is started on this machine.
        in_process: Whether to run in this process, without Ray.
        resume: Whether to continue an interrupted search.
        like: Folder of a study from whose trials time and cost are predicted before own ones exist.
        progress: Whether to show the progress.

    Raises:
        ConfigError: An argument, or the study, is wrong.
        DataError: The data are unusable, or `out` holds something else.
        ClusterError: The cluster is unreachable, or unsuitable for the study.
        AllFailedError: Trials fail one after the other.
        MachineError: The machine fails; `resume=True` continues.
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
    """Train the chosen configurations with several seeds, and examine them on the test split.

    As `mvkt finalize` does. The returned study has its finals; the given object stays unchanged.

    Args:
        study: An opened study, or its folder or URI.
        config: Study file with other `finals`; everything else must be equal.
        seeds: Number of seeds per configuration.
        top_k: Number of best configurations per lead to compare.
        refit: Whether to train on the training and validation splits together.
        again: Reason for opening the test split again, stated in the report.
        start_over: Whether to abandon unopened finals of another configuration.
        without_failed: Whether to examine without failed trainings.
        now: Whether to choose before the search has ended.
        max_gpu_hours: Limit in GPU hours, teacher and search included.
        max_cost: Limit in money, teacher and search included; needs prices.
        prices: File with prices of node types instead of the study's.
        address: Address of a Ray cluster; by default Ray is started on this machine.
        in_process: Whether to run in this process, without Ray.
        progress: Whether to show the progress.

    Raises:
        ConfigError: An argument is wrong, or the search has not ended.
        ArtifactError: There is no study, it is damaged, or another process drives it.
        TrialError: A training failed.
        ClusterError: The cluster is unreachable, or unsuitable for the study.
        MachineError: The machine fails; the same call continues.
    """
    given = passed_on(locals(), "study", "config", "progress")
    folder = study.path if isinstance(study, Study) else study
    call = finals_call(folder, study=config, **given)
    train_and_examine(Output.open(quiet=not progress), call)
    return open_study(folder)
