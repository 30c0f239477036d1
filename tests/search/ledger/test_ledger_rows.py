import math
from typing import TYPE_CHECKING

import optuna

from mvkt_ray.search.ledger.ledger_rows import LEAD, read_trials

if TYPE_CHECKING:
    from conftest import Lab


def test_rows_are_read_as_optuna_reads_them(lab: "Lab") -> None:
    study = lab.open(lab.config(n_trials=12, leads=("II",)))
    lab.run(study)
    storage = optuna.storages.RDBStorage(lab.url)
    running = storage.create_new_trial(1)
    for epoch, value in enumerate((math.nan, math.inf, -math.inf, 0.5), start=1):
        storage.set_trial_intermediate_value(running, epoch, value)
    of_finals = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "lab.finals-01")
    storage.create_new_trial(of_finals)
    ours = read_trials(storage.engine, 1)
    theirs = storage.get_all_trials(1)
    storage.remove_session()
    storage.engine.dispose()
    assert len(ours) == len(theirs) == 13
    for own, frozen in zip(ours, theirs, strict=True):
        assert own.number == frozen.number
        assert own.started_at == frozen.datetime_start
        assert own.ended_at == frozen.datetime_complete
        assert own.parameters == list(frozen.params)
        assert own.attributes == frozen.user_attrs
        assert repr(own.values) == repr(frozen.intermediate_values)
    assert LEAD in ours[0].parameters
