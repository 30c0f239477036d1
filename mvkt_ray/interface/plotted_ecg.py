"""Plots a recording as the usual 12-lead sheet in matplotlib axes."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from mvkt_ray.data.drawing.ecg_sheet import SHEET_MM, draw_ecg_in
from mvkt_ray.data.recording import Recording
from mvkt_ray.interface.python_errors import for_python

_MM_PER_INCH = 25.4
_SCALE = 0.8
"""Scale of a new figure relative to paper, as a notebook is narrower."""


@for_python
def plot_ecg(recording: Recording, ax: Axes | None = None) -> Axes:
    """Draw three rows of four leads and a rhythm strip, on ECG paper.

    >>> axes = plot_ecg(open_shards(shards_dir)[0])
    >>> axes.get_aspect()
    1.0

    Args:
        recording: Recording with any leads at any sampling rate; missing leads are marked.
        ax: Empty axes, which the sheet fills as far as its aspect ratio allows; by default axes of
            a new pyplot figure.

    Returns:
        The axes, whose unit is a millimetre of the sheet.
    """
    if ax is None:
        size_inches = (_SCALE * SHEET_MM[0] / _MM_PER_INCH, _SCALE * SHEET_MM[1] / _MM_PER_INCH)
        figure = plt.figure(figsize=size_inches, facecolor="white")
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_ecg_in(recording, ax)
    return ax
