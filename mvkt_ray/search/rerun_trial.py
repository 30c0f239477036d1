"""A finished trial trained again, in this process, to compare its numbers with the ledger's.

Reads: the study's folder. Writes: a folder that is thrown away.
"""

from mvkt_ray.errors import ConfigError, DataError
from mvkt_ray.records import TrialResult
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.stages import prepare
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import threads_for, torch_threads
from mvkt_ray.training.student import run_trial


def rerun_trial(
    folder: StudyFolder, number: int, scratch: Location
) -> tuple[TrialResult, TrialResult]:
    """Train a finished trial again, in this process, and return the new and the recorded result.

    Raises:
        ConfigError: There is no such trial, or it has not ended.
    """
    config, study = open_study(folder)
    study.close()
    records = {record.trial.number: record for record in study.trials()}
    record = records.get(number)
    if record is None or record.result is None:
        finished = [n for n, other in records.items() if other.result is not None]
        raise ConfigError(
            f"trial {number} is not a finished trial of {folder.root}. Finished are "
            f"{len(finished)} of {len(records)} trials; `mvkt status` lists them."
        )
    recorded = record.result
    location = folder.read_inputs()["shards"]
    if location is None:
        raise DataError(f"{folder.inputs_file} names no shards. Run `mvkt search --resume` first.")
    inputs = trial_inputs(
        config, StudyFolder(folder.root), prepare(config, location), study.cpu_precision
    )
    stop = study.stop_at(recorded)
    workers = config.resources.of_trial(record.trial.hyperparameters)
    # Sums over threads have an order of their own: with more of them the numbers differ.
    with torch_threads(threads_for(workers.cpus)):
        again = run_trial(record.trial, inputs.writing_to(str(scratch)), stop)
    return again, recorded
