"""The test split is closed to whoever has no opening, and holds what the folds say to who has."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.held_out import open_test_split
from mvkt_ray.data.shards import Shards
from mvkt_ray.errors import DataError
from mvkt_ray.search.finals.openings import Opening

Make = Callable[..., Any]
FOLDS = FoldsConfig(train=(1, 2), val=(3,), test=(4,))


@pytest.fixture(scope="module")
def shards(
    tmp_path_factory: pytest.TempPathFactory, ingested: Make, make_recording: Make
) -> Shards:
    recordings = [make_recording(number) for number in range(24)]
    recordings += [make_recording(24 + number, codes=("other",)) for number in range(8)]
    return ingested(tmp_path_factory.mktemp("data") / "shards", recordings, rows_per_shard=10)


@pytest.fixture
def opening(shards: Shards) -> Opening:
    """As `mvkt finalize` writes it into the ledger, of six recordings."""
    return Opening.now(
        number=1,
        finals=1,
        reason="",
        n_recordings=6,
        shards=shards,
        task=shards.tasks["ab"],
        folds=FOLDS,
        min_likelihood=0.0,
    )


def test_an_opening_gives_the_labelled_recordings_of_the_test_folds(
    shards: Shards, opening: Opening
) -> None:
    split = open_test_split(shards, shards.tasks["ab"], FOLDS, 0.0, opening)
    assert split.name == "test"
    assert split.rows.tolist() == [n for n in range(24) if n % 4 == 3]
    assert split.record_ids.tolist()[:2] == ["r003", "r007"]
    assert split.patient_ids.tolist()[0] == "p003"
    every = shards.labels(shards.tasks["ab"])
    assert split.labels.tolist() == every[split.rows].tolist()
    assert split.classes == ("A", "B")


def test_without_an_opening_it_stays_closed(shards: Shards) -> None:
    with pytest.raises(DataError, match=r"records no opening.*`mvkt finalize`"):
        open_test_split(shards, shards.tasks["ab"], FOLDS, 0.0, None)


def test_an_opening_that_is_over_opens_nothing(shards: Shards, opening: Opening) -> None:
    over = opening.complete("0" * 64)
    with pytest.raises(DataError, match="this opening ended"):
        open_test_split(shards, shards.tasks["ab"], FOLDS, 0.0, over)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shards": "f" * 64}, "opening is for shards ffffffffffff"),
        ({"split": "f" * 64}, "opening is for split ffffffffffff"),
        ({"n_recordings": 7}, "has 6 recordings, but was opened for 7"),
    ],
)
def test_an_opening_of_something_else_opens_nothing(
    shards: Shards, opening: Opening, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        open_test_split(shards, shards.tasks["ab"], FOLDS, 0.0, replace(opening, **change))


def test_an_opening_of_other_folds_opens_nothing(shards: Shards, opening: Opening) -> None:
    other = FoldsConfig(train=(1, 2), val=(4,), test=(3,))
    with pytest.raises(DataError, match="opening is for split"):
        open_test_split(shards, shards.tasks["ab"], other, 0.0, opening)


def test_a_patient_in_two_splits_keeps_it_closed(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number) for number in range(12)]
    recordings[3] = replace(recordings[3], patient_id=recordings[0].patient_id)
    shards = ingested(tmp_path / "shards", recordings)
    opening = Opening.now(
        number=1,
        finals=1,
        reason="",
        n_recordings=3,
        shards=shards,
        task=shards.tasks["ab"],
        folds=FOLDS,
        min_likelihood=0.0,
    )
    with pytest.raises(DataError, match="train and test would share it"):
        open_test_split(shards, shards.tasks["ab"], FOLDS, 0.0, opening)
