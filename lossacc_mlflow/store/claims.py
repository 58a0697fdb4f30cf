"""Which training of this process writes which keys of which run: one run takes one model."""

import os
from collections import OrderedDict
from threading import Lock

__all__ = ["claim"]

_MOST_RUNS = 1_000


class _Claims:
    """First step and owner, by run and key."""

    by_run: OrderedDict[str, dict[str, tuple[int, int]]] = OrderedDict()  # noqa: RUF012  (one a process)
    lock = Lock()


def claim(run_id: str, key: str, owner: int, step: int) -> bool:
    """Ask for a key of a run, for a curve that begins at a step.

    Parameters
    ----------
    run_id, key : str
    owner : int
        The same at every call of one training, and of no other.
    step : int

    Returns
    -------
    bool
        False where another training has written the key from the same step on, or an earlier one: this is a second
        model. A training that goes on at a later step continues the curve.
    """
    with _Claims.lock:
        keys = _Claims.by_run.setdefault(run_id, {})
        _Claims.by_run.move_to_end(run_id)
        while len(_Claims.by_run) > _MOST_RUNS:
            _Claims.by_run.popitem(last=False)
        first, known = keys.get(key, (step, owner))
        if known != owner and step <= first:
            return False
        keys[key] = (min(first, step), owner)
        return True


def _renew_lock() -> None:
    _Claims.lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
