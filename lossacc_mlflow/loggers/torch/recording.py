"""Batches of every split on their way to figures and predictions of an epoch; Lightning's callback uses it, too."""

import logging
from collections.abc import Iterable
from math import isnan
from typing import Any

import torch

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import SPLIT_PREFIXES
from lossacc_mlflow.loggers.torch.answers import Task, TaskKind, is_same_loss, recognise_task, score_tensor
from lossacc_mlflow.loggers.torch.predictions import KeptPredictions
from lossacc_mlflow.loggers.torch.sums import BatchSums, Figures
from lossacc_mlflow.records import Split

__all__ = ["Recorder"]

_log = logging.getLogger("lossacc_mlflow")


class Recorder:
    """Sums, first batches and kept predictions of one training.

    Parameters
    ----------
    name : str
        For messages.
    kept : KeptPredictions or None
        Where predictions of the validation data go.
    kind, n_classes, from_logits, ignore_index
        As in `recognise_task`.
    is_sum : bool
        Whether losses of no dimension are sums over the batch.
    """

    def __init__(
        self,
        *,
        name: str,
        kept: KeptPredictions | None,
        kind: TaskKind | None = None,
        n_classes: int | None = None,
        from_logits: bool | None = True,
        ignore_index: int = -100,
        is_sum: bool = False,
    ) -> None:
        self.task: Task | None = None
        self.kept = kept
        self.loss_name: str | None = None
        self._known: dict[str, Any] = {
            "kind": kind,
            "n_classes": n_classes,
            "from_logits": from_logits,
            "ignore_index": ignore_index,
        }
        self.name, self._is_sum = name, is_sum
        self._sums: dict[Split, BatchSums] = {}
        self._first: dict[Split, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}
        self._is_log_loss: dict[Split, bool] = {}
        self._without_answers: set[Split] = set()
        self._is_loss_only = False
        self._warned: set[str] = set()

    def add(
        self,
        split: Split,
        loss: Any = None,  # noqa: ANN401  (a tensor, a number, or None)
        outputs: Any = None,  # noqa: ANN401  (whatever a model returns)
        targets: Any = None,  # noqa: ANN401
        n_samples: int | None = None,
    ) -> None:
        """Take in one batch; what is wrong with it is one warning."""
        try:
            self._add(split, loss, outputs, targets, n_samples)
        except Exception as error:  # noqa: BLE001  (the training goes on, whatever it is)
            self.warn(f"a batch of the {split} data cannot be logged", error)

    def has(self, split: Split) -> bool:
        """Whether there are batches of a split since its last figures."""
        return split in self._sums and self._sums[split].n_batches > 0

    def figures(self, split: Split) -> dict[str, float]:
        """Figures of a split so far, by key."""
        return self._named(split, self._sums[split].figures()) if self.has(split) else {}

    def finish(self, splits: Iterable[Split]) -> dict[str, float]:
        """Figures of an epoch, by key; the splits begin anew. Here the host waits for the device, once a split."""
        values: dict[str, float] = {}
        for split in splits:
            if self.has(split):
                values |= self._named(split, self._sums[split].finish())
        self.compare_first_losses()
        self._without_answers.clear()
        return values

    def drop(self, split: Split) -> None:
        """Forget the batches of a split since its last figures."""
        self._sums.pop(split, None)
        if split == "validation" and self.kept is not None:
            self.kept.drop()

    def n_targets(self, split: Split) -> int | None:
        """Number of targets of a split so far, if there are any."""
        return self._sums[split].figures().n if self.has(split) else None

    def class_counts(self) -> dict[str, int] | None:
        """How often each class was a target in the first epoch of training."""
        counts = self._sums["train"].class_counts if "train" in self._sums else None
        return None if counts is None else {str(i): int(n) for i, n in enumerate(counts.tolist())}

    def compare_first_losses(self) -> None:
        """Find out whether the loss is the log loss, by the first batches; here the host waits for the device."""
        for split, (expected, n, given) in self._first.items():
            self._is_log_loss[split] = is_same_loss(float(expected) / float(n), given)
        self._first.clear()
        if self.task is not None and self.task.kind == "classification" and self._is_log_loss:
            self.loss_name = "log_loss" if all(self._is_log_loss.values()) else None

    def is_log_loss(self, split: Split) -> bool | None:
        """Whether the loss of a split is the log loss of its outputs; None before `compare_first_losses` knows."""
        return self._is_log_loss.get(split)

    def warn(self, doing: str, error: Exception) -> None:
        """Say what went wrong, once."""
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if doing not in self._warned:
            self._warned.add(doing)
            _log.warning("lossacc: %s: %s: %s", self.name, doing, reason)
        _log.debug("lossacc: %s", doing, exc_info=True)

    def _add(self, split: Split, loss: Any, outputs: Any, targets: Any, n_samples: int | None) -> None:  # noqa: ANN401
        sums = self._sums.get(split)
        if sums is None:
            sums = self._sums[split] = BatchSums()
        scores = None
        if not (outputs is None or targets is None or self._is_loss_only):
            scores = outputs.detach() if type(outputs) is torch.Tensor else score_tensor(outputs)
        total, is_mean, n_losses = _reduced(loss, self._is_sum)
        if scores is None:
            sums.add(total, None, is_mean=is_mean, weight=float(n_samples or n_losses or 1))
            return
        targets = targets.detach() if type(targets) is torch.Tensor else torch.as_tensor(targets)
        if targets.device != scores.device:
            targets = targets.to(scores.device, non_blocking=True)
        try:
            task = self.task or self._recognise(scores, targets)
            answers = task.answers(scores, targets)
        except (InputError, RuntimeError, IndexError) as error:
            self._without_answers.add(split)
            self._is_loss_only = self.task is None
            self.warn("no accuracy", error)
            sums.add(total, None, is_mean=is_mean, weight=float(n_samples or len(scores)))
            return
        if split not in self._first and split not in self._is_log_loss and answers[0].numel():
            self._remember_first(split, task, total, is_mean, scores, targets)
        if total is None and task.kind == "classification":
            total, is_mean = task.total_loss(scores, targets), False
        sums.add(total, answers, task=task, is_mean=is_mean)
        if split == "validation" and self.kept is not None and not task.is_dense:
            self.kept.add(task, scores, targets)

    def _recognise(self, scores: torch.Tensor, targets: torch.Tensor) -> Task:
        self.task = recognise_task(scores, targets, **self._known)
        return self.task

    def _remember_first(
        self,
        split: Split,
        task: Task,
        total: torch.Tensor | None,
        is_mean: bool,
        scores: torch.Tensor,
        targets: torch.Tensor,
    ) -> None:
        """Keep the loss of the first batch beside what the log loss of its outputs is, to compare them later."""
        expected = task.total_loss(scores, targets)
        n = task.n_counted(targets).clamp_min(1)
        self._first[split] = (expected, n, expected / n if total is None else total * 1 if is_mean else total / n)

    def _named(self, split: Split, figures: Figures) -> dict[str, float]:
        prefix = SPLIT_PREFIXES[split]
        if self.task is None or split in self._without_answers or not figures.n_answers:
            named = {"loss": figures.loss}
        elif self.task.kind == "regression":
            # A value that is not finite was measured; only what cannot be said is left out.
            named = {"rmse": figures.rmse} | (
                {} if isnan(figures.r2) and not isnan(figures.rmse) else {"r2": figures.r2}
            )
        else:
            named = {"loss": figures.loss, "accuracy": figures.accuracy}
        if figures.n == 0:
            named = {}
        return {f"{prefix}_{name}": value for name, value in named.items()}


def _reduced(loss: Any, is_sum: bool) -> tuple[torch.Tensor | None, bool, int]:  # noqa: ANN401
    """A loss as one number of the device, whether it is a mean, and how many losses it is of."""
    if loss is None:
        return None, True, 0
    if not isinstance(loss, torch.Tensor):
        loss = torch.as_tensor(loss, dtype=torch.float64)
    loss = loss.detach()
    if loss.dim() and loss.numel() != 1:
        return loss.sum(dtype=None if loss.dtype == torch.float64 else torch.float32), False, loss.numel()
    # A copy: what was compiled with CUDA graphs writes its next loss to the same place.
    return (loss.reshape(()) if loss.dim() else loss).clone(), not is_sum, 0
