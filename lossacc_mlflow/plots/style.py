"""One look for every picture: colours, type, axes, titles.

Nothing here reads or sets matplotlib's ``rcParams``: a training script may have changed them to its own taste, and
the pictures of two runs must look the same.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from lossacc_mlflow.plots.text import typeface
from lossacc_mlflow.records import Split, Verdict

__all__ = [
    "BLUE",
    "DPI",
    "GREEN",
    "GRID",
    "INK",
    "MUTED",
    "RUN_COLORS",
    "SIZE",
    "SKY",
    "SPLIT_COLORS",
    "SPLIT_DASHES",
    "VERDICT_COLORS",
    "VERMILLION",
    "add_axes",
    "color_key",
    "fit_text",
    "header",
    "new_figure",
    "put",
    "readable",
    "set_label",
    "set_ticks",
    "text_size",
    "tint",
    "with_codes",
]

# Okabe and Ito (2008), "Color Universal Design": distinct under every common kind of colour blindness.
INK: Final = "#1f2328"
MUTED: Final = "#59636e"
GRID: Final = "#e3e6ea"
BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
VERMILLION: Final = "#D55E00"
RUN_COLORS: Final = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", SKY, "#000000", "#7a6a00", "#5b3a8c", "#8c2d04")

SPLIT_COLORS: Final[dict[Split, str]] = {"train": BLUE, "validation": VERMILLION, "test": GREEN}
SPLIT_DASHES: Final[dict[Split, Any]] = {
    "train": (0, (5.0, 1.8)),
    "validation": "-",
    "test": (0, (1.2, 1.4)),
}
VERDICT_COLORS: Final[dict[Verdict, str]] = {
    "diverged": VERMILLION,
    "not_learning": VERMILLION,
    "overfitting": VERMILLION,
    "loss_overfitting": VERMILLION,
    "underfitting": VERMILLION,
    "unstable": VERMILLION,
    "still_improving": BLUE,
    "healthy": GREEN,
    "not_enough_information": MUTED,
}

DPI: Final = 110
WIDTH: Final = 9.5
SIZE: Final = 10.5
"""Type size of labels in points; titles are larger, nothing is below 10 where there is room."""


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """White figure of the house's width, with a canvas that can measure text; ``height`` and ``width`` in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", edgecolor="none")
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes between four positions in pixels from the lower left corner of the figure."""
    width, height = figure.bbox.size
    axes = figure.add_axes((left / width, bottom / height, (right - left) / width, (top - bottom) / height))
    axes.set_facecolor("white")
    axes.grid(visible=False)
    axes.tick_params(which="both", direction="out", color=MUTED, width=0.8, length=3.5)
    axes.minorticks_off()
    for side, spine in axes.spines.items():
        spine.set(color=MUTED, linewidth=0.8, visible=side in {"left", "bottom"})
    axes.set_axisbelow(True)
    return axes


def put(
    where: Axes | Figure,
    x: float,
    y: float,
    text: str,
    *,
    size: float = SIZE,
    color: str = INK,
    weight: str = "normal",
    **options: Any,  # noqa: ANN401  (passed on to Text)
) -> Text:
    """Draw text literally: no mathtext, no TeX, a font for every glyph that this machine can draw."""
    return where.text(x, y, text, fontsize=size, color=color, **typeface(text, weight), **options)


def set_ticks(axis: Axis, positions: Sequence[float], labels: Sequence[str], *, size: float = SIZE) -> None:
    """Put ticks at fixed positions, with labels that are drawn literally."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(list(positions)))
    axis.set_major_formatter(FixedFormatter(list(labels)))
    axis.offsetText.set_visible(False)
    look = typeface("".join(labels))
    for label in axis.get_ticklabels():
        label.set(fontsize=size, color=INK, **look)
    for tick in axis.get_major_ticks():
        tick.label2.set_parse_math(False)  # not shown, and has the same text


def set_label(axis: Axis, text: str) -> None:
    """Name an axis, literally."""
    axis.set_label_text(text, fontsize=SIZE, color=MUTED, **typeface(text))
    axis.labelpad = 4.0
    if isinstance(axis, YAxis):
        # At the edge of the figure, wherever the tick labels end: they can be wider than matplotlib expects.
        box = axis.axes.get_window_extent()
        axis.set_label_coords((24 - box.x0) / box.width, 0.5)


