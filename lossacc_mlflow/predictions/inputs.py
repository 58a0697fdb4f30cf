"""Labels and probabilities in any of the forms in which they are given → blocks of rows, or one record."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.blocks import Block, block_size, make_tiles
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions.labels import ClassNames, label_array
from lossacc_mlflow.predictions.probabilities import Repairs, cut_rows, mend_tile, probability_array, refuse, rounding
from lossacc_mlflow.records import FloatArray, Predictions, Split

__all__ = ["ArrayRows", "BlockRows", "Labels", "array_rows", "check_weight", "make_predictions"]

Labels = Sequence[object] | NDArray[Any]


class ArrayRows:
    """Arrays, cut into blocks of rows; the same ones at every pass.

    Parameters
    ----------
    truth : ndarray of shape (n_samples,)
    proba : ndarray of shape (n_samples, n_classes) or (n_samples,)
    classes : ClassNames
    weight : ndarray of float64, shape (n_samples,), or None
    start : int
        Of the first row.
    """

    repeatable = True

    def __init__(
        self,
        truth: NDArray[Any],
        proba: NDArray[Any],
        classes: ClassNames,
        weight: FloatArray | None = None,
        start: int = 0,
    ) -> None:
        self.classes = classes
        # Text is looked up once; numbers are checked and widened a block at a time.
        self._truth = truth if truth.dtype.kind in "biuf" else classes.places(truth)
        self._encoded = truth.dtype.kind not in "biuf"
        self._proba, self._weight, self._start = proba, weight, start
        self.repairs = Repairs()

    def __len__(self) -> int:
        return len(self._truth)

    def __iter__(self) -> Iterator[Block]:
        self.repairs = Repairs()
        size = block_size(len(self.classes))
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            truth = self._truth[rows] if self._encoded else self.classes.places(self._truth[rows])
            proba, repairs = cut_rows(self._proba, rows)
            self.repairs += repairs
            yield Block(self._start + start, truth, proba, None if self._weight is None else self._weight[rows])


class BlockRows:
    """An iterable of ``(y_true, y_proba)`` or ``(y_true, y_proba, sample_weight)``, cut into blocks of rows.

    Parameters
    ----------
    parts : iterable
    labels : sequence of labels, optional
    """

    def __init__(self, parts: Iterable[Any], labels: Labels | None) -> None:
        self._parts = parts
        self._classes = None if labels is None else ClassNames(labels)
        self.repeatable = iter(parts) is not parts
        self.repairs = Repairs()

    @property
    def classes(self) -> ClassNames:
        """The classes of the columns, known after the first block."""
        if self._classes is None:
            raise PredictionsError(_NO_SAMPLE)
        return self._classes

    def __iter__(self) -> Iterator[Block]:
        self.repairs, start = Repairs(), 0
        for number, part in enumerate(self._parts):
            try:
                rows = self._rows(part, start)
            except PredictionsError as error:
                raise PredictionsError(f"block {number}: {error}") from error
            yield from rows
            self.repairs += rows.repairs
            start += len(rows)

    def _rows(self, part: Any, start: int) -> ArrayRows:  # noqa: ANN401  (what somebody else's iterable holds)
        if not isinstance(part, Sequence) or isinstance(part, str) or len(part) not in (2, 3):
            raise PredictionsError("wanted (y_true, y_proba) or (y_true, y_proba, sample_weight) of some rows.")
        rows = array_rows(part[0], part[1], self._classes, part[2] if len(part) == 3 else None, start, empty=True)
        self._classes = rows.classes
        return rows


_NO_SAMPLE = "there are no predictions: give at least one sample."


def array_rows(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    labels: Labels | ClassNames | None,
    sample_weight: ArrayLike | None = None,
    start: int = 0,
    *,
    empty: bool = False,
) -> ArrayRows:
    """Check shapes, labels and weights; probabilities are looked at when they are read.

    Parameters
    ----------
    y_true, y_proba, labels, sample_weight
        See `make_predictions`.
    start : int
        Of the first row.
    empty : bool
        Whether there may be no sample.
    """
    proba = probability_array(y_proba)
    truth = label_array(y_true)
    if len(truth) != len(proba):
        raise PredictionsError(
            f"y_true has shape {truth.shape}, y_proba has {len(proba)} rows: give one class label a row."
        )
    if not len(truth) and not empty:
        raise PredictionsError(f"y_proba has shape {proba.shape}: give at least one sample.")
    n_classes = 2 if proba.ndim == 1 else proba.shape[1]
    classes = labels if isinstance(labels, ClassNames) else _class_names(truth, n_classes, labels)
    if len(classes) != n_classes:
        raise PredictionsError(f"labels names {len(classes)} classes, y_proba has {n_classes} columns.")
    return ArrayRows(truth, proba, classes, check_weight(sample_weight, len(truth)), start)


def make_predictions(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    split: Split = "validation",
    labels: Labels | None = None,
    sample_id: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
) -> Predictions:
    """Check labels and probabilities and bring them into one form.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class labels: integers 0 to K-1 (or bool), or members of ``labels``. Without ``labels``, text is matched to the
        columns in sorted order, as scikit-learn does. Numbers beside ``labels`` are members of these where they are
        numbers too (also written as text), and their places where they are names.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities; one column holds the probability of the second of two classes.
    split : {"train", "validation", "test"}
    labels : sequence of length n_classes, optional
        The class of each column.
    sample_id : sequence of length n_samples, optional
    sample_weight : array-like of shape (n_samples,), optional
        Finite, not negative.

    Returns
    -------
    Predictions
        Probabilities keep their floating dtype and, where they need no mending, their memory. Rows that miss 1 by up
        to 1e-2 (and by more than rounding) are divided by their sum; ``notes`` says so.

    Raises
    ------
    PredictionsError
        If shapes do not fit, values are NaN, negative or no probabilities, a label has no column, or there are fewer
        than two classes.

    Examples
    --------
    >>> make_predictions(["no", "yes"], [0.25, 0.75]).classes
    ('no', 'yes')
    """
    rows = array_rows(y_true, y_proba, labels, sample_weight)
    n = len(rows)
    if sample_id is not None and len(sample_id) != n:
        raise PredictionsError(f"sample_id has {len(sample_id)} entries for {n} samples: give one a sample.")
    matrix, repairs = cut_rows(probability_array(y_proba), slice(None))
    kind = matrix.dtype if matrix.dtype.kind == "f" else np.dtype(np.float64)
    proba, mended = _mended(matrix.astype(kind, copy=False))
    return Predictions(
        split=split,
        y_true=np.concatenate([block.y_true for block in rows]),
        y_proba=proba,
        classes=rows.classes.names,
        sample_id=None if sample_id is None else tuple(str(s) for s in sample_id),
        sample_weight=check_weight(sample_weight, n),
        notes=(repairs + mended).describe(n),
    )


def check_weight(sample_weight: ArrayLike | None, n: int) -> FloatArray | None:
    """Read the weights of the samples."""
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"sample_weight holds values that are no numbers: {error}") from error
    if weight.shape != (n,):
        raise PredictionsError(f"sample_weight has shape {weight.shape} for {n} samples: give one a sample.")
    if n and not (np.isfinite(weight).all() and weight.min() >= 0 and weight.max() > 0):
        raise PredictionsError("sample_weight must be finite, not negative, and above 0 for some sample.")
    return weight


def _class_names(truth: NDArray[Any], n_classes: int, labels: Labels | None) -> ClassNames:
    if labels is not None:
        return ClassNames(labels)
    if truth.dtype.kind in "biuf" or not len(truth):
        return ClassNames(n_classes)
    found = sorted(set(truth.tolist()), key=lambda label: (str(type(label)), label))
    if len(found) != n_classes:
        raise PredictionsError(
            f"y_true holds {len(found)} classes, y_proba has {n_classes} columns: pass labels=model.classes_."
        )
    return ClassNames(found)


def _mended(matrix: NDArray[Any]) -> tuple[NDArray[Any], Repairs]:
    """Probabilities that are all valid: the same array, or a copy where rows had to be mended."""
    mended, repairs = matrix, Repairs()
    for cut in make_tiles(matrix):
        tile, found = mend_tile(cut, matrix)
        lowest = float(tile.values.min())
        if lowest < 0:
            if lowest < -rounding(matrix.dtype):
                refuse(matrix)
            negative = (tile.values < 0).any(axis=0 if tile.by_class else 1)
            found += Repairs(n_negative=int(negative.sum()))
        if found != Repairs():
            mended = matrix.copy() if mended is matrix else mended
            mended[tile.rows] = np.maximum(tile.values.T if tile.by_class else tile.values, 0)
            repairs += found
    return mended, repairs
