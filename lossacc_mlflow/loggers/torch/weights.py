"""The weights of the best step so far, kept on the host while a training may be stopped."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch

__all__ = ["BestWeights"]

_WATCHED = ("val_loss", "val_rmse", "val_accuracy", "train_loss", "train_rmse")
_GREATER_IS_BETTER = frozenset({"val_accuracy"})


class BestWeights:
    """A copy of the weights at the best held-out loss; by accuracy, or train loss, where no held-out loss is known.

    Parameters
    ----------
    model : Module
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.step: int | None = None
        self._model = model
        self._key: str | None = None
        self._best = float("-inf")
        self._state: dict[str, Any] = {}

    def consider(self, step: int, values: Mapping[str, float]) -> bool:
        """Keep the weights of a step if they are the best so far, and tell whether they are."""
        self._key = self._key or next((key for key in _WATCHED if key in values), None)
        if self._key is None or self._key not in values:
            return False
        value = values[self._key] * (1 if self._key in _GREATER_IS_BETTER else -1)
        if not value > self._best:
            return False
        self._best, self.step = value, step
        self._state = {key: _copied(one) for key, one in self._model.state_dict().items()}
        return True

    def restore(self) -> int | None:
        """Put the best weights back, and return their step; None where there are none."""
        if self.step is not None:
            self._model.load_state_dict(self._state)
        return self.step


def _copied(value: Any) -> Any:  # noqa: ANN401  (extra state may be anything)
    return value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else deepcopy(value)
