"""Views: what a model sees of a recording, a value that goes into every fingerprint downstream."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from mvkt_ray.config.data_config import ViewConfig
from mvkt_ray.data.recording import LEADS, canonical_lead
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.shards import Shards, check_leads
from mvkt_ray.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Leads, crops, and one scale for all leads."""

    leads: tuple[str, ...]
    """Leads, in canonical order."""
    crop_samples: int
    """Length of a training crop, and of an evaluation window."""
    grid_samples: int
    """Training crops start at multiples of it."""
    stride_samples: int
    """Evaluation windows start at multiples of it; the last one ends with the recording."""
    mean_mv: float
    """Mean of the training split over all leads of the shards."""
    std_mv: float

    def with_leads(self, leads: Sequence[str]) -> "View":
        """Return the view of a model that sees some of these leads, on the same scale.

        Raises:
            DataError: A lead is not among these.
        """
        check_leads(leads, self.leads)
        return replace(self, leads=tuple(lead for lead in self.leads if lead in leads))

    def n_crops(self, n_samples: int | np.ndarray) -> np.ndarray:
        """Return how many training crops recordings of these lengths have; at least 1.

        A recording shorter than the crop has one: it is repeated until the crop is full.
        """
        room = np.maximum(np.asarray(n_samples, dtype=np.int64) - self.crop_samples, 0)
        return room // self.grid_samples + 1

    def n_windows(self, n_samples: int | np.ndarray) -> np.ndarray:
        """Return how many evaluation windows recordings of these lengths have; at least 1."""
        room = np.maximum(np.asarray(n_samples, dtype=np.int64) - self.crop_samples, 0)
        return -(-room // self.stride_samples) + 1

    def window_starts(self, window: np.ndarray, n_samples: int | np.ndarray) -> np.ndarray:
        """Return where windows begin, given their numbers and the lengths of their recordings.

        They ascend with the number, and every sample of a recording is in some window.
        """
        room = np.maximum(np.asarray(n_samples, dtype=np.int64) - self.crop_samples, 0)
        return np.minimum(window * self.stride_samples, room)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "leads": list(self.leads)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "View":
        """Return the view that `to_json` described."""
        return cls(**{**value, "leads": tuple(value["leads"])})


def fit_view(
    shards: Shards, train_rows: np.ndarray, leads: Sequence[str], config: ViewConfig
) -> View:
    """Make the view of a study from its training recordings.

    One mean and one deviation over all samples of all leads, as in the PTB-XL benchmark (Strodthoff
    et al. 2020), so that teacher and students see the same numbers. The sums lie in the shards, of
    each recording, so no signal is read. They are of whole numbers, and so exact: neither the order
    nor the number of shards matters.

    Args:
        shards: Whose leads are all counted, whichever of them are opened.
        train_rows: int64, rows of the training split; no others are read.
        leads: That the model sees; empty for all.
        config: Crop, grid and stride in seconds.

    Raises:
        ConfigError: A length is less than one sample.
        DataError: There is no such lead, or the training recordings are constant.
    """
    leads = [canonical_lead(lead) or lead for lead in leads]
    check_leads(leads, shards.leads)
    lengths = {
        name: _samples(name, getattr(config, name), shards.sampling_rate_hz)
        for name in ("crop_s", "grid_s", "stride_s")
    }
    mean_mv, std_mv = _mean_and_deviation(shards, np.asarray(train_rows))
    if not std_mv > 0:
        raise DataError(
            f"the {len(train_rows)} training recordings are constant ({mean_mv:g} mV), so they "
            "cannot be scaled. Check the recordings with mvkt inspect."
        )
    return View(
        leads=tuple(lead for lead in LEADS if lead in (leads or shards.leads)),
        crop_samples=lengths["crop_s"],
        grid_samples=lengths["grid_s"],
        stride_samples=lengths["stride_s"],
        mean_mv=mean_mv,
        std_mv=std_mv,
    )


def _samples(name: str, seconds: float, sampling_rate_hz: int) -> int:
    n_samples = round(seconds * sampling_rate_hz)
    if n_samples < 1:
        raise ConfigError(
            f"view.{name} is {seconds!r} s, less than one sample at {sampling_rate_hz} Hz; "
            f"set it to {1 / sampling_rate_hz:g} s or more."
        )
    return n_samples


def _mean_and_deviation(shards: Shards, rows: np.ndarray) -> tuple[float, float]:
    n, total, total_of_squares = shards.sums(rows)
    if n == 0:
        return 0.0, 0.0
    mean = Fraction(total, n)
    variance = Fraction(total_of_squares, n) - mean * mean
    return float(mean) * MV_PER_BIT, float(variance) ** 0.5 * MV_PER_BIT
