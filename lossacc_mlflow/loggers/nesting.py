"""Which of the trainings that are under way is the user's: the outermost."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

__all__ = ["is_nested", "outermost"]

_IS_TRAINING: ContextVar[bool] = ContextVar("lossacc_is_training", default=False)


class _UnderWay:
    """How many outermost trainings are under way in this process, outside of joblib's workers."""

    count = 0
    lock = Lock()


@contextmanager
def outermost() -> Iterator[bool]:
    """Enter a training; yields whether it is the user's own, and not part of another one.

    Meta-estimators train many models, of which only the outermost is the user's: of those in this thread, and of those
    that joblib trains for it in other threads. Trainings that a user starts in several threads are all outermost.
    """
    nested = is_nested()
    counted = not nested and not _is_joblib_worker()
    token = _IS_TRAINING.set(True)
    with _UnderWay.lock:
        _UnderWay.count += counted
    try:
        yield not nested
    finally:
        with _UnderWay.lock:
            _UnderWay.count -= counted
        _IS_TRAINING.reset(token)


def is_nested() -> bool:
    """Whether a training is under way that what is trained here is part of."""
    return _IS_TRAINING.get() or (_UnderWay.count > 0 and _is_joblib_worker())


def _is_joblib_worker() -> bool:
    """Whether this thread works for a ``joblib.Parallel``; threads do not tell for whom."""
    joblib = sys.modules.get("joblib")
    if joblib is None:
        return False
    backend, _ = joblib.parallel.get_active_backend()
    return bool(backend.nesting_level)
