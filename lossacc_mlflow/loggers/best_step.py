"""Which step of a training is the one whose weights are worth keeping."""

from collections.abc import Mapping
from math import inf, isfinite

__all__ = ["BestStep"]

_WATCHED = ("val_loss", "val_rmse", "val_accuracy", "train_loss", "train_rmse")
"""By which it is chosen: the first of these that the training has."""

_GREATER_IS_BETTER = frozenset({"val_accuracy"})


class BestStep:
    """The step with the best held-out loss so far; by accuracy, or train loss, where no held-out loss is known.

    Steps at which the figure is not known, as between two validations, are passed over; one that comes to be known and
    tells more begins the comparison anew.

    Examples
    --------
    >>> best = BestStep()
    >>> [best.consider(step, {"train_loss": 0.1, "val_loss": loss}) for step, loss in enumerate([0.9, 0.5, 0.6])]
    [True, True, False]
    >>> best.consider(3, {"train_loss": 0.01}), best.step
    (False, 1)
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self._rank, self._best = len(_WATCHED), -inf

    def consider(self, step: int, values: Mapping[str, float]) -> bool:
        """Take in the figures of a step, by our keys, and tell whether it is the best so far."""
        rank = next((rank for rank, key in enumerate(_WATCHED) if key in values), len(_WATCHED))
        if rank == len(_WATCHED) or rank > self._rank:
            return False
        if rank < self._rank:
            self._rank, self._best = rank, -inf
        key = _WATCHED[rank]
        value = values[key] if key in _GREATER_IS_BETTER else -values[key]
        if not (isfinite(value) and value > self._best):
            return False
        self._best, self.step = value, step
        return True
