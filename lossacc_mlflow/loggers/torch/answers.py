"""What the outputs of a network say about targets: recognised by the first batch, then a few tensor operations each."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (so torch's own documentation calls it)
from numpy.typing import NDArray

from lossacc_mlflow.errors import InputError

__all__ = ["Task", "TaskKind", "is_same_loss", "recognise_task", "score_tensor"]

TaskKind = Literal["classification", "regression"]

_TOLERANCE = 1e-3
"""Within which probabilities sum to one: bfloat16 has three digits."""


@dataclass(frozen=True, slots=True)
class Task:
    """How outputs and targets of every batch belong together.

    Parameters
    ----------
    kind : {"classification", "regression"}
    n_classes : int
        0 in a regression.
    axis : int
        Of the classes in the outputs; -1 for one column of a binary classifier, which is no axis of classes.
    is_binary : bool
        Outputs hold one number a sample, for the second of two classes.
    is_one_hot : bool
        Targets are one row of class weights a sample.
    is_dense : bool
        There is more than one target a sample, as in segmentation and language models.
    from_logits : bool
    ignore_index : int
        Targets of this class count for nothing; and so do class numbers that the outputs do not have, as in data that
        mark what is to be ignored with 255.
    """

    kind: TaskKind
    n_classes: int = 0
    axis: int = 1
    is_binary: bool = False
    is_one_hot: bool = False
    is_dense: bool = False
    from_logits: bool = True
    ignore_index: int = -100

    def answers(self, outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return answered and true class, or predicted and true number, in tensors of one shape; nothing is shared.

        Raises
        ------
        InputError
            If the shapes do not fit together.
        """
        if self.kind == "regression":
            truth = targets.clone()
            predicted = outputs.reshape(truth.shape) if outputs.numel() == truth.numel() else outputs.clone()
            predicted = predicted.clone()
        elif self.is_binary:
            predicted = (outputs > (0 if self.from_logits else 0.5)).to(torch.int64)
            truth = targets.reshape(predicted.shape) if targets.numel() == predicted.numel() else targets
            if truth.is_floating_point():
                truth = torch.where(truth == self.ignore_index, self.ignore_index, (truth > 0.5).to(torch.int64))
            else:
                truth = truth.to(torch.int64, copy=True)
        else:
            predicted = outputs.argmax(self.axis)
            truth = targets.argmax(1) if self.is_one_hot else targets
            if truth.shape != predicted.shape and truth.numel() == predicted.numel():
                truth = truth.reshape(predicted.shape)
            truth = truth.clone() if truth.dtype == torch.int64 else truth.to(torch.int64)
        if predicted.shape != truth.shape:
            raise InputError(f"outputs of shape {tuple(outputs.shape)} do not fit targets of {tuple(targets.shape)}.")
        return predicted, truth

    def counted(self, truth: torch.Tensor) -> torch.Tensor:
        """Which true classes count: those that there are, but for the one that is ignored."""
        return (truth >= 0).logical_and_(truth < self.n_classes).logical_and_(truth != self.ignore_index)

    def n_counted(self, targets: torch.Tensor) -> torch.Tensor:
        """Number of targets that count, on their device."""
        if self.kind == "regression" or self.is_one_hot:
            return torch.as_tensor(len(targets), device=targets.device)
        return self.counted(targets).sum()

    def total_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Sum of the log loss over all targets; of the squared error in a regression."""
        scores = outputs.float()
        if self.kind == "regression":
            return F.mse_loss(scores.reshape(targets.shape), targets.float(), reduction="sum")
        if self.is_binary:
            truth = targets.reshape(scores.shape).float()
            used = self.counted(truth)
            if self.from_logits:
                each = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")
            else:
                each = -torch.where(truth > 0.5, scores, 1 - scores).clamp_min(1e-30).log()
            return torch.where(used, each, 0).sum()
        if not self.from_logits:
            scores = scores.clamp_min(1e-30).log()
        if self.is_one_hot:
            return F.cross_entropy(scores, targets.float(), reduction="sum")
        scores = scores.movedim(self.axis, 1)
        truth = targets.reshape(scores.shape[:1] + scores.shape[2:]).to(torch.int64)
        # A class number that there is not would end the whole process on a GPU.
        truth = torch.where(self.counted(truth), truth, self.ignore_index)
        return F.cross_entropy(scores, truth, reduction="sum", ignore_index=self.ignore_index)

    def predictions(self, outputs: torch.Tensor, targets: torch.Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return targets and probabilities, or numbers, of one block of samples, for tensors on the host.

        Returns
        -------
        y_true : ndarray of shape (n_samples,)
        y_proba : ndarray of shape (n_samples, n_classes) or (n_samples,)
        """
        # Two logits may be further apart than the smallest float32 tells; a thousand classes take their room.
        scores = outputs.to(torch.float64 if self.n_classes <= 64 else torch.float32)
        if self.kind == "regression":
            return targets.double().reshape(-1).numpy(), scores.reshape(-1).numpy()
        _, truth = self.answers(outputs, targets)
        if self.is_binary:
            probability = scores.sigmoid() if self.from_logits else scores
            truth, probability = truth.reshape(-1), probability.reshape(-1)
        else:
            probability = scores.softmax(1) if self.from_logits else scores / scores.sum(1, keepdim=True)
        used = self.counted(truth).numpy()
        return truth.numpy()[used], probability.numpy()[used]


