"""`mvkt extend`: more trials of a study that is there, as if it had been asked for them at once."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.failures import GOES_ON_WITH
from mvkt_ray.cli.options import (
    Address,
    DryRun,
    Folder,
    InProcess,
    MaxCost,
    MaxGpuHours,
    Prices,
    TimeBudget,
    Trackers,
    VerbOutput,
)
from mvkt_ray.interface.arguments import passed_on

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.study_folder import StudyFolder


def extend_verb(
    output: VerbOutput,
    context: typer.Context,
    folder: Folder,
    trials: Annotated[int, typer.Option(metavar="N", help="Number of trials to add.")],
    time_budget: TimeBudget = None,
    max_gpu_hours: MaxGpuHours = None,
    max_cost: MaxCost = None,
    prices: Prices = None,
    trackers: Trackers = None,
    address: Address = None,
    in_process: InProcess = False,
    dry_run: DryRun = False,
) -> None:
    """Add trials to a study, finished or not, as if it had had the total number from the start.

    Each call adds N. After an interruption do not repeat it: run the command that it prints, which
    is `mvkt search --resume` with the total number of trials.
    Example: mvkt extend study --trials 24
    """
    given = passed_on(locals(), "output", "context", "folder", "trials", "dry_run")
    from mvkt_ray.cli.searching import answer_search, show_plan
    from mvkt_ray.interface.search_run import search_call
    from mvkt_ray.search.same_study import extended

    folder.expect_study()
    config = extended(folder.read_config(), trials)
    call = search_call(config, out=str(folder.root), resume=True, **given)
    if dry_run:
        show_plan(output, call)
        return
    n_trials = call.config.search.n_trials
    context.meta[GOES_ON_WITH] = _resume_line(folder, n_trials, address, in_process=in_process)
    output.say(f"extending {call.config.name} by {trials} to {n_trials} trials")
    report = answer_search(output, call).facts
    if report.test_split.opened:
        output.note(
            "Note: the test split was opened before these trials. The results of the finals "
            "stand for the configurations chosen then; choosing again opens it once more, which "
            "needs a reason: "
            f"{shlex.join(['mvkt', 'finalize', str(folder.root), '--again', 'REASON'])}"
        )


def _resume_line(
    folder: "StudyFolder", n_trials: int, address: str | None, *, in_process: bool
) -> str:
    """Write what comes to the same trials, however far the study was extended."""
    words = ["--max-trials", str(n_trials)]
    if address is not None:
        words += ["--address", address]
    if in_process:
        words.append("--in-process")
    return f"{folder.resume_line} {shlex.join(words)}"
