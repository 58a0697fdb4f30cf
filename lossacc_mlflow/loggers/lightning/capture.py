"""What a module computed in its step: seen from outside, by hooks on it, its parts and its loss."""

from contextlib import suppress
from typing import Any, Literal, Self

import torch
from torch.nn.modules.loss import _Loss

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.torch.answers import Task, is_same_loss, recognise_task, score_tensor

__all__ = ["Capture", "Source", "fits_loss"]

Source = Literal["criterion", "forward", "part"]
"""What the loss was given, what the module returned, or what the part of it that was called last returned."""


class Capture:
    """Outputs of the latest step of a module, and targets where its loss is a part of it.

    Hooks change nothing, and are taken off when the training ends. A module that is compiled has none: they would be
    compiled into it.
    """

    def __init__(self) -> None:
        self.seen: dict[Source, torch.Tensor] = {}
        self.targets: torch.Tensor | None = None
        self._handles: list[Any] = []

    def attach(self, module: torch.nn.Module) -> None:
        """Watch a module."""
        if getattr(module, "_compiler_ctx", None) is not None:
            return
        self._handles.append(module.register_forward_hook(self._on_forward))
        for part in module.children():
            with suppress(RuntimeError, AttributeError):  # parts in TorchScript take no hooks
                hook = self._on_criterion if isinstance(part, _Loss) else self._on_part
                self._handles.append(part.register_forward_hook(hook))

    def detach(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.clear()

    def clear(self) -> None:
        """Forget the latest step."""
        self.seen.clear()
        self.targets = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Callbacks that average weights copy the module, with its hooks.
        return self

    def __reduce__(self) -> tuple[type["Capture"], tuple[()]]:
        return Capture, ()

    def _see(self, source: Source, outputs: Any) -> None:  # noqa: ANN401  (whatever a module returns)
        scores = score_tensor(outputs)
        if scores is not None and scores.dim():
            self.seen[source] = scores

    def _on_forward(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:  # noqa: ANN401, ARG002
        self._see("forward", outputs)

    def _on_part(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:  # noqa: ANN401, ARG002
        self._see("part", outputs)

    def _on_criterion(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:  # noqa: ANN401, ARG002
        if len(inputs) == 2 and isinstance(inputs[1], torch.Tensor):
            self._see("criterion", inputs[0])
            self.targets = inputs[1].detach()


def fits_loss(
    scores: torch.Tensor, targets: torch.Tensor, loss: torch.Tensor | None, known: dict[str, Any]
) -> tuple[Task | None, bool]:
    """How outputs belong to targets, and whether the loss of the step is the log loss, or squared error, of them.

    Parameters
    ----------
    scores, targets : Tensor
    loss : Tensor or None
    known : dict
        Arguments of `recognise_task`.

    Returns
    -------
    Task or None
        None where they do not belong together.
    bool
        The host waits for the device to know it: to be asked at one step.
    """
    tasks = []
    for from_logits in (True, False) if known.get("from_logits") is None else (known["from_logits"],):
        try:
            task = recognise_task(scores, targets, **{**known, "from_logits": from_logits})
        except (InputError, RuntimeError, IndexError):
            return None, False
        tasks.append(task)
        if loss is not None:
            expected = float(task.total_loss(scores, targets)) / max(int(task.n_counted(targets)), 1)
            if is_same_loss(expected, loss):
                return task, True
    if known.get("from_logits") is None and not tasks[0].is_binary:
        return recognise_task(scores, targets, **known), False  # rows that sum to one tell
    return tasks[0], False
