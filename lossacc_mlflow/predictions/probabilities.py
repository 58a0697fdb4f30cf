"""What may pass as probabilities, what is mended on the way, and what is refused."""

from dataclasses import dataclass
from math import inf
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.blocks import Tile, make_tiles, working_type
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import FloatArray
from lossacc_mlflow.wording import number

__all__ = ["Repairs", "cut_rows", "mend_tile", "probability_array", "refuse", "rounding"]

_TOLERANCE = 1e-2
"""How far a row may miss a sum of 1: bfloat16 does by several thousandths. Beyond that it is something else."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Repairs:
    """What was done to rows before anything was computed; adds up over blocks.

    Parameters
    ----------
    n_rescaled : int
        Rows that were divided by their sum.
    lowest, highest : float
        Of the sums of these rows.
    n_negative : int
        Rows in which a negative entry of the size of a rounding error became 0.
    n_above_one : int
        Entries of a single column that became 1.
    """

    n_rescaled: int = 0
    lowest: float = inf
    highest: float = -inf
    n_negative: int = 0
    n_above_one: int = 0

    def __add__(self, other: "Repairs") -> "Repairs":
        return Repairs(
            self.n_rescaled + other.n_rescaled,
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            self.n_negative + other.n_negative,
            self.n_above_one + other.n_above_one,
        )

    def describe(self, n_samples: int) -> tuple[str, ...]:
        """Say what was done, one sentence each."""
        notes = []
        if self.n_rescaled:
            notes.append(
                f"{self.n_rescaled:,} of {n_samples:,} rows of probabilities summed to {self.lowest:.6g} .. "
                f"{self.highest:.6g} and were divided by their sum."
            )
        if self.n_negative:
            notes.append(
                f"{self.n_negative:,} of {n_samples:,} rows of probabilities held negative entries of the size of a "
                "rounding error, which were taken as 0."
            )
        if self.n_above_one:
            notes.append(f"{self.n_above_one:,} of {n_samples:,} probabilities were above 1 and were taken as 1.")
        return tuple(notes)


def probability_array(y_proba: ArrayLike) -> NDArray[Any]:
    """Read probabilities without copying them.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples, n_classes), (n_samples,) or (n_samples, 1)

    Returns
    -------
    ndarray of a real number type, of shape (n_samples, n_classes), or (n_samples,) for one column

    Raises
    ------
    PredictionsError
        If they are no numbers, or the shape is another, or there is a single class.
    """
    try:
        proba = np.asarray(y_proba)
        if proba.dtype.kind not in "biuf" or proba.dtype.itemsize > 8:
            proba = proba.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"y_proba holds values that are no numbers: {error}") from error
    if proba.ndim == 2 and proba.shape[1] == 1:
        if len(proba) and bool((proba == 1).all()):
            raise PredictionsError(
                "y_proba has one column, which is 1 throughout: there is one class, and loss and accuracy say "
                "nothing. Pass the probability of every class, or for two classes that of the second."
            )
        proba = proba[:, 0]
    if proba.ndim not in (1, 2) or (proba.ndim == 2 and proba.shape[1] == 0):
        raise PredictionsError(
            f"y_proba has shape {proba.shape}; wanted (n_samples, n_classes) with at least one sample, or "
            "(n_samples,) for two classes."
        )
    return proba


def cut_rows(proba: NDArray[Any], rows: slice) -> tuple[NDArray[Any], Repairs]:
    """Return some rows as a matrix; of one column, the probabilities of both classes.

    Parameters
    ----------
    proba : ndarray
        As `probability_array` returns it.
    rows : slice

    Returns
    -------
    matrix : ndarray of shape (n_rows, n_classes)
        A view, except of one column.
    repairs : Repairs

    Raises
    ------
    PredictionsError
        If a value of a single column is no probability.
    """
    if proba.ndim == 2:
        return proba[rows], Repairs()
    second = proba[rows]
    second = second if second.dtype.kind == "f" else second.astype(np.float64)
    low, high = -rounding(second.dtype), 1 + max(_TOLERANCE, rounding(second.dtype))
    if len(second) and not (second.min() >= low and second.max() <= high):
        refuse(proba)
    n_negative, n_above = int(np.count_nonzero(second < 0)), int(np.count_nonzero(second > 1))
    if n_negative or n_above:
        second = np.clip(second, 0, 1)
    return np.column_stack([1 - second, second]), Repairs(n_negative=n_negative, n_above_one=n_above)


def mend_tile(tile: Tile, matrix: NDArray[Any]) -> tuple[Tile, Repairs]:
    """Divide rows by their sum where they miss 1 by more than rounding.

    Parameters
    ----------
    tile : Tile
        Of ``matrix``.
    matrix : ndarray of shape (n_rows, n_classes)

    Returns
    -------
    tile : Tile
        The same one where nothing had to be mended.
    repairs : Repairs

    Raises
    ------
    PredictionsError
        If a row is no distribution.
    """
    allowed = rounding(matrix.dtype)
    total = tile.total(tile.values)
    if bool((np.abs(total - 1) < allowed / 2).all()):  # float32 sums of many classes are not better than that
        return tile, Repairs()
    total = tile.values.sum(axis=0 if tile.by_class else 1, dtype=np.float64)
    worst = float(np.abs(total - 1).max())
    if not worst <= max(_TOLERANCE, allowed):
        refuse(matrix)
    if worst <= allowed:
        return tile, Repairs()
    off = np.abs(total - 1) > allowed
    values = tile.values / tile.spread(np.where(off, total, 1.0))
    repairs = Repairs(int(off.sum()), float(total[off].min()), float(total[off].max()))
    return Tile(tile.rows, values, tile.by_class), repairs


def rounding(dtype: np.dtype[Any]) -> float:
    """How far the sum of a row may miss 1 by nothing but the rounding of its type."""
    eps = float(np.finfo(dtype if dtype.kind == "f" else working_type(dtype)).eps)
    return max(_ROUNDING, 10 * eps)


def refuse(proba: NDArray[Any]) -> NoReturn:
    """Say what is wrong with values that are no probabilities.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes) or (n_samples,)
    """
    column = proba.ndim == 1
    n_broken, lowest, low_total, high_total, log_like = 0, inf, inf, -inf, True
    matrix = proba[:, None] if column else proba
    for tile in make_tiles(matrix):
        total = tile.values.sum(axis=0 if tile.by_class else 1, dtype=np.float64)
        sound = np.isfinite(total)
        n_broken += int(np.count_nonzero(~sound))
        lowest = min(lowest, float(np.nanmin(tile.values)) if sound.any() else inf)
        low_total = min(low_total, float(total[sound].min()) if sound.any() else inf)
        high_total = max(high_total, float(total[sound].max()) if sound.any() else -inf)
        log_like = log_like and _is_log(tile, total)
    if n_broken:
        raise PredictionsError(
            f"{n_broken:,} of {len(proba):,} rows of y_proba hold NaN or infinity: the model diverged, or logits "
            "overflowed. Leave these rows out or mend the model."
        )
    if column:
        found = f"y_proba runs from {number(low_total)} to {number(high_total)}"
        raise PredictionsError(
            f"{found}: these are no probabilities of the second class. Pass 1 / (1 + exp(-logit)), or "
            "predict_proba(X)[:, 1]."
        )
    found = (
        f"rows of y_proba sum to {low_total:.4g} .. {high_total:.4g}, their smallest entry is {lowest:.4g}: these are "
        "no probabilities."
    )
    raise PredictionsError(f"{found} {_advice(lowest, low_total, high_total, log_like=log_like)}")


def _is_log(tile: Tile, total: FloatArray) -> bool:
    """Whether the rows could be logarithms of probabilities."""
    if not (np.isfinite(total).all() and tile.values.max() <= 0):
        return False
    return bool((np.abs(tile.total(np.exp(tile.values)) - 1) < _TOLERANCE).all())


def _advice(lowest: float, low_total: float, high_total: float, *, log_like: bool) -> str:
    if log_like:
        return "They look like logarithms of probabilities: pass np.exp(y_proba), or softmax(logits)."
    if lowest >= 0 and abs(low_total - 100) < 1 and abs(high_total - 100) < 1:
        return "They look like percentages: pass y_proba / 100. From logits pass softmax(logits)."
    if lowest >= 0 and high_total <= 1:
        return "Pass the probabilities of all classes, softmax(logits) or predict_proba(X)."
    return "Pass softmax(logits), or predict_proba(X). Labels that do not exclude each other are judged one at a time."
