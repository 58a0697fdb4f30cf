"""Class labels, in whatever form they come, as places among the columns of the probabilities."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import IntArray

__all__ = ["ClassNames", "label_array"]


def label_array(y_true: ArrayLike, name: str = "y_true") -> NDArray[Any]:
    """Bring labels into one dimension, numbers as numbers.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, 1)
    name : str
        For messages.

    Returns
    -------
    ndarray of shape (n_samples,)
        Of bool, a number type, text, or object where kinds are mixed.

    Raises
    ------
    PredictionsError
        If the shape is another, or a label is missing.
    """
    try:
        labels = np.asarray(y_true)
    except ValueError as error:
        raise PredictionsError(f"{name} is no list of labels: {error}") from error
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = " From one-hot rows take y_true.argmax(axis=1)." if labels.ndim == 2 else ""
        raise PredictionsError(f"{name} has shape {labels.shape}: give one class label a row.{hint}")
    if labels.dtype == object:
        labels = _typed(labels)
    missing = np.isnan(labels) if labels.dtype.kind == "f" else [_is_missing(t) for t in _objects(labels)]
    if np.any(missing):
        raise PredictionsError(f"{np.count_nonzero(missing)} of {len(labels)} labels in {name} are missing.")
    return labels


class ClassNames:
    """The class of every column, and the place of a label among them.

    Parameters
    ----------
    labels : sequence of labels, or int
        The labels in the order of the columns; or how many classes there are, where labels are their places.
    names : tuple of str, optional
        What the classes are called where labels are places; default 0, 1, ...
    at_least : int
        Fewer classes are refused; 1 where they are those of a part of the samples.

    Raises
    ------
    PredictionsError
        If a label is there twice, or there are too few.

    Examples
    --------
    >>> ClassNames(["cat", "dog"]).places(np.array(["dog", "cat"])).tolist()
    [1, 0]
    >>> ClassNames(["cat", "dog"]).places(np.array([1, 0])).tolist()
    [1, 0]
    >>> ClassNames(["10", "20"]).places(np.array([20, 10])).tolist()
    [1, 0]
    """

    def __init__(
        self,
        labels: Sequence[object] | NDArray[Any] | int,
        names: tuple[str, ...] | None = None,
        *,
        at_least: int = 2,
    ) -> None:
        self._numbered = isinstance(labels, int)
        members = range(labels) if isinstance(labels, int) else np.asarray(labels, dtype=object).tolist()
        self.names: tuple[str, ...] = names or tuple(map(str, members))
        if len(self.names) < at_least:
            raise PredictionsError(
                f"there is {'one class' if self.names else 'no class'}: with fewer than two, loss and accuracy say "
                "nothing. Pass the probability of every class, or for two classes that of the second."
            )
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise PredictionsError(f"labels names {twice!r} twice: give every column its own class.")
        self._by_text: Mapping[str, int] = {name: i for i, name in enumerate(self.names)}
        self._by_value: Mapping[Any, int] | None = None
        if not self._numbered:
            values = [_number(label) for label in members]
            if all(value is not None for value in values):
                self._by_value = {value: i for i, value in enumerate(values)}

    def __len__(self) -> int:
        return len(self.names)

    def places(self, labels: NDArray[Any], name: str = "y_true") -> IntArray:
        """Return the place of every label among the classes.

        Numbers are members of the classes where these are numbers (also when written as text), and places among
        them where they are not. Text is always a member.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            As `label_array` returns them.
        name : str
            For messages.

        Raises
        ------
        PredictionsError
            If a label is none of the classes.
        """
        if labels.dtype.kind not in "biuf":
            texts = [str(label) for label in labels.tolist()]
            return self._look_up(texts, self._by_text.get, name)
        if self._by_value is not None:
            return self._look_up(labels.tolist(), self._by_value.get, name)
        whole = labels.dtype.kind != "f" or bool((np.mod(labels, 1) == 0).all())
        if len(labels) and not (whole and labels.min() >= 0 and labels.max() < len(self)):
            raise PredictionsError(
                f"{name} runs from {labels.min()} to {labels.max()}, but y_proba has columns 0 to {len(self) - 1}. "
                "If the classes have other names, pass labels=model.classes_."
            )
        return labels.astype(np.int64, copy=False)

    def _look_up(self, labels: Iterable[Any], place: Callable[[Any], int | None], name: str) -> IntArray:
        labels = list(labels)
        try:
            return np.fromiter(map(place, labels), dtype=np.int64, count=len(labels))
        except TypeError:  # None: not found
            unknown = sorted({str(label) for label in labels if place(label) is None})
            raise PredictionsError(
                f"{name} holds {', '.join(unknown[:5])}, not among the classes {', '.join(self.names)[:200]}. "
                "Pass labels=model.classes_, in the order of the columns."
            ) from None


def _number(label: object) -> Any:  # noqa: ANN401  (a number of any kind, or None)
    """The number that a label is, or that it writes as an integer; None for other labels."""
    if isinstance(label, Number):
        return label
    try:
        return int(label) if isinstance(label, str) else None
    except ValueError:
        return None


def _objects(labels: NDArray[Any]) -> list[Any]:
    return labels.tolist() if labels.dtype == object else []


def _is_missing(label: object) -> bool:
    return label is None or label != label or type(label).__name__ == "NAType"  # noqa: PLR0124  (NaN)


def _typed(labels: NDArray[Any]) -> NDArray[Any]:
    """Objects that all are numbers, or all are text, as an array of these."""
    values = labels.tolist()
    if values and (all(isinstance(v, Number) for v in values) or all(isinstance(v, str) for v in values)):
        return np.array(values)
    return labels
