from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import mvkt_ray as mvkt
from mvkt_ray.data.recording import Recording


@pytest.fixture
def recording(shards_dir: Path) -> Recording:
    return mvkt.open_shards(shards_dir)[0]


def test_a_sheet_fills_the_axes_that_are_given_and_nothing_beside_them(
    recording: Recording,
) -> None:
    figure = Figure((12, 4), dpi=100)
    left, right = figure.subplots(1, 2)
    left.set_axis_off()
    assert mvkt.plot_ecg(recording, ax=right) is right
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    room = right.get_window_extent()
    beside = drawn[:, int(left.get_window_extent().x1) + 2 : int(room.x0) - 2]
    assert (beside == 255).all()
    assert (drawn[:, int(room.x0) : int(room.x1)] < 200).any()
    names = {text.get_text() for text in right.texts}
    assert set(mvkt.LEADS) <= names
    assert all(text.get_fontsize() < 14 for text in right.texts)


def test_a_lead_that_is_missing_is_said_to_be(recording: Recording) -> None:
    few = Recording(
        source="x$_y$",
        record_id="r",
        patient_id="p",
        signal_mv=recording.signal_mv[:1],
        sampling_rate_hz=100.0,
        leads=("I",),
    )
    axes = mvkt.plot_ecg(few, ax=Figure().subplots())
    assert {"I", "V5 (missing)"} <= {text.get_text() for text in axes.texts}


def test_without_axes_it_makes_a_figure_of_pyplot(recording: Recording) -> None:
    from matplotlib import pyplot as plt

    with mpl.rc_context({"backend": "agg"}):
        before = set(plt.get_fignums())
        axes = mvkt.plot_ecg(recording)
        (made,) = set(plt.get_fignums()) - before
        assert plt.figure(made) is axes.get_figure()
        plt.close(made)
