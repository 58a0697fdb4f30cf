"""What one asks of a figure in tests: its parts by name, its words, and that nothing overlaps."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from lossacc_mlflow import plots
from lossacc_mlflow.plots.labels import Box


def by_gid(figure: Figure, gid: str) -> list[Any]:
    return list(figure.findobj(lambda artist: artist.get_gid() == gid))


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def written(figure: Figure) -> Iterator[tuple[str, Box]]:
    """Every upright text that one sees, with its rectangle in pixels."""
    plots.to_png(figure)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_rotation() in {0.0, 90.0}:
            extent = text.get_window_extent()
            yield text.get_text(), Box(extent.x0, extent.y0, extent.x1, extent.y1)


def check_layout(figure: Figure) -> None:
    """No text is cut off by the edge, and none overlaps another."""
    width, height = figure.bbox.size
    boxes = list(written(figure))
    for text, box in boxes:
        assert Box(0, 0, width, height).contains(box), f"{text!r} leaves the figure"
    for (first, a), (second, b) in combinations(boxes, 2):
        # Boxes include the room above and below the letters: a touch of two pixels is none of the ink.
        assert not a.overlaps(b, -2.0), f"{first!r} overlaps {second!r}"
