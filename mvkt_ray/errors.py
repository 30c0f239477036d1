"""Every error that mvkt-ray raises on purpose.

MvktError
  + ConfigError            a study file, search space or option is wrong
  + DataError              recordings or artifacts are wrong
  |   + RecordingError     one recording cannot be used (it goes to quarantine)
  |   + ArtifactError      an artifact is missing, unfinished, damaged or in the way
  |   + StoreError         an object store or a database refuses, or its URI is wrong
  |   |   + StoreUnreachableError it does not answer (may be retried)
  |   + StaleArtifactError an artifact was made from something else than what it is used with
  + TrialError             one trial cannot go on
  |   + TrialDivergedError its loss or its predictions are not finite
  |   + WorkerLostError    its process or its node is gone (may be retried)
  |   |   + PreemptedError the node was taken back, as Ray had been told (no failure)
  + AllFailedError         trials of a study fail one after the other
  + ClusterError           the Ray cluster cannot do what is asked
  + MachineError           disk, memory, GPU or installation fail; nothing in the input is wrong

A message is a finished text with three parts: what is wrong with which value, what would be right,
and what to do. Each class also inherits the built-in error that it refines, and survives pickling.
"""

from typing import ClassVar


class MvktError(Exception):
    """Base of all errors raised on purpose; the command line prints it as one paragraph."""

    retriable: ClassVar[bool] = False
    """Whether a trial that ended with this error should be retried unchanged."""


class ConfigError(MvktError, ValueError):
    """A study file, a search space or an option is wrong."""


class DataError(MvktError, ValueError):
    """Recordings, labels, folds or artifacts are wrong."""


class RecordingError(DataError):
    """One recording cannot be used; `reason` is the short word that quarantine counts by."""

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message, reason)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        """Short word for the cause, for example `flat_lead`."""
        return str(self.args[1])


class ArtifactError(DataError):
    """An artifact is missing, unfinished, damaged, or already there."""


class StoreError(DataError):
    """An object store or a database refuses, or what it was asked for cannot be named so."""


class StoreUnreachableError(StoreError):
    """An object store or a database does not answer; asking again later may help."""

    retriable = True


class StaleArtifactError(DataError):
    """An artifact was made from other inputs than those it is used with."""


class TrialError(MvktError, RuntimeError):
    """One trial cannot go on; the study does."""


class TrialDivergedError(TrialError):
    """The loss or the predictions of a trial are not finite."""


class WorkerLostError(TrialError):
    """The process or the node of a trial is gone; the trial goes on from its checkpoint."""

    retriable = True


class PreemptedError(WorkerLostError):
    """The node of a trial was taken back, after Ray had been told; that counts as no failure."""


class AllFailedError(MvktError, RuntimeError):
    """Trials fail one after the other, by their own doing: the study stops before all have."""


class ClusterError(MvktError, RuntimeError):
    """The Ray cluster cannot do what is asked of it."""


class MachineError(MvktError, RuntimeError):
    """The machine fails under the work: a full disk, no memory, a GPU that is gone, other code.

    Nothing in the input is wrong, and no trial is to blame: the command stops with exit code 1, and
    what was in progress goes on with `--resume`.
    """
