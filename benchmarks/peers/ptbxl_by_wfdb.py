"""PTB-XL as its own example reads it: pandas for the table, wfdb for the signals."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

CLASSES = ("CD", "HYP", "MI", "NORM", "STTC")


def read_table(ptbxl: str, folds: Sequence[int]) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Return the rows of some folds that have a diagnosis, and their superclasses `[N, C]`."""
    table = pd.read_csv(Path(ptbxl) / "ptbxl_database.csv", index_col="ecg_id")
    table = table.loc[table["strat_fold"].isin(folds)]
    statements = pd.read_csv(Path(ptbxl) / "scp_statements.csv", index_col=0)
    class_of = statements[statements["diagnostic"] == 1]["diagnostic_class"].to_dict()
    labels = np.zeros((len(table), len(CLASSES)), dtype=np.float32)
    for row, codes in enumerate(table["scp_codes"]):
        for code in ast.literal_eval(codes):
            if code in class_of:
                labels[row, CLASSES.index(class_of[code])] = 1
    has_label = labels.sum(axis=1) > 0
    return table.loc[has_label], labels[has_label]


def read_signals(ptbxl: str, table: pd.DataFrame) -> Iterator[NDArray[np.float32]]:
    """Yield float32 `[12, 1000]` in mV for each row, in its order."""
    for name in table["filename_lr"]:
        record: Any = wfdb.rdsamp(str(Path(ptbxl) / name))
        yield np.ascontiguousarray(record[0].T, dtype=np.float32)
