"""Reports without their images, which take longer to render than tiny trials to train."""

import pytest


def skip_images(patch: pytest.MonkeyPatch) -> None:
    """Do all that a report is made of, but for the rendering of its images."""
    render = "matplotlib.backends.backend_svg.FigureCanvasSVG.print_svg"
    patch.setattr(render, lambda _, file, **__: file.write("<g />"))
