"""A recording as the usual 12-lead sheet, in axes of matplotlib."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from mvkt_ray.data.drawing.ecg_sheet import SHEET_MM, draw_ecg_in
from mvkt_ray.data.recording import Recording
from mvkt_ray.interface.python_errors import for_python

_MM_PER_INCH = 25.4
_SCALE = 0.8
"""Of a figure that is made here, to the sheet on paper: a notebook is narrower."""


@for_python
def plot_ecg(recording: Recording, ax: Axes | None = None) -> Axes:
    """Draw three rows of four leads and a rhythm strip, on ECG paper.

    >>> axes = plot_ecg(open_shards(shards_dir)[0])
    >>> axes.get_aspect()
    1.0

    Args:
        recording: Any leads, any rate; leads that it lacks are said to be missing.
        ax: Empty axes, which the sheet fills as far as its shape lets it; by default those of a new
            figure of pyplot.

    Returns:
        The axes; one unit in them is a millimetre of the sheet.
    """
    if ax is None:
        size_inches = (_SCALE * SHEET_MM[0] / _MM_PER_INCH, _SCALE * SHEET_MM[1] / _MM_PER_INCH)
        figure = plt.figure(figsize=size_inches, facecolor="white")
        ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    draw_ecg_in(recording, ax)
    return ax
