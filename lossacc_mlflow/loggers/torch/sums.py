"""Sums over the batches of an epoch, kept on the device: nothing waits for it until the epoch ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import torch

from lossacc_mlflow.loggers.torch.answers import Task

__all__ = ["BatchSums", "Figures"]

_BATCHES = 64
_ELEMENTS = 1 << 16
"""So many batches, or targets, are summed in one go: ten operations then cost what one a batch would."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the batches say together; NaN where there is nothing to say.

    Parameters
    ----------
    loss : float
        Mean over targets.
    accuracy : float
    rmse, r2 : float
        In a regression.
    n : int
        Targets that counted.
    n_answers : int
        Those of them whose answer is known.
    """

    loss: float = nan
    accuracy: float = nan
    rmse: float = nan
    r2: float = nan
    n: int = 0
    n_answers: int = 0


class BatchSums:
    """Sums of one split since the last `finish`.

    A batch costs a few operations on the device it is on, and no synchronisation: losses and answers are put aside, and
    summed when there are enough. Sums are in double precision; compensated where a device has none.
    """

    def __init__(self) -> None:
        self.n_batches = 0
        self.class_counts: torch.Tensor | None = None
        self._device: torch.device | None = None
        self._task: Task | None = None
        self._reset()

    def add(
        self,
        loss: torch.Tensor | None,
        answers: tuple[torch.Tensor, torch.Tensor] | None,
        *,
        task: Task | None = None,
        is_mean: bool = True,
        weight: float = 1.0,
    ) -> None:
        """Take in one batch.

        Parameters
        ----------
        loss : Tensor of no dimension, or None
            Mean or sum over the targets that count; of a graph that has been left.
        answers : tuple of two tensors, or None
            Answered and true, as `Task.answers` gives them.
        task : Task, optional
            Of the answers.
        is_mean : bool
        weight : float
            Number of samples, where there are no answers.
        """
        self.n_batches += 1
        if answers is None:
            if loss is not None:
                self._add_loss(loss * weight if is_mean else loss, weight)
            return
        n = answers[0].numel()
        if n == 0:
            return
        device = answers[0].device
        if self._pending and device != self._device:
            self._flush()
        self._device, self._task = device, task
        self._pending.append((loss, is_mean, *answers))
        self._n_pending += n
        if len(self._pending) >= _BATCHES or self._n_pending >= _ELEMENTS:
            self._flush()

    def finish(self) -> Figures:
        """Return the figures, and begin anew; here the host waits for the devices."""
        figures = self.figures()
        self._reset()
        return figures

    def figures(self) -> Figures:
        """Return the figures so far."""
        self._flush()
        totals = [sum(column) for column in zip(*(total.values() for total in self._totals.values()), strict=True)]
        if not totals:
            return Figures()
        loss, n_loss, n, right_or_error, squares, truth, truth_squares = totals
        mean_loss = loss / n_loss if n_loss else nan
        if not n:
            return Figures(mean_loss, n=int(n_loss))
        if self._task is None or self._task.kind == "classification":
            return Figures(mean_loss, right_or_error / n, n=int(n), n_answers=int(n))
        spread = truth_squares - truth * truth / n
        r2 = 1 - squares / spread if spread > 0 else nan
        return Figures(mean_loss, rmse=sqrt(squares / n), r2=r2, n=int(n), n_answers=int(n))

    def _reset(self) -> None:
        self.n_batches = 0
        self._counts_classes = self.class_counts is None
        self._pending: list[tuple[torch.Tensor | None, bool, torch.Tensor, torch.Tensor]] = []
        self._n_pending = 0
        self._device, self._task = None, None
        self._totals: dict[torch.device, _Total] = {}
        self._shift: torch.Tensor | None = None

    def _add_loss(self, loss: torch.Tensor, n: float) -> None:
        row = torch.zeros(7, dtype=_precision(loss.device), device=loss.device)
        row[0], row[1] = loss, n
        self._total(loss.device).add(row)

    def _total(self, device: torch.device) -> "_Total":
        return self._totals.setdefault(device, _Total(device))

    def _flush(self) -> None:
        if not self._pending or self._task is None:
            return
        losses, are_means, predicted, truth = zip(*self._pending, strict=True)
        self._pending, self._n_pending = [], 0
        device, precision = predicted[0].device, _precision(predicted[0].device)
        sizes = [one.numel() for one in predicted]
        answered, true = _joined(predicted), _joined(truth)
        if self._task.kind == "classification":
            counts, parts = self._count(answered, true, sizes)
        else:
            counts, parts = self._measure(answered.to(precision), true.to(precision), sizes)
        loss = _stacked(losses, device, precision)
        has_loss = [one is not None for one in losses]
        scale = counts if all(are_means) else torch.where(_flags(are_means, device), counts, 1)
        # The mean over no target is NaN, and counts for nothing.
        total_loss = torch.where(counts > 0, loss * scale, 0).sum()
        n_loss = counts.sum() if all(has_loss) else torch.where(_flags(has_loss, device), counts, 0).sum()
        row = torch.stack([one.to(precision) for one in (total_loss, n_loss, *parts)])
        self._total(device).add(row)

    def _count(
        self, answered: torch.Tensor, true: torch.Tensor, sizes: list[int]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Targets that count, by batch; and all that is summed of a classification."""
        task = self._task
        used = torch.ones_like(true, dtype=torch.bool) if task is None else task.counted(true)
        precision = _precision(true.device)
        if len(set(sizes)) == 1:
            counts = used.view(len(sizes), -1).sum(1, dtype=precision)
        else:
            counts = torch.stack([one.sum(dtype=precision) for one in used.split(sizes)])
        if task is not None and self._counts_classes and not task.is_dense:
            self._count_classes(true, used, task.n_classes)
        nothing = counts.new_zeros(())
        return counts, [used.sum(), (answered == true).logical_and_(used).sum(), nothing, nothing, nothing]

    def _count_classes(self, true: torch.Tensor, used: torch.Tensor, n_classes: int) -> None:
        if self.class_counts is None:
            self.class_counts = torch.zeros(n_classes, dtype=torch.int64, device=true.device)
        at = true.clamp(0, n_classes - 1)
        if true.device.type == "cpu":
            found = torch.bincount(at[used], minlength=n_classes)
        else:  # both of these would wait for the device
            found = torch.zeros(n_classes, dtype=torch.int64, device=true.device).scatter_add(0, at, used.long())
        self.class_counts = self.class_counts + found.to(self.class_counts.device)

    def _measure(
        self, answered: torch.Tensor, true: torch.Tensor, sizes: list[int]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Targets by batch, and all that is summed of a regression."""
        counts = torch.tensor(sizes, dtype=true.dtype, device=true.device)
        if self._shift is None:
            # Squares of numbers far from zero would leave nothing of their spread.
            self._shift = true.mean()
        error, centred = answered - true, true - self._shift.to(true.device)
        return counts, [counts.sum(), error.sum(), (error * error).sum(), centred.sum(), (centred * centred).sum()]


class _Total:
    """A row of sums on one device."""

    def __init__(self, device: torch.device) -> None:
        self._is_exact = _precision(device) == torch.float64
        self._sum = torch.zeros(7, dtype=_precision(device), device=device)
        self._lost = torch.zeros_like(self._sum)

    def add(self, row: torch.Tensor) -> None:
        # Never in place: a sum that was made in inference mode could not be added to outside.
        if self._is_exact:
            self._sum = self._sum + row
            return
        row = row - self._lost
        grown = self._sum + row
        self._lost = torch.where(grown.isfinite(), (grown - self._sum) - row, 0)
        self._sum = grown

    def values(self) -> list[float]:
        return [float(value) for value in self._sum.double().tolist()] if self._is_exact else self._compensated()

    def _compensated(self) -> list[float]:
        pairs = zip(self._sum.tolist(), self._lost.tolist(), strict=True)
        return [float(total) - float(lost) for total, lost in pairs]


def _joined(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([one if one.dim() == 1 else one.reshape(-1) for one in tensors])


def _stacked(losses: Sequence[torch.Tensor | None], device: torch.device, precision: torch.dtype) -> torch.Tensor:
    """Losses of batches in one tensor; 0 where a batch has none."""
    known = [one for one in losses if one is not None]
    kinds = {(one.device, one.dtype) for one in known}
    if len(known) == len(losses) and len(kinds) == 1:
        return torch.stack(known).to(device, precision)
    zero = torch.zeros((), dtype=precision, device=device)
    return torch.stack([zero if one is None else one.to(device, precision) for one in losses])


def _precision(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _flags(flags: tuple[bool, ...] | list[bool], device: torch.device) -> torch.Tensor:
    return torch.tensor(flags, device=device)
