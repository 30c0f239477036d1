"""The unit of work of a study: one student trained with one set of hyper-parameters.

Reads: shards, and the teacher or its knowledge. Writes: the trial's own folder, see `trial_files`.
"""

import platform

from mvkt_ray.errors import ArtifactError, MachineError, MvktError, PreemptedError
from mvkt_ray.machine_faults import GOES_ON, is_out_of_gpu_memory, machine_fault
from mvkt_ray.records import Trial, TrialResult, TrialState
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.training.course import Report
from mvkt_ray.training.students.one_training import replay, train_once
from mvkt_ray.training.students.opened_trial import open_trial
from mvkt_ray.training.students.several_seeds import run_seeds
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.trial_files import TrialFolder


def run_trial(trial: Trial, inputs: TrialInputs, report: Report) -> TrialResult:
    """Train one student, from its checkpoint if it has one, and write its result.

    The same in this process, in a Ray worker, and on every rank of a process group, where the
    first rank reports and writes. All randomness derives from (study seed, trial number,
    repetition): the same trial gives the same numbers again, interrupted or not.

    An ended trial is not trained again: its epochs are reported and its result is returned, as a
    driver may have died before it committed them. If its result or its checkpoint is damaged, or
    of another trial, it is trained from the start, with a warning in the log.

    Args:
        trial: Number, condition and hyper-parameters.
        inputs: Common inputs of the study's trials.
        report: Called once per epoch, validated or not, after the epoch's checkpoint is written,
            and again for all epochs of a checkpoint; returns the decision to continue or to end.

    Returns:
        COMPLETE, PRUNED or DIVERGED; `macro_auroc` is that of the last validated epoch. RUNNING
        after a decision to stop: the same call resumes the trial from its checkpoint.

    Raises:
        ConfigError: A hyper-parameter is wrong, or there are more ranks than a batch has examples.
        DataError: The shards lack the lead, or an artifact is missing, damaged, or made from other
            inputs.
        MachineError: This process lacks a plug-in of the study.
    """
    opened = open_trial(trial, inputs)
    ranks, folder = opened.ranks, TrialFolder.of(inputs.trials, trial.number)
    if inputs.n_seeds(trial) > 1:
        return run_seeds(opened, folder, report)
    content = ranks.from_first(folder.result_content() if ranks.is_first else None)
    stored = folder.parse_result(content, opened.recipe)
    if stored is not None:
        if ranks.is_first:
            # The process that wrote the result may have died before this.
            folder.discard_checkpoint()
        return replay(stored, report, ranks)

    trained = train_once(opened, folder, report)
    if ranks.is_first and trained.result.state.is_finished:
        folder.write_result(
            trial,
            trained.result,
            trained.outcome.history,
            recipe=opened.recipe,
            facts=opened.facts,
            files=trained.leave(folder),
        )
        folder.discard_checkpoint()
    return trained.result


def failed_result(trial: Trial, error: BaseException) -> TrialResult:
    """Return the result of a trial that an error ended."""
    text = " ".join(str(error).split())
    return TrialResult(
        number=trial.number,
        state=TrialState.FAILED,
        reason=f"{type(error).__name__}: {text}",
        retriable=is_out_of_gpu_memory(error) or (isinstance(error, MvktError) and error.retriable),
        preempted=isinstance(error, PreemptedError),
        node=platform.node(),
    )


def machine_fault_behind(error: BaseException, inputs: TrialInputs) -> MachineError | None:
    """Return the machine's fault behind a trial's error; None: the trial itself is the cause.

    Args:
        error: The trial's error; must be called on the same machine.
        inputs: Inputs of the trial: if one has disappeared, the machine is the cause.
    """
    fault = machine_fault(error, in_trial=True)
    if fault is not None or not isinstance(error, ArtifactError):
        return fault
    if isinstance(error.__cause__, OSError):
        # A file of an artifact that was whole when the study began.
        return machine_fault(error.__cause__, in_trial=True)
    for name, location in inputs.read.items():
        if location is not None and not (Location.parse(location) / MANIFEST_NAME).exists():
            return MachineError(
                f"The machine fails: the study's {name} is no longer at {location} ({error}) Has "
                f"a disk been unmounted, or a folder been moved? {GOES_ON}"
            )
    return None
