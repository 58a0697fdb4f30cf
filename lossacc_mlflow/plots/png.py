"""Figures as small PNG files."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from lossacc_mlflow.records import IntArray

__all__ = ["fit_pngs", "shrink_png", "to_png"]

_WHITE = 0xFFFFFFFF
_ATTEMPTS = ((64, 1.0), (32, 1.0), (16, 1.0), (16, 0.75), (8, 0.5))
"""Colours and scale by which a picture is made smaller, step by step; below half the size it is not legible."""


def to_png(figure: Figure, *, max_bytes: int | None = None) -> bytes:
    """Render a figure as a small PNG with a palette; the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
    max_bytes : int, optional
        Use fewer colours, then fewer pixels, until the file is no larger (or the picture no longer legible:
        never below half the size).

    Returns
    -------
    bytes
        Without time stamps or other metadata.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    body = _palette_png(pixels.view("<u4")[..., 0], 256)
    return body if max_bytes is None else fit_pngs({"": body}, max_bytes)[""]


def fit_pngs(pictures: Mapping[str, bytes], max_bytes: int) -> dict[str, bytes]:
    """Make pictures smaller until all together take no more than so many bytes.

    Parameters
    ----------
    pictures : mapping of str to bytes
        PNG by name.
    max_bytes : int
        For all of them.

    Returns
    -------
    dict of str to bytes
        In the same order. The largest ones get fewer colours first; none gets fewer pixels before all have few colours.
        Where there is too little room for legible pictures, they take more than ``max_bytes``.
    """
    fitted = dict(pictures)
    for colors, scale in _ATTEMPTS:
        for name in sorted(fitted, key=lambda name: -len(fitted[name])):
            if sum(map(len, fitted.values())) <= max_bytes:
                return fitted
            # Fewer colours can break up long runs of one: not every picture gets smaller.
            fitted[name] = min(fitted[name], _reduced(pictures[name], colors, scale), key=len)
    return fitted


def shrink_png(body: bytes, width: int) -> bytes:
    """Make a smaller copy of a picture, for places that show pictures at their natural size and cut them off.

    Parameters
    ----------
    body : bytes
        PNG.
    width : int
        In pixels; a picture that is no wider comes back as it is.

    Returns
    -------
    bytes
    """
    picture = Image.open(BytesIO(body)).convert("RGB")
    if picture.width <= width:
        return body
    size = (width, round(picture.height * width / picture.width))
    return _palette_png(_packed(picture.resize(size, Image.Resampling.LANCZOS)), 256)


def _reduced(body: bytes, colors: int, scale: float) -> bytes:
    """Encode a PNG again, with fewer colours and pixels."""
    picture = Image.open(BytesIO(body)).convert("RGB")
    if scale != 1.0:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _palette_png(_packed(picture), colors)


def _packed(picture: Image.Image) -> NDArray[np.uint32]:
    """Red, green, blue and alpha of every pixel in one number; shape (height, width)."""
    packed: NDArray[np.uint32] = np.asarray(picture.convert("RGBA")).view("<u4")[..., 0]
    return packed


def _palette_png(packed: NDArray[np.uint32], colors: int) -> bytes:
    """Encode with the most frequent colours exact and the rest mapped to the nearest of a median cut."""
    # Most neighbours are alike: sorting only the beginnings of runs takes a tenth of the time.
    flat = packed.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    length = np.diff(starts, append=len(flat))
    found, which = np.unique(flat[starts], return_inverse=True)
    count = np.bincount(which, weights=length)
    count[found == _WHITE] = len(flat)  # paper is always exact
    # Flat areas and the cores of lines are few, frequent colours; antialiased edges are many rare ones.
    order = np.lexsort((found, -count))
    frequent, rare = order[: colors * 3 // 4], order[colors * 3 // 4 :]
    table = _unpack(found[frequent])
    index = np.empty(len(found), dtype=np.uint8)
    index[frequent] = np.arange(len(frequent))
    if rare.size:
        wanted = _unpack(found[rare])
        cut = Image.fromarray(wanted[None]).quantize(
            colors - len(table), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        table = np.concatenate([table, np.reshape(cut.getpalette() or [], (-1, 3)).astype(np.uint8)])[:colors]
        index[rare] = _nearest(wanted, table)
    encoded = Image.fromarray(np.repeat(index[which], length).reshape(packed.shape))
    encoded.putpalette(table.tobytes())
    body = BytesIO()
    # The highest level takes seven times as long and saves a tenth of the size.
    encoded.save(body, "PNG", compress_level=6)
    return body.getvalue()


def _nearest(wanted: NDArray[np.uint8], table: NDArray[np.uint8]) -> IntArray:
    """Index of the nearest colour in a table; not Pillow's own mapping, which rounds colours to six bits."""
    colors = table.astype(np.float32)
    # Not by BLAS, whose threads would go on spinning, picture after picture, on the cores of the next training.
    products = np.einsum("ic,jc->ij", wanted.astype(np.float32), colors)
    # Of the squared distance to each colour of the table, what depends on that colour; exact below 2^24.
    nearest: IntArray = ((colors**2).sum(axis=1) - 2 * products).argmin(axis=1)
    return nearest


def _unpack(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Red, green and blue from one number each; shape (n, 3)."""
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].copy()