def with_codes(title: str, codes: Sequence[str]) -> str:
    """Add the findings that a picture shows to its title.

    Examples
    --------
    >>> with_codes("Who carries the loss?", ["DIS005", "DIS008"]), with_codes("Who carries the loss?", [])
    ('Who carries the loss? — DIS005 · DIS008', 'Who carries the loss?')
    """
    return f"{title} — {' · '.join(codes)}" if codes else title


def header(
    figure: Figure, title: str, lines: Sequence[str] = (), *, left: float = 16, accent: str = VERMILLION
) -> float:
    """Draw the title and up to a few muted lines under it at the top left, and return the free height in pixels.

    A title ``name — verdict`` has its last part drawn in the colour ``accent``.
    """
    width, height = figure.bbox.size
    name, dash, rest = title.rpartition(" — ")
    room = width - 2 * left
    rest_width = text_size(figure, f" — {rest}", size=14, weight="bold")[0] if dash else 0.0
    name = fit_text(figure, name if dash else title, room - rest_width, size=14, weight="bold")
    top = height - 12
    put(figure, left / width, top / height, name, size=14, weight="bold", va="top")
    if dash:
        x = left + text_size(figure, name, size=14, weight="bold")[0]
        put(figure, x / width, top / height, f" — {rest}", size=14, weight="bold", va="top", color=accent)
    top -= 30
    for line in lines:
        put(figure, left / width, top / height, fit_text(figure, line, room), color=MUTED, va="top")
        top -= 19
    return float(top) - 6


def color_key(figure: Figure, y: float, items: Sequence[tuple[str, str]], *, left: float = 16) -> None:
    """Write a line of swatches with their meaning; ``items`` are (colour, text), ``y`` the middle in pixels."""
    width, height = figure.bbox.size
    for color, text in items:
        patch = Rectangle((left, y - 6), 13, 13, facecolor=color, edgecolor=MUTED, linewidth=0.5, transform=None)
        figure.add_artist(patch)
        put(figure, (left + 19) / width, y / height, text, va="center_baseline", color=MUTED)
        left += 19 + text_size(figure, text)[0] + 22


def text_size(figure: Figure, text: str, size: float = SIZE, weight: str = "normal") -> tuple[float, float]:
    """Width and height of a text in pixels, line breaks included."""
    return _measure(text, size, weight, figure.dpi)


@lru_cache(maxsize=4096)
def _measure(text: str, size: float, weight: str, dpi: float) -> tuple[float, float]:
    """Size of a text on a figure of that resolution; remembered, because words and numbers come again and again."""
    figure = Figure(figsize=(1, 1), dpi=dpi)
    FigureCanvasAgg(figure)
    box = put(figure, 0, 0, text, size=size, weight=weight, linespacing=1.2).get_window_extent()
    return float(box.width), float(box.height)


def fit_text(
    figure: Figure, text: str, room: float, *, size: float = SIZE, weight: str = "normal", keep_end: bool = False
) -> str:
    """Cut a text with … so that it is at most ``room`` pixels wide; ``keep_end`` cuts in the middle."""

    def cut(length: int) -> str:
        tail = length // 2 if keep_end else 0
        return text[: length - tail].rstrip() + "…" + (text[-tail:].lstrip() if tail else "")

    if text_size(figure, text, size=size, weight=weight)[0] <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_size(figure, cut(middle), size=size, weight=weight)[0] <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return cut(low)


def tint(color: str, strength: float) -> str:
    """Mix a colour with white; 0 is white, 1 the colour itself. Opaque, so that overlaps do not darken."""
    parts = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - strength * (255 - p)):02x}" for p in parts)


def readable(color: str) -> str:
    """Darken a colour as far as text on white needs; lines and areas keep the bright one."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    brightness = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    factor = min(1.0, 0.42 / max(brightness, 1e-9))
    return "#" + "".join(f"{round(factor * c):02x}" for c in (red, green, blue))
