"""A study's ledger as Optuna sees it, in memory: for its visualization, and for whoever knows it.

Reads: the ledger, while another process may be writing it. What is done to the copy stays there.
"""

import optuna

from mvkt_ray.errors import ArtifactError
from mvkt_ray.search.ledger.ledger import close_storage, open_storage, reading_ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase


def copy_to_memory(database: LedgerDatabase, name: str) -> optuna.Study:
    """Return a copy of all trials of a study, as they are now.

    Raises:
        ArtifactError: The ledger cannot be read, or has no such study.
    """
    source, copy = open_storage(database), optuna.storages.InMemoryStorage()
    try:
        with reading_ledger(database):
            try:
                theirs = source.get_study_id_from_name(database.key_of(name))
            except KeyError:
                raise ArtifactError(
                    f"{database.name} holds no study {name!r}. Check the folder."
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
