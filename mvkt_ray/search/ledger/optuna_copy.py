"""A copy of a study as an `optuna.Study` in memory, for Optuna's visualization and analyses.

Reads: the ledger, while another process may be writing it. Changes of the copy do not affect it.
"""

import optuna

from mvkt_ray.errors import ArtifactError
from mvkt_ray.search.ledger.ledger import close_storage, open_storage, reading_ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase


def copy_to_memory(database: LedgerDatabase, name: str) -> optuna.Study:
    """Return a copy of a study with the current state of its trials.

    Raises:
        ArtifactError: The ledger cannot be read, or does not have the study.
    """
    source, copy = open_storage(database), optuna.storages.InMemoryStorage()
    try:
        with reading_ledger(database):
            try:
                theirs = source.get_study_id_from_name(database.key_of(name))
            except KeyError:
                raise ArtifactError(
                    f"{database.name} holds no study {name!r}. Give the folder that `mvkt search "
                    "--out` wrote."
                ) from None
            own = copy.create_new_study(source.get_study_directions(theirs), name)
            for key, value in source.get_study_user_attrs(theirs).items():
                copy.set_study_user_attr(own, key, value)
            for key, value in source.get_study_system_attrs(theirs).items():
                copy.set_study_system_attr(own, key, value)
            for trial in source.get_all_trials(theirs, deepcopy=False):
                copy.create_new_trial(own, template_trial=trial)
    finally:
        close_storage(source)
    return optuna.load_study(study_name=name, storage=copy)
