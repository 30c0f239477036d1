"""Time and cost of a search, predicted from its own trials or from those of a similar study.

Reads: the ledger of the study that the prediction rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import has_ledger, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.forecast import Forecast, forecast
from mvkt_ray.slots import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarStudy:
    """Another study, from whose trials time and cost are predicted."""

    name: str
    """Its folder, for people."""
    n_epochs: int
    """Of a trial that is not pruned."""
    trials: tuple[TrialRecord, ...]


def read_similar_study(folder: StudyFolder) -> SimilarStudy:
    """Read the trials of a study once, to predict others from them.

    Raises:
        ArtifactError: There is no study, or its ledger is damaged.
        StoreError: Its store refuses, or does not answer.
    """
    folder.expect_study()
    config = folder.read_config()
    return SimilarStudy(
        name=str(folder.root),
        n_epochs=config.trial_epochs,
        trials=read_trials(folder, config.name),
    )


def read_trials(folder: StudyFolder, name: str) -> tuple[TrialRecord, ...]:
    """Read the trials in the ledger of a study; none where it has no ledger yet.

    Raises:
        ArtifactError: The ledger is damaged.
        StoreError: Its store refuses, or does not answer.
    """
    if not folder.root.is_local and not has_ledger(folder):
        return ()
    with reading(folder) as database:
        ledger = Ledger.find(database, name)
        if ledger is None:
            return ()
        ledger.close()
        return tuple(ledger.records)


def predict(
    config: StudyConfig,
    trials: Sequence[TrialRecord],
    similar: SimilarStudy | None,
    *,
    nodes: Sequence[Node],
    one_at_a_time: bool,
) -> Forecast | None:
    """Predict what is left of a study; None where nothing is known to predict it from.

    Args:
        config: The study.
        trials: Its own trials so far. Once one of them is complete, they alone are looked at.
        similar: Another study.
        nodes: The nodes that there are now.
        one_at_a_time: Whether trials never run side by side.
    """
    ended = [record for record in trials if record.state.is_finished]
    if any(record.state is TrialState.COMPLETE for record in ended):
        basis, n_epochs, name = tuple(ended), config.trial_epochs, "this study"
    elif similar is not None:
        basis, n_epochs, name = similar.trials, similar.n_epochs, similar.name
    else:
        return None
    return forecast(
        config,
        n_ended=len(ended),
        basis=basis,
        basis_epochs=n_epochs,
        basis_name=name,
        nodes=nodes,
        one_at_a_time=one_at_a_time,
    )
