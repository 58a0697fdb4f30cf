"""One `Trainer.fit`: what its steps and validations say, to one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lossacc_mlflow.loggers.lightning.asking import Predict, predicted_scores, train_scores
from lossacc_mlflow.loggers.lightning.axis import Target, find_target
from lossacc_mlflow.loggers.lightning.capture import Capture, Source, fits_loss
from lossacc_mlflow.loggers.lightning.names import LoggedNames
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.torch.answers import TaskKind
from lossacc_mlflow.loggers.torch.evaluation import split_batch
from lossacc_mlflow.loggers.torch.predictions import KeptPredictions
from lossacc_mlflow.loggers.torch.recording import Recorder
from lossacc_mlflow.loggers.torch.weights import BestWeights
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.records import Split, StepUnit

__all__ = ["Fit", "Settings"]

_TRAIN_KEYS = frozenset({"train_loss", "train_accuracy", "train_rmse", "train_r2"})
_CLEAN, _BY_EPOCH = "clean_{}", "{}_epoch"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person says about the module."""

    predict: Predict | None = None
    loss: str | None = None
    task: TaskKind | None = None
    n_classes: int | None = None
    from_logits: bool | None = None
    ignore_index: int = -100


class Fit:
    """Sums, names and the run of one fit.

    Parameters
    ----------
    trainer : Trainer
    module : LightningModule
    options : Options
    settings : Settings
    """

    def __init__(self, trainer: Any, module: Any, options: Options, settings: Settings) -> None:  # noqa: ANN401
        self.options, self._settings = options, settings
        self._trainer, self._module = trainer, module
        self.is_main = bool(trainer.is_global_zero) and not trainer.fast_dev_run
        self._known: dict[str, Any] = {
            "kind": settings.task,
            "n_classes": settings.n_classes,
            "from_logits": settings.from_logits,
            "ignore_index": settings.ignore_index,
        }
        self.recorder = Recorder(
            name=type(module).__name__,
            kept=None if options.predictions is None else KeptPredictions(),
            kind=settings.task,
            n_classes=settings.n_classes,
            from_logits=settings.from_logits,
            ignore_index=settings.ignore_index,
        )
        self.capture, self.names = Capture(), LoggedNames()
        self.training: TrainingLog | None = None
        self._target = find_target(trainer) if self.is_main else Target()
        self._weights = BestWeights(module) if self.is_main and options.alarms and trainer.world_size == 1 else None
        self._source: Source | None = None
        self._has_chosen = self._is_validated = self._computes_val_loss = False
        self._held: list[tuple[int, int, dict[str, float], int | None]] = []
        self._spelled: dict[str, str] = {}
        self._is_by_epoch = self._target.by_epoch  # whether the curves will be read by epoch
        self._last_step = 0
        if self.is_main:
            self.capture.attach(module)

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm."""
        return self.training is not None and self.training.should_stop

    def see_train_batch(self, outputs: Any, batch: Any) -> None:  # noqa: ANN401  (whatever a module returns and takes)
        """Take in a batch that was trained on."""
        loss = _loss_of(outputs)
        n_accumulated = self._trainer.accumulate_grad_batches
        if loss is not None and n_accumulated != 1 and self._module.automatic_optimization:
            loss = loss * n_accumulated  # Lightning has divided it
        if not self._has_chosen:
            self._choose(loss, batch)
            self.names.see_first_batch(self._trainer.callback_metrics.keys())
        scores, targets = self._seen(batch) if self._source is not None else (None, None)
        self.recorder.add("train", loss, scores, targets, _n_samples(batch) if scores is None else None)
        self.capture.clear()

    def see_validation_batch(self, outputs: Any, batch: Any) -> None:  # noqa: ANN401
        """Take in a batch of the validation data."""
        loss = _loss_of(outputs)
        scores, targets = self._seen(batch) if self._source is not None else (None, None)
        if scores is None and self._has_chosen:
            scores, targets = self._predicted(batch)
        self.capture.clear()
        if loss is None and scores is None:
            return
        self._computes_val_loss = loss is None
        self.recorder.add("validation", loss, scores, targets, _n_samples(batch) if scores is None else None)

    def begin_validation(self) -> None:
        """Only the last validation since values were logged counts."""
        self.recorder.drop("validation")

    def end_validation(self) -> None:
        """Log a validation, where steps are not epochs."""
        self._is_validated = True
        self.names.see_validation(self._trainer.callback_metrics.keys())
        if not self._target.by_epoch and self._target.is_often_validated:
            self._close(("train", "validation"), at_epoch_end=False)

    def end_epoch(self) -> None:
        """Log an epoch, as far as it is not logged."""
        self.names.see_epoch(self._trainer.callback_metrics.keys())
        self._close(("train", "validation"), at_epoch_end=True)

    def see_late_names(self) -> None:
        """Begin to log: only after the end of the first epoch it is known what a module logs itself."""
        self.names.see_epoch(self._trainer.callback_metrics.keys(), is_late=True)
        self._release()

    def end(self, status: str, *, was_stopped: bool) -> None:
        """Log what is left, and restore the best weights if the training was stopped by an alarm."""
        self.capture.detach()
        if not self.is_main:
            return
        if status == "FINISHED":
            self.see_late_names()
        if self.training is None:
            return
        restored = None
        if was_stopped and self.training.alarm is not None:
            restored = None if self._weights is None else self._weights.restore()
            unit: StepUnit = "epoch" if self._is_by_epoch else "global_step"
            self.training.note_stop(step=self._last_step, restored_step=restored, step_unit=unit)
        if self.recorder.kept is not None:
            self.recorder.kept.finish(restored)
        self.training.close(status)

    def _close(self, splits: tuple[Split, ...], *, at_epoch_end: bool) -> None:
        """Take the values since the last time, at the step that they belong to."""
        epoch = int(self._trainer.current_epoch)
        step = epoch if self._target.by_epoch else self._global_step(at_epoch_end=at_epoch_end)
        self.recorder.compare_first_losses()
        clean = self._evaluate_train()
        n_validation = self.recorder.n_targets("validation") if self._is_validated else None
        values = self.recorder.finish(splits) | clean
        if "train_rmse" in clean:
            values.pop("train_loss", None)
        keys = [
            key
            for key in self.names.of_epochs()
            if key not in clean and (self._is_validated if key.startswith("val_") else at_epoch_end)
        ]
        values |= self.names.values(self._trainer.callback_metrics, keys)
        if self._computes_val_loss and "val_loss" not in keys and self.recorder.is_log_loss("train") is False:
            values.pop("val_loss", None)  # the log loss would stand beside a train loss that is another
        self._held.append((step, epoch, values, n_validation))
        if self.training is not None or not at_epoch_end:
            self._release()
        self._is_validated = False

    def _release(self) -> None:
        held, self._held = self._held, []
        for step, epoch, values, n_validation in held:
            self._log(step, epoch, values, n_validation)

    def _begin(self, n_validation: int | None) -> TrainingLog:
        target, task = self._target, self.recorder.task
        elsewhere = self._divide_keys()
        is_validated = self._trainer.check_val_every_n_epoch == 1 and self._trainer.enable_validation
        follows_epochs = target.follows_logger and self.names.has_every_epoch(is_validated=is_validated)
        self._is_by_epoch = target.by_epoch or (follows_epochs and not target.is_often_validated)
        training = TrainingLog(
            self.options,
            name=type(self._module).__name__,
            step_unit=None if follows_epochs else target.step_unit,
            loss=self._settings.loss or self.recorder.loss_name,
            n_classes=task.n_classes or None if task else self._settings.n_classes,
            class_counts=self.recorder.class_counts(),
            n_validation=n_validation,
            logged_elsewhere={*elsewhere, *self._spelled, "epoch"},
            run_id=target.run_id,
            tracking_uri=target.tracking_uri,
        )
        if self._spelled:
            meanings = [f"{spelled}={key.replace('_', ':', 1)}" for key, spelled in sorted(self._spelled.items())]
            training.set_tags({"lossacc.keys": ",".join(meanings)})
        return training

    def _divide_keys(self) -> set[str]:
        """Keys that another logger writes to the run; those that need another spelling go to ``_spelled``."""
        target = self._target
        if not target.is_shared or target.prefix:
            return set()
        elsewhere = set(self.names.of_epochs())
        others = dict(self.names.of_batches())
        if target.follows_logger:
            elsewhere |= set(self.names.late())
        else:
            others |= self.names.late()  # MLflow's autologging logs them an epoch late
        if self.options.train_evaluation:
            clean = {key for key in _TRAIN_KEYS if key in elsewhere or key in others}
            elsewhere -= clean
            self._spelled |= {key: _CLEAN.format(key) for key in clean}
        self._spelled |= {key: _BY_EPOCH.format(key) for key in others if key not in {*elsewhere, *self._spelled}}
        return elsewhere

    def _log(self, step: int, epoch: int, values: Mapping[str, float], n_validation: int | None) -> None:
        if not values:
            return
        if self.training is None:
            self.training = self._begin(n_validation)
        spelled = {self._spelled[key]: value for key, value in values.items() if key in self._spelled}
        beside = {"epoch": float(epoch)} if self._target.follows_logger else {}
        self.training.log(step, {**values, **spelled, **beside})
        # Weights and predictions are told by the steps of the axis on which the curves are read.
        self._last_step = at = epoch if self._is_by_epoch else step
        is_best = self._weights is not None and self._weights.consider(at, values)
        if self.recorder.kept is not None:
            loss = values.get("val_loss", values.get("val_rmse"))
            self.recorder.kept.end_pass(at, loss, self.training, is_best=is_best)

    def _global_step(self, *, at_epoch_end: bool) -> int:
        """The step at which Lightning's loggers are given what belongs to this moment."""
        if not self._target.follows_logger:
            return int(self._trainer.global_step)
        stepped = getattr(self._trainer.fit_loop.epoch_loop, "_batches_that_stepped", None)
        if stepped is None:
            return max(int(self._trainer.global_step) - 1, 0)
        return max(int(stepped) - at_epoch_end, 0)

    def _choose(self, loss: torch.Tensor | None, batch: Any) -> None:  # noqa: ANN401
        """Find the outputs that the loss of the first batch is of."""
        self._has_chosen = True
        _, _, in_batch = split_batch(batch)
        likely: Source | None = None
        for source in ("criterion", "forward", "part"):
            scores = self.capture.seen.get(source)
            targets = self.capture.targets if source == "criterion" else in_batch
            if scores is None or not isinstance(targets, torch.Tensor):
                continue
            task, is_sure = fits_loss(scores, targets, loss, self._known)
            if task is None:
                continue
            if is_sure or (source != "part" and likely is None):
                self.recorder.task, likely = task, source
            if is_sure:
                break
        self._source = likely

    def _seen(self, batch: Any) -> tuple[torch.Tensor | None, Any]:  # noqa: ANN401
        """Outputs and targets of the step that has ended."""
        if self._source == "criterion" and self.capture.targets is not None:
            return self.capture.seen.get("criterion"), self.capture.targets
        source = "forward" if self._source == "criterion" else self._source
        scores = None if source is None else self.capture.seen.get(source)
        return (None, None) if scores is None else (scores, split_batch(batch)[2])

    def _predicted(self, batch: Any) -> tuple[Any, Any]:  # noqa: ANN401
        """What the module predicts of a batch whose outputs were not seen, if it can be asked."""
        try:
            scores, targets = predicted_scores(self._trainer, self._module, batch, self._settings.predict)
        except Exception as error:  # noqa: BLE001  (code of the user, called by us)
            self.recorder.warn("predictions", error)
            return None, None
        if self.recorder.task is None and scores is not None:
            self.recorder.task, _ = fits_loss(scores, targets, None, self._known)
        return (None, None) if self.recorder.task is None else (scores, targets)

    def _evaluate_train(self) -> dict[str, float]:
        """Figures of training data in evaluation mode, if these are asked for and there is a validation beside."""
        wanted, task = self.options.train_evaluation, self.recorder.task
        if not wanted or task is None or not (self._is_validated or not self._trainer.enable_validation):
            return {}
        n_samples = self.recorder.n_targets("validation") if wanted is True else int(wanted)
        sums = Recorder(name=self.recorder.name, kept=None)
        sums.task = task
        try:
            for scores, targets in train_scores(self._trainer, self._module, n_samples, self._settings.predict):
                sums.add("train", None, scores, targets)
        except Exception as error:  # noqa: BLE001  (code of the user, called by us)
            self.recorder.warn("evaluation of training data", error)
            return {}
        values = sums.finish(("train",))
        if self.recorder.loss_name != "log_loss" and task.kind == "classification":
            values.pop("train_loss", None)
        return values


def _loss_of(outputs: Any) -> torch.Tensor | None:  # noqa: ANN401
    """The loss in what a step returned."""
    if isinstance(outputs, Mapping):
        outputs = outputs.get("loss", outputs.get("val_loss"))
    is_loss = isinstance(outputs, torch.Tensor) and outputs.is_floating_point() and outputs.numel() == 1
    return outputs.detach() if is_loss else None


def _n_samples(batch: Any) -> int | None:  # noqa: ANN401
    """Length of the first tensor in a batch."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.dim() else 1
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else ()
    return next((n for part in parts if (n := _n_samples(part)) is not None), None)
