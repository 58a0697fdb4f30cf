"""Held-out data for training code that is given none."""

from contextlib import ContextDecorator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from lossacc_mlflow.loggers.options import Options, check_validation_data

__all__ = ["held_out_data", "validation_data"]

_BLOCKS: ContextVar[tuple["validation_data", ...]] = ContextVar("lossacc_validation_data", default=())


class validation_data(ContextDecorator):  # noqa: N801  (it is called like a function)
    """Score every model that is fitted within the block, in this thread, on these held-out data.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        As the model that is fitted takes it: a pipeline scores what comes out of its own transformers.
    y : array-like of shape (n_samples,)

    Raises
    ------
    InputError
        If `X` and `y` do not have the same number of samples.

    Examples
    --------
    >>> with validation_data([[0.0], [1.0]], [0, 1]):
    ...     held_out_data(Options())
    ([[0.0], [1.0]], [0, 1])
    """

    def __init__(self, X: Any, y: Any) -> None:  # noqa: ANN401, N803  (anything that an estimator takes)
        check_validation_data((X, y))
        self.pair = (X, y)

    def __enter__(self) -> Self:
        _BLOCKS.set((*_BLOCKS.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _BLOCKS.set(_BLOCKS.get()[:-1])


def held_out_data(options: Options) -> tuple[Any, Any] | None:
    """Return the held-out data of the block that one is in, else those of `options`, else None."""
    blocks = _BLOCKS.get()
    return blocks[-1].pair if blocks else options.validation_data
