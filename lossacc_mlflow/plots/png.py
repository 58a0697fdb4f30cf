"""Figures as small PNG files."""

from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lossacc_mlflow.records import IntArray

__all__ = ["shrink_png", "to_png"]


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
    attempts = [(256, 1.0), (64, 1.0), (32, 1.0), (16, 1.0), (16, 0.75), (8, 0.5)]
    body = b""
    for colors, scale in attempts:
        size = (round(picture.width * scale), round(picture.height * scale))
        scaled = picture if scale == 1.0 else picture.resize(size, Image.Resampling.LANCZOS)
        body = _palette_png(scaled, colors)
        if max_bytes is None or len(body) <= max_bytes:
            break
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
    pixels = np.asarray(picture).astype(np.int64)
    packed, which, count = np.unique(pixels @ np.array([65536, 256, 1]), return_inverse=True, return_counts=True)
    # Flat areas and the cores of lines are few, frequent colours; antialiased edges are many rare ones.
    frequent = packed[np.lexsort((packed, -count))[: colors * 3 // 4]]
    rare = np.setdiff1d(packed, frequent)
    table = _unpack(frequent)
    if rare.size:
        remains = Image.fromarray(_unpack(rare).astype(np.uint8)[None])
        cut = remains.quantize(colors - len(frequent), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        table = np.concatenate([table, np.reshape(cut.getpalette() or [], (-1, 3))])[:colors]
    # Not Pillow's own mapping: it rounds colours to six bits, which turns white into light grey.
    nearest = np.concatenate(
        [
            ((part[:, None] - table[None]) ** 2).sum(axis=2).argmin(axis=1)
            for part in np.array_split(_unpack(packed), 16)
        ]
    )
    encoded = Image.fromarray(nearest.astype(np.uint8)[which].reshape(pixels.shape[:2]))
    encoded.putpalette(table.astype(np.uint8).tobytes())
    body = BytesIO()
    encoded.save(body, "PNG", optimize=True)
    return body.getvalue()


def _unpack(packed: IntArray) -> IntArray:
    """Red, green and blue from one number each; shape (n, 3)."""
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
