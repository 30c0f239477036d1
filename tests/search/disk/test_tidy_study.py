from typing import TYPE_CHECKING

import pytest

from mvkt_ray.errors import AllFailedError
from mvkt_ray.records import NOTHING_USED, TrialResult, TrialState
from mvkt_ray.search.disk.tidy_study import TidyStudy
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    from conftest import Lab


def tidy_of(lab: "Lab", study: Study) -> TidyStudy:
    return TidyStudy(study, study, Location.parse(lab.folder / "trials"))


def test_a_checkpoint_goes_when_the_failure_is_in_the_ledger_and_never_before(lab: "Lab") -> None:
    study = lab.open(lab.config(n_trials=6, stop_after_failures=3))
    tidy = tidy_of(lab, study)

    def end_next(state: TrialState, *, retriable: bool = False) -> bool:
        """Tell how the next trial ended; return whether its checkpoint is still there."""
        trial = tidy.ask()
        assert trial is not None
        file = lab.folder / "trials" / f"{trial.number:05d}" / "checkpoint.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"weights")
        result = TrialResult(number=trial.number, state=state, reason="x", retriable=retriable)
        try:
            tidy.tell(result, NOTHING_USED)
        finally:
            there = file.exists()
            assert there == (study.trials()[trial.number].state is not TrialState.FAILED)
        return there

    # It is given out again, and goes on from there.
    assert end_next(TrialState.FAILED, retriable=True)
    # One that was stopped by a limit goes on in another start.
    assert end_next(TrialState.RUNNING)
    assert not end_next(TrialState.FAILED)
    assert not end_next(TrialState.FAILED)
    with pytest.raises(AllFailedError):
        end_next(TrialState.FAILED)
    study.close()
