"""The weights of the best step, kept in memory, because a training that is stopped late ends with others."""

from typing import Any

import torch

__all__ = ["BestWeights"]


class BestWeights:
    """A copy of what training changes in a model, on the CPU.

    Frozen parameters, as of the model under an adapter, stay where they are.
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self._copies: dict[str, torch.Tensor] = {}

    def keep(self, model: Any, step: int) -> None:  # noqa: ANN401
        """Copy the weights of a model; an earlier copy gives its memory."""
        with torch.no_grad():
            for name, tensor in _changing(model).items():
                copy = self._copies.get(name)
                if copy is None or copy.shape != tensor.shape:
                    self._copies[name] = tensor.detach().to("cpu", copy=True)
                else:
                    copy.copy_(tensor)
        self.step = step

    def restore(self, model: Any) -> None:  # noqa: ANN401
        """Put the copy back into the model."""
        with torch.no_grad():
            for name, tensor in _changing(model).items():
                if name in self._copies:
                    tensor.copy_(self._copies[name])


def _changing(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    parameters = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
    return {**parameters, **dict(model.named_buffers())}
