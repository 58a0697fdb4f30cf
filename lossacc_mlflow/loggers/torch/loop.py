"""`Track`: takes in the batches of a training loop, and logs its epochs."""

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import torch

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.torch.evaluation import evaluating, first_samples, to_device, unwrapped
from lossacc_mlflow.loggers.torch.recording import Recorder
from lossacc_mlflow.loggers.torch.weights import BestWeights
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.monitor import Alarm
from lossacc_mlflow.records import Split

__all__ = ["Track"]

_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_EVERY_SPLIT: tuple[Split, ...] = ("train", "validation", "test")


class Track:
    """What `track` gives: takes in batches, and logs epochs.

    Parameters
    ----------
    options : Options
    recorder : Recorder
    model, train_loader, loss, loss_fn, forward, first_epoch, name, run_id
        As in `track`.
    """

    def __init__(
        self,
        options: Options,
        recorder: Recorder,
        *,
        model: torch.nn.Module | None,
        train_loader: Any,  # noqa: ANN401
        loss: str | None,
        loss_fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
        forward: Callable[[torch.nn.Module, Any], tuple[Any, Any]],
        first_epoch: int,
        name: str,
        run_id: str | None,
    ) -> None:
        self.epoch = first_epoch
        self._options, self._recorder = options, recorder
        self._model, self._train_loader = model, train_loader
        self._loss, self._loss_fn, self._forward = loss, loss_fn, forward
        self._name, self._run_id = name, run_id
        self._training: TrainingLog | None = None
        self._weights = BestWeights(model) if options.alarms and model is not None else None
        self._is_main = _rank() == 0
        self._is_closed = self._has_restored = False
        self._restored_step: int | None = None
        self._last_keys: set[str] = set()
        self._n_validation: int | None = None
        self._has_gone_on = False  # trained on after the alarm
        if options.alarms and _is_distributed():
            self._options = Options(predictions=options.predictions, train_evaluation=options.train_evaluation)
            self._weights = None
            recorder.warn("stop_when", InputError("it is not available with several processes: training goes on."))

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm of a verdict in ``stop_when``."""
        return self.alarm is not None

    @property
    def alarm(self) -> Alarm | None:
        """Verdict, step and best step of the alarm, if there has been one."""
        return None if self._training is None else self._training.alarm

    def log_batch(
        self,
        loss: Any = None,  # noqa: ANN401  (a tensor, a number, or None)
        logits: Any = None,  # noqa: ANN401  (a tensor, or what a model returns that holds one)
        targets: Any = None,  # noqa: ANN401
        *,
        split: str = "train",
        n_samples: int | None = None,
    ) -> None:
        """Take in one batch; costs a few operations on its device, waits for none, and never raises.

        Parameters
        ----------
        loss : Tensor, optional
            Of the batch (mean or sum, as ``loss_reduction`` says), or of each sample. None: the log loss of `logits`.
            Before it is divided by a number of batches whose gradients are accumulated.
        logits : Tensor of shape (n, n_classes), (n,), (n, 1), (n, n_classes, ...) or (n, ..., n_classes), optional
            Outputs of the model: every one counts by its own target, each pixel or token as a sample.
        targets : Tensor of shape (n,), (n, 1), (n, n_classes) or (n, ...), optional
            Class numbers, rows of class weights, or numbers of a regression.
        split : {"train", "validation", "test"}
        n_samples : int, optional
            Where there are no targets.
        """
        if self._is_main and not self._is_closed:
            if split == "train":
                self._recorder.add("train", loss, logits, targets, n_samples)
                self._has_gone_on = self.should_stop
            else:
                self._recorder.add(self._split(split), loss, logits, targets, n_samples)

    def evaluate(
        self,
        model: torch.nn.Module | None,
        batches: Any,  # noqa: ANN401  (a data loader, or any iterable of batches)
        *,
        split: str = "validation",
        n_samples: int | None = None,
        loss_fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ) -> dict[str, float]:
        """Evaluate a model, and take the batches in; nothing of the training is changed by it.

        The model is in evaluation mode and without gradients meanwhile. Afterwards the mode of every module is what it
        was, and so is the state of the random numbers of PyTorch, NumPy, Python and the data loader.

        Parameters
        ----------
        model : Module or None
            None: that of `track`.
        batches : DataLoader or iterable of batches
        split : {"train", "validation", "test"}
        n_samples : int, optional
            Evaluate so many samples, the same at every call; all by default.
        loss_fn : callable, optional
            That of `track` by default.

        Returns
        -------
        dict of str to float
            The figures of the split in this epoch, such as ``val_loss`` and ``val_accuracy``; empty where another
            process logs.

        Raises
        ------
        Exception
            Whatever the model, the loss function or the batches raise.
        """
        of_split = self._split(split)
        model = self._model if model is None else model
        if not self._is_main or model is None:
            return {}
        used = batches if n_samples is None and of_split != "train" else first_samples(batches, n_samples)
        self._pass(unwrapped(model), used, batches, of_split, loss_fn or self._loss_fn)
        return self._recorder.figures(of_split)

    def end_epoch(self, step: int | None = None) -> None:
        """Log the figures of an epoch; without batches since the last one, nothing.

        Parameters
        ----------
        step : int, optional
            By default epochs are counted, from `first_epoch`.
        """
        if not self._is_main or self._is_closed:
            return
        self.epoch = self.epoch if step is None else int(step)
        with shielded(f"curves of {self._name}", None if self._training is None else self._training.run_id):
            self._evaluate_train()
            self._n_validation = self._recorder.n_targets("validation") or self._n_validation
            values = self._recorder.finish(_EVERY_SPLIT)
            if values:
                self._log(self.epoch, values)
        self.epoch += 1

    def epochs(self, n: int) -> Iterator[int]:
        """Count epochs, end each of them, and stop when there is an alarm; the best weights are back by then.

        Parameters
        ----------
        n : int
            At most so many, with those before ``first_epoch``.

        Yields
        ------
        int
        """
        while self.epoch < n and not self.should_stop:
            epoch = self.epoch
            yield epoch
            if self.epoch == epoch:
                self.end_epoch()
        if self.should_stop:
            self.restore_best()

    def restore_best(self) -> int | None:
        """Put the weights of the best epoch so far back into the model, where ``stop_when`` keeps them.

        Returns
        -------
        int or None
            The epoch; None where no weights are kept.
        """
        if self._weights is not None and not self._has_restored:
            self._has_restored = True
            with shielded(f"best weights of {self._name}", None if self._training is None else self._training.run_id):
                self._restored_step = self._weights.restore()
        return self._restored_step

    def close(self, status: str = "FINISHED") -> None:
        """Log what is left, restore the best weights if the training was stopped, and end the run if it is ours."""
        if self._is_closed:
            return
        if status == "FINISHED" and self._is_main:
            self._end_open_epoch()
        self._is_closed = True
        training = self._training
        if training is None:
            return
        if training.alarm is not None and not self._has_gone_on:
            training.note_stop(step=training.alarm.step, restored_step=self.restore_best())
        if self._recorder.kept is not None:
            with shielded(f"predictions of {self._name}", training.run_id):
                self._recorder.kept.finish(self._restored_step)
        training.close(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(end_status(error))

    def _split(self, split: str) -> Split:
        known = _SPLITS.get(split)
        if known is None:
            self._recorder.warn("split", InputError(f"{split!r} is none of {', '.join(_SPLITS)}; taken for test."))
        return known or "test"

    def _pass(
        self,
        model: torch.nn.Module,
        batches: Any,  # noqa: ANN401
        loader: Any,  # noqa: ANN401
        split: Split,
        loss_fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    ) -> None:
        """Go through batches in evaluation mode."""
        parameter = next(model.parameters(), None)
        with evaluating(model, loader, seed=0 if split == "train" else None):
            for batch in batches:
                here = batch if parameter is None else to_device(batch, parameter.device)
                outputs, targets = self._forward(model, here)
                loss = None if loss_fn is None or targets is None else loss_fn(outputs, targets)
                self._recorder.add(split, loss, outputs, targets)

    def _evaluate_train(self) -> None:
        if not self._options.train_evaluation or self._model is None or not self._recorder.has("train"):
            return
        n = self._options.train_evaluation
        n_samples = self._recorder.n_targets("validation") if n is True else int(n)
        self._recorder.drop("train")
        used = first_samples(self._train_loader, n_samples)
        self._pass(unwrapped(self._model), used, self._train_loader, "train", self._loss_fn)

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        if self._training is None:
            task = self._recorder.task
            self._training = TrainingLog(
                self._options,
                name=self._name,
                loss=self._loss or self._recorder.loss_name,
                n_classes=task.n_classes or None if task else None,
                class_counts=self._recorder.class_counts(),
                n_validation=self._n_validation,
                run_id=self._run_id,
            )
        self._last_keys = set(values)
        self._training.log(step, values)
        is_best = self._weights is not None and self._weights.consider(step, values)
        if self._recorder.kept is not None:
            loss = values.get("val_loss", values.get("val_rmse"))
            self._recorder.kept.end_pass(step, loss, self._training, is_best=is_best)

    def _end_open_epoch(self) -> None:
        """Log batches that came after the last epoch: a whole epoch of its own, or an evaluation of the last one."""
        with shielded(f"curves of {self._name}", None if self._training is None else self._training.run_id):
            if self._recorder.has("train") or self._training is None:
                self.end_epoch()
                return
            values = self._recorder.finish(_EVERY_SPLIT)
            new = {key: value for key, value in values.items() if key not in self._last_keys}
            if new:
                self._training.log(self.epoch - 1 if self._restored_step is None else self._restored_step, new)


def _is_distributed() -> bool:
    distributed = torch.distributed
    return bool(distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1)


def _rank() -> int:
    return int(torch.distributed.get_rank()) if _is_distributed() else 0
