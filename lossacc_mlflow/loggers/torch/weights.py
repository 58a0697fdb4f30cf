"""The weights of the best step so far, kept on the host while a training may be stopped."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch

from lossacc_mlflow.loggers.best_step import BestStep

__all__ = ["BestWeights"]


class BestWeights:
    """A copy of the weights at the best step (see `BestStep`).

    Parameters
    ----------
    model : Module
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model, self._best = model, BestStep()
        self._state: dict[str, Any] = {}

    def consider(self, step: int, values: Mapping[str, float]) -> bool:
        """Keep the weights of a step if they are the best so far, and tell whether they are."""
        is_best = self._best.consider(step, values)
        if is_best:
            self._state = {key: _copied(one) for key, one in self._model.state_dict().items()}
        return is_best

    def restore(self) -> int | None:
        """Put the best weights back, and return their step; None where there are none."""
        if self._best.step is not None:
            self._model.load_state_dict(self._state)
        return self._best.step


def _copied(value: Any) -> Any:  # noqa: ANN401  (extra state may be anything)
    return value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else deepcopy(value)
