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
    picture = Image.fromarray(pixels[..., :3].copy())
    body = _palette_png(picture, 256)
    return body if max_bytes is None else _reduced(body, picture, max_bytes)


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
        In the same order, small ones as they are: all are held to one size, the largest that fits. Where it is too
        small for legible pictures, they take more than ``max_bytes``.
    """
    limit, left = max_bytes, list(map(len, pictures.values()))
    # Those below their fair share leave their rest to the others.
    while left and (small := [size for size in left if size <= limit / len(left)]):
        limit -= sum(small)
        left = [size for size in left if size not in small]
    share = limit // len(left) if left else max_bytes
    return {
        name: body if len(body) <= share else _reduced(body, Image.open(BytesIO(body)).convert("RGB"), share)
        for name, body in pictures.items()
    }


def _reduced(body: bytes, picture: Image.Image, max_bytes: int) -> bytes:
    """Fewer colours, then fewer pixels, as far as needed; ``body`` itself if it is small enough."""
    for colors, scale in _ATTEMPTS:
        if len(body) <= max_bytes:
            break
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled = picture if scale == 1.0 else picture.resize(size, Image.Resampling.LANCZOS)
        body = _palette_png(scaled, colors)
    return body


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
    return _palette_png(picture.resize(size, Image.Resampling.LANCZOS), 256)


def _palette_png(picture: Image.Image, colors: int) -> bytes:
    """Encode with the most frequent colours exact and the rest mapped to the nearest of a median cut."""
    packed = np.asarray(picture.convert("RGBA")).view("<u4")[..., 0]
    inked = packed != _WHITE
    # Most of a picture is paper: sorting only what is drawn on it takes a tenth of the time.
    found, which, count = np.unique(packed[inked], return_inverse=True, return_counts=True)
    # Flat areas and the cores of lines are few, frequent colours; antialiased edges are many rare ones.
    order = np.lexsort((found, -count))
    frequent, rare = order[: colors * 3 // 4 - 1], order[colors * 3 // 4 - 1 :]
    table = _unpack(np.append(found[frequent], _WHITE))
    index = np.empty(len(found), dtype=np.uint8)
    index[frequent] = np.arange(len(frequent))
    if rare.size:
        wanted = _unpack(found[rare])
        cut = Image.fromarray(wanted[None]).quantize(
            colors - len(table), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        table = np.concatenate([table, np.reshape(cut.getpalette() or [], (-1, 3)).astype(np.uint8)])[:colors]
        index[rare] = _nearest(wanted, table)
    indices = np.full(packed.shape, len(frequent), dtype=np.uint8)
    indices[inked] = index[which]
    encoded = Image.fromarray(indices)
    encoded.putpalette(table.tobytes())
    body = BytesIO()
    # The highest level takes seven times as long and saves a tenth of the size.
    encoded.save(body, "PNG", compress_level=6)
    return body.getvalue()


def _nearest(wanted: NDArray[np.uint8], table: NDArray[np.uint8]) -> IntArray:
    """Index of the nearest colour in a table; not Pillow's own mapping, which rounds colours to six bits."""
    colors = table.astype(np.float32)
    # Of the squared distance to each colour of the table, what depends on that colour; exact below 2^24.
    nearest: IntArray = ((colors**2).sum(axis=1) - 2 * wanted.astype(np.float32) @ colors.T).argmin(axis=1)
    return nearest


def _unpack(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Red, green and blue from one number each; shape (n, 3)."""
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].copy()
