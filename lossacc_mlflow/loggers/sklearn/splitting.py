"""A part of the training data, held out because somebody asked for it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

__all__ = ["Split", "hold_out"]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A call of ``fit`` without the part that is held out of it.

    ``args`` and ``kwargs`` are those of the call, ``held_out`` is (X, y), ``words`` says what was done.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    held_out: tuple[Any, Any]
    words: str


def hold_out(
    estimator: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    fraction: float,
) -> Split:
    """Split the training data of a call, and all that is given for each of its samples.

    Classifiers' classes keep their shares, unless one has a single sample. The split is the same every time.

    Parameters
    ----------
    estimator : estimator
    args : tuple
    kwargs : mapping
    fraction : float
        Share of the samples to hold out.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If there are too few samples.
    """
    bound = inspect.signature(type(estimator).fit).bind(estimator, *args, **kwargs)
    X, y = bound.arguments["X"], bound.arguments["y"]  # noqa: N806
    n_samples = _n_rows(X) or 0
    labels = np.asarray(y).ravel() if is_classifier(estimator) else None
    by_class = labels is not None and np.unique(labels, return_counts=True)[1].min() > 1
    try:
        train, validation = _parts(n_samples, fraction, labels if by_class else None)
    except ValueError:  # fewer held-out samples than classes
        by_class = False
        train, validation = _parts(n_samples, fraction, None)

    def without(value: Any) -> Any:  # noqa: ANN401
        return _safe_indexing(value, train) if _n_rows(value) == n_samples else value

    return Split(
        args=tuple(without(value) for value in args),
        kwargs={key: without(value) for key, value in kwargs.items()},
        held_out=(_safe_indexing(X, validation), _safe_indexing(y, validation)),
        words=f"{len(validation):,} of {n_samples:,} training samples held out"
        f"{', the same share of each class' if by_class else ''} (validation_fraction={fraction:g})",
    )


def _parts(n_samples: int, fraction: float, labels: Any) -> tuple[Any, Any]:  # noqa: ANN401
    train, validation = train_test_split(np.arange(n_samples), test_size=fraction, stratify=labels, random_state=0)
    return np.sort(train), np.sort(validation)


def _n_rows(value: Any) -> int | None:  # noqa: ANN401
    """Length of what holds one thing a sample; None for anything else."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else None
    return len(value) if isinstance(value, list | tuple) else None