def is_same_loss(expected: float, loss: torch.Tensor) -> bool:
    """Whether a loss is an expected one, to the digits that it has.

    At the beginning of a training the losses with and without smoothed labels differ by a few per mille.
    """
    tolerance = 1e-4 if loss.dtype in {torch.float32, torch.float64} else 1e-2
    return abs(expected - float(loss)) <= tolerance * abs(expected) + 1e-6


def score_tensor(outputs: Any) -> torch.Tensor | None:  # noqa: ANN401  (whatever a model returns)
    """Return the tensor of scores in what a model returned: itself, its ``logits``, or the first one of a tuple."""
    if isinstance(outputs, dict):
        outputs = outputs.get("logits")
    elif not isinstance(outputs, torch.Tensor) and hasattr(outputs, "logits"):
        outputs = outputs.logits
    elif isinstance(outputs, (tuple, list)) and outputs:
        outputs = outputs[0]
    if isinstance(outputs, (float, np.ndarray)):
        outputs = torch.as_tensor(outputs)
    return outputs.detach() if isinstance(outputs, torch.Tensor) and outputs.is_floating_point() else None


def recognise_task(
    outputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    kind: TaskKind | None = None,
    n_classes: int | None = None,
    from_logits: bool | None = True,
    ignore_index: int = -100,
) -> Task:
    """Tell by shapes and types, and where these leave it open by the values, what the targets are.

    Parameters
    ----------
    outputs, targets : Tensor
        Of the first batch; the only one whose values are read on the host.
    kind, n_classes, from_logits
        What the caller knows; a number of classes is that of a classification. ``from_logits=None``: outputs are
        probabilities where their rows sum to one, else logits.
    ignore_index : int

    Returns
    -------
    Task

    Raises
    ------
    InputError
        If outputs and targets do not fit together, or there are several labels or numbers a sample.
    """
    kind = kind or ("classification" if n_classes else None)
    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
    if outputs.dim() == 0 or len(outputs) != len(targets) or not len(targets):
        raise InputError(f"{shapes}: wanted is one row of outputs a target.")
    if targets.dim() == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if outputs.dim() == 1 or outputs.shape[1] == 1:
        if targets.numel() != outputs.numel():
            raise InputError(f"{shapes} do not fit together: wanted is one target a row.")
        return _one_column(targets, shapes, kind, from_logits, ignore_index)
    if kind == "regression":
        raise InputError(f"{shapes}: several numbers a sample are not judged, only the loss is logged.")
    if outputs.shape == targets.shape:
        total = targets.sum(1, dtype=torch.float64)
        if targets.dim() != 2 or not bool((targets >= 0).all() & ((total - 1).abs() < _TOLERANCE).all()):
            raise InputError(f"{shapes}: several labels or numbers a sample are not judged, only the loss is logged.")
        return _classes(outputs, 1, from_logits, ignore_index, is_one_hot=True)
    sizes = outputs.shape
    axes = [axis for axis in (1, outputs.dim() - 1) if sizes[:axis] + sizes[axis + 1 :] == targets.shape]
    if not axes or targets.is_floating_point():
        raise InputError(f"{shapes} do not fit together: wanted are scores (n, classes) and class numbers (n,).")
    return _classes(outputs, axes[0], from_logits, ignore_index, is_dense=targets.dim() > 1)


def _one_column(
    targets: torch.Tensor, shapes: str, kind: TaskKind | None, from_logits: bool | None, ignore_index: int
) -> Task:
    """One number a target: for the second of two classes, or of a regression."""
    is_zero_or_one = bool(((targets == 0) | (targets == 1) | (targets == ignore_index)).all())
    if kind == "regression" or (kind is None and not is_zero_or_one):
        if targets.dim() > 1:
            raise InputError(f"{shapes}: several numbers a sample are not judged, only the loss is logged.")
        return Task("regression")
    if not (is_zero_or_one or targets.is_floating_point()):
        raise InputError(f"{shapes}: one column answers for two classes, 0 and 1, and there are other targets.")
    return Task(
        "classification",
        2,
        is_binary=True,
        is_dense=targets.dim() > 1,
        from_logits=from_logits is not False,
        ignore_index=ignore_index,
    )


def _classes(
    outputs: torch.Tensor,
    axis: int,
    from_logits: bool | None,
    ignore_index: int,
    *,
    is_one_hot: bool = False,
    is_dense: bool = False,
) -> Task:
    if from_logits is None:
        total = outputs.sum(axis, dtype=torch.float32)
        from_logits = not bool((outputs >= 0).all() & ((total - 1).abs() < _TOLERANCE).all())
    return Task(
        "classification",
        int(outputs.shape[axis]),
        axis,
        is_one_hot=is_one_hot,
        is_dense=is_dense,
        from_logits=from_logits,
        ignore_index=ignore_index,
    )
