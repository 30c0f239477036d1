"""A study's folder around a long ledger: what `mvkt status` and `mvkt report` read of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.training.trial_files import TrialFolder

from .long_studies import EPOCHS, make_ledger


def make_study_folder(folder: Path, finished: Path, n_trials: int) -> StudyFolder:
    """Make the folder of a study of made-up trials.

    Args:
        folder: Is made.
        finished: Folder of a study that has ended: its shards, teacher and knowledge are the
            made-up study's, too. Every complete trial predicts what one of its trials did, shaken.
        n_trials: Of the made-up study.
    """
    real, made = (StudyFolder(Location.parse(each)) for each in (finished, folder))
    left = ("trials", "ledger.db", "report", real.stages_file.name, real.teacher_usage_file.name)
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(*left))
    config = real.read_config()
    config = replace(
        config,
        search=replace(config.search, n_trials=n_trials),
        student=replace(config.student, epochs=EPOCHS),
    )
    made.write_config(config)
    for stage, seconds in real.stage_times().items():
        made.add_stage_time(stage, seconds)
    if (used := real.read_teacher_usage()) is not None:
        made.write_teacher_usage(used)
    ledger = Ledger.open(make_ledger(folder, config), config.name)
    ledger.close()
    [first, *_] = sorted((finished / "trials").glob("*/validation.arrow"))
    with pa.ipc.open_file(first) as reader:
        table = reader.read_all().combine_chunks()
    rng = np.random.default_rng(0)
    for record in ledger.records:
        trial = TrialFolder.of(made.trials, record.number)
        trial.location.make_directory()
        if record.macro_auroc is not None:
            _write_shaken(table, rng, trial.validation.local_path)
    return made


def _write_shaken(table: pa.Table, rng: np.random.Generator, file: Path) -> None:
    """Write predictions that differ from those of a table by noise."""
    [column] = table["probabilities"].chunks
    flat = column.flatten().to_numpy()
    shaken = np.clip(flat + rng.normal(0, 0.05, flat.shape), 0, 1).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(shaken), column.type.list_size)
    place = table.column_names.index("probabilities")
    changed = table.set_column(place, table.schema.field(place), lists)
    with pa.ipc.new_file(file, changed.schema) as writer:
        writer.write_table(changed)
