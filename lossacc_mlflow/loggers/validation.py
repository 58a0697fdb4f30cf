"""Held-out data for training code that is given none."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from lossacc_mlflow.loggers.options import Options

__all__ = ["held_out_data", "validation_data"]

_CURRENT: ContextVar[tuple[Any, Any] | None] = ContextVar("lossacc_validation_data", default=None)


@contextmanager
def validation_data(X: Any, y: Any) -> Iterator[None]:  # noqa: ANN401, N803  (anything that an estimator takes)
    """Score every model that is fitted within the block on these held-out data.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    """
    token = _CURRENT.set((X, y))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def held_out_data(options: Options) -> tuple[Any, Any] | None:
    """Return the held-out data of the block that one is in, else those of `options`, else None."""
    return _CURRENT.get() or options.validation_data
