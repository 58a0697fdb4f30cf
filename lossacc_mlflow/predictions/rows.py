"""A block of rows → a few numbers a row: the only place where a summary looks at single probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.blocks import Block, Floats, Tile, make_tiles
from lossacc_mlflow.predictions.probabilities import Repairs, mend_tile, refuse, rounding
from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["RowFigures", "judge_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class RowFigures:
    """What is known of every row of a block; arrays of shape (n_rows,), NaN where it is not known.

    Parameters
    ----------
    y_true, y_pred : ndarray of int64
    confidence, p_true, brier : ndarray of float64
    entropy, variance : ndarray of float64
        Mean and variance of the log loss, in nats, if the true class were drawn from the probabilities.
    weight : ndarray of float64, or None
    """

    y_true: IntArray
    y_pred: IntArray
    confidence: FloatArray
    p_true: FloatArray
    brier: FloatArray
    entropy: FloatArray
    variance: FloatArray
    weight: FloatArray | None

    def __len__(self) -> int:
        return len(self.y_true)


def judge_rows(block: Block) -> tuple[RowFigures, Repairs]:
    """Compute what the summary needs of every row.

    Parameters
    ----------
    block : Block

    Returns
    -------
    rows : RowFigures
    repairs : Repairs

    Raises
    ------
    PredictionsError
        If a row is no distribution.
    """
    n, matrix = len(block), block.y_proba
    y_pred = np.empty(n, dtype=np.int64)
    squares, entropy, square_log = np.empty((3, n))
    every, repairs, scratch = np.arange(n), Repairs(), _Scratch()
    mended: list[tuple[slice, FloatArray, FloatArray]] = []
    # Zeros make a NaN of p ln p: they are looked for when there is one, and from then on.
    with np.errstate(divide="ignore", invalid="ignore"):
        for cut in make_tiles(matrix):
            tile, found = mend_tile(cut, matrix)
            rows = tile.rows
            first, second = scratch.moments(tile)
            if scratch.has_zeros or not np.isfinite(first).all():
                tile, n_negative = _without_negatives(tile, matrix)
                if n_negative or not scratch.has_zeros:
                    found += Repairs(n_negative=n_negative)
                    scratch.has_zeros = True
                    first, second = scratch.moments(tile)
            entropy[rows], square_log[rows] = -first, second
            y_pred[rows] = tile.argmax()
            squares[rows] = tile.dot(tile.values, tile.values)
            if tile is not cut:
                answer, truth = tile.take(tile.values, y_pred[rows]), tile.take(tile.values, block.y_true[rows])
                mended.append((rows, answer, truth))
                repairs += found
    confidence, p_true = (matrix[every, classes].astype(np.float64) for classes in (y_pred, block.y_true))
    for rows, mended_confidence, mended_p_true in mended:
        confidence[rows], p_true[rows] = mended_confidence, mended_p_true
    figures = RowFigures(
        y_true=block.y_true,
        y_pred=y_pred,
        confidence=confidence,
        p_true=p_true,
        brier=squares - 2 * p_true + 1,
        entropy=entropy,
        variance=np.maximum(square_log - entropy**2, 0),
        weight=block.weight,
    )
    return figures, repairs


class _Scratch:
    """Room for the logarithms of a tile, taken once a block."""

    def __init__(self) -> None:
        self.has_zeros = False
        self._log: Floats | None = None

    def moments(self, tile: Tile) -> tuple[FloatArray, FloatArray]:
        """Sums of p ln p and of p ln² p over the classes of every row."""
        values = tile.values
        if self._log is None or self._log.shape != values.shape:
            self._log = np.empty_like(values)
        log = self._log
        if self.has_zeros:  # 0 ln 0 = 0
            np.maximum(values, np.finfo(values.dtype).tiny, out=log)
            np.log(log, out=log)
        else:
            np.log(values, out=log)
        first = tile.dot(values, log)
        np.square(log, out=log)
        return first, tile.dot(values, log)


def _without_negatives(tile: Tile, matrix: NDArray[np.generic]) -> tuple[Tile, int]:
    lowest = float(tile.values.min())
    if lowest >= 0:
        return tile, 0
    if lowest < -rounding(matrix.dtype):
        refuse(matrix)
    negative = (tile.values < 0).any(axis=0 if tile.by_class else 1)
    return Tile(tile.rows, np.maximum(tile.values, 0), tile.by_class), int(negative.sum())
