"""One training of a `Trainer` on its way into one run."""

import logging
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import torch
from transformers.integrations import MLflowCallback

from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.loggers.best_step import BestStep
from lossacc_mlflow.loggers.held_answers import HeldAnswers
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.loggers.transformers.batches import Batches
from lossacc_mlflow.loggers.transformers.evaluations import (
    chosen_datasets,
    dataset_of,
    is_logged_rarely,
    n_samples,
    split_of,
    strategy_of,
    validation_dataset,
    value_of,
)
from lossacc_mlflow.loggers.transformers.passes import evaluate, subset_of
from lossacc_mlflow.loggers.transformers.spelling import Spelling
from lossacc_mlflow.loggers.transformers.tasks import (
    Task,
    class_names,
    confirm_loss,
    expected_classes,
    expected_loss,
    find_task,
)
from lossacc_mlflow.loggers.transformers.weights import BestWeights
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["Course"]

_log = logging.getLogger("lossacc_mlflow")

_SCORES = {"loss": "loss", "accuracy": "accuracy", "root_mean_squared_error": "rmse", "r2": "r2"}
"""Metrics of an evaluation that are logged, and how we spell them."""

_DEFAULT_SAMPLES = 1_000
"""On how many training samples a model is evaluated where the number of validation samples is not known."""


class Course:
    """One training: its curves, the answers of its evaluations, its best weights.

    Parameters
    ----------
    options : Options
    trainer : transformers.Trainer or None
        None where it could not be found out: then what `Trainer` logs is all there is.
    args : transformers.TrainingArguments
    state : transformers.TrainerState
    given : mapping of str to object
        What callbacks are given: ``model``, ``train_dataloader``, ...
    """

    def __init__(self, options: Options, trainer: Any, args: Any, state: Any, given: Mapping[str, Any]) -> None:  # noqa: ANN401
        self.options, self.trainer, self.args = options, trainer, args
        self.model = given["model"]
        self._loader: Any = given.get("train_dataloader")
        self._log: TrainingLog | None = None
        self._task: Task | None = None
        self._loss: str | None = None
        self._batches: Batches | None = None
        self._held: HeldAnswers | None = None
        self._splits = chosen_datasets(trainer)
        callbacks = [] if trainer is None else trainer.callback_handler.callbacks
        self._is_rarely_logged = trainer is not None and is_logged_rarely(args, state)
        self._spelling = Spelling(
            is_beside_mlflow=any(isinstance(one, MLflowCallback) for one in callbacks),
            is_squared=False,
            is_rarely_logged=self._is_rarely_logged,
        )
        self._loss_sum: Any = 0.0
        self._step_of_sum = self._step_logged = int(state.global_step)
        self._subset: Any = None
        self._best = BestStep()
        self._weights = BestWeights() if self._may_restore() else None
        self._written_at = 0  # in milliseconds
        self._told: set[str] = set()

    @property
    def run_id(self) -> str | None:
        """Run that is logged to, once it is known."""
        return None if self._log is None else self._log.run_id or None

    @property
    def is_open(self) -> bool:
        """Whether a run has been looked for."""
        return self._log is not None

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm."""
        return self._log is not None and self._log.should_stop

    @property
    def wants_answers(self) -> bool:
        """Whether the answers of an evaluation are of use: not where they are those of one process of many."""
        return (
            (self._task is None or self._task.is_scored)
            and self.args.world_size == 1
            and not getattr(self.args, "predict_with_generate", False)
        )

    @property
    def may_ask_for_answers(self) -> bool:
        """Whether the step that evaluates a batch is the one that is known to return answers at no cost."""
        owner = type(self.trainer).prediction_step.__module__
        return owner.startswith("transformers.") and not getattr(self.args, "use_liger_kernel", False)

    @property
    def log(self) -> TrainingLog:
        """The log of the run that is active once every callback has begun."""
        if self._log is None:
            self._loss = expected_loss(self.trainer, self.model)
            is_squared = self._loss == "mean_squared_error"
            self._spelling = replace(self._spelling, is_squared=is_squared)
            self._log = TrainingLog(
                self.options,
                name=type(self.model).__name__,
                step_unit="global_step",
                loss=self._loss,
                n_classes=None if is_squared else expected_classes(self.model),
                n_validation=n_samples(validation_dataset(self.trainer)),
                logged_elsewhere=self._spelling.logged_elsewhere,
            )
            self._draw_subset()
            self._name_train_keys()
        return self._log

    def open(self) -> None:
        """Find the run, or start one."""
        _ = self.log

    def take_loss(self, loss: torch.Tensor) -> None:
        """Add up the loss of a batch, on its device, where it is logged too rarely."""
        if self._is_rarely_logged:
            self._loss_sum = self._loss_sum + loss.detach()

    def take_batch(self, loss: Any, logits: object, labels: object) -> None:  # noqa: ANN401
        """Take the answers to one batch of an evaluation."""
        if self._task is None and logits is not None and labels is not None:
            self._settle(find_task(self.model, logits, labels), loss, logits, labels)
        if self._task is None or not self._task.is_scored or logits is None or labels is None:
            return
        if self._batches is None:
            self._batches = Batches(self._task, keeps=self.options.predictions is not None)
        self._batches.add(loss, logits, labels)

    def forget_batches(self) -> None:
        """Drop answers that are not to the evaluation data."""
        if self._batches is not None:
            self._batches.close()
        self._batches = None

    def log_training(self, state: Any, logs: Mapping[str, Any]) -> None:  # noqa: ANN401
        """Log the mean training loss since it was logged last."""
        if "train_runtime" in logs and self._is_clean and self._spelling.is_beside_mlflow:
            # Transformers is about to log the mean over the run as train_loss: in a millisecond of its own, by which
            # it can be told from ours.
            while time.time_ns() // 1_000_000 <= self._written_at:
                time.sleep(0.0005)
        if "loss" not in logs:
            return
        self.open()
        self._step_logged = int(state.global_step)
        if not (self._is_rarely_logged or self._is_clean):
            self._write(state, self._spelling.ours("train", {"loss": float(logs["loss"])}), theirs={"train_loss"})

    def log_evaluation(self, state: Any, metrics: Mapping[str, Any], loader: Any) -> None:  # noqa: ANN401
        """Log what one evaluation came to: its metrics, and what follows from its answers."""
        prefix = dataset_of(metrics, self.trainer)
        split = None if prefix is None else self._splits.get(prefix)
        if prefix is None or split is None:
            self.forget_batches()
            return
        batches, self._batches = self._batches, None
        batches = batches or self._evaluated_again(loader)
        known = {name: found for name in _SCORES if (found := value_of(metrics, prefix, name))}
        scores = {
            **(batches.scores() if batches else {}),
            **{_SCORES[name]: value for name, (_, value) in known.items()},
        }
        values = self._spelling.ours(split, scores)
        # Under a name that nobody can read, as of one of several data sets, it is as good as not logged.
        read = {_SCORES[name]: value for name, (key, value) in known.items() if split_of(key) == split}
        theirs = self._spelling.ours(split, read)
        if split == "validation":
            values |= self._train_scores(state)
        self._write(state, values, theirs=set(theirs))
        if split == "validation":
            self._keep(int(state.global_step), values, None if batches is None else batches.answers)
        elif batches is not None:
            batches.close()

    def log_epoch(self, state: Any) -> None:  # noqa: ANN401
        """Log the training alone, where nothing is evaluated."""
        if strategy_of(self.args) == "no" and (values := self._train_scores(state)):
            self._write(state, values)

    def finish(self, state: Any, status: str) -> None:  # noqa: ANN401
        """Restore the best weights of a training that was stopped, keep predictions, and close the log."""
        log = self._log
        if log is None:
            return
        try:
            restored = None
            if log.should_stop and status == "FINISHED":
                restored = self._restore(state)
                log.note_stop(step=int(state.global_step), restored_step=restored)
            if self._held is not None:
                self._held.finish(restored)
        finally:
            log.close(status)

    def _write(self, state: Any, values: Mapping[str, float], theirs: Collection[str] = ()) -> None:  # noqa: ANN401
        """Log the values of a step; those that transformers logs itself are for the judge alone."""
        epoch = {} if state.epoch is None else {"epoch": float(state.epoch)}
        self.log.log(int(state.global_step), {**self._spelling.written(values, theirs), **epoch})
        self._written_at = time.time_ns() // 1_000_000

    def _draw_subset(self) -> None:
        """Choose the training samples to evaluate on, where that is asked for and can be done."""
        wanted = self.options.train_evaluation
        if not wanted or self._is_clean or not self._may_evaluate(self._loader):
            return
        n = (n_samples(validation_dataset(self.trainer)) or _DEFAULT_SAMPLES) if wanted is True else wanted
        self._subset = subset_of(self._loader.dataset, n)
        if self._subset is None:
            self._tell("the training data has no length, so that no fixed part of it can be evaluated.")

    @property
    def _is_clean(self) -> bool:
        """Whether the training loss is that of an evaluation: of our own, or of a data set named ``train``."""
        return self._subset is not None or "train" in self._splits.values()

    def _name_train_keys(self) -> None:
        """Have the evaluation on training samples stand for training, and not the mean over steps."""
        if self._is_clean:
            loss = self._loss if self._loss in METRICS else "loss"
            self.log.set_tags({"lossacc.keys": f"train_loss=train:{loss},train_accuracy=train:accuracy"})

    def _train_scores(self, state: Any) -> dict[str, float]:  # noqa: ANN401
        """Evaluate on training samples, else tell the mean loss since the last time, where nobody logs it."""
        if self._subset is not None:
            batches = self._evaluated(self._subset, self._loader.collate_fn, keeps=False)
            return {} if batches is None else self._spelling.ours("train", batches.scores())
        if not self._is_rarely_logged or self._is_clean:
            return {}
        step = int(state.global_step)
        n, self._step_of_sum = step - self._step_of_sum, step
        total, self._loss_sum = float(self._loss_sum), 0.0
        is_told = self._spelling.is_beside_mlflow and self._step_logged == step
        return {} if n <= 0 or is_told else self._spelling.mean_loss(total / n)

    def _evaluated_again(self, loader: Any) -> Batches | None:  # noqa: ANN401
        """Evaluate anew where the answers to the evaluation data did not come by."""
        if not (self.wants_answers and self._may_evaluate(loader)) or n_samples(loader.dataset) is None:
            return None
        batches = self._evaluated(loader.dataset, loader.collate_fn, keeps=self.options.predictions is not None)
        return batches if batches is not None and batches.task.is_scored else None

    def _evaluated(self, dataset: Any, collate: Any, *, keeps: bool) -> Batches | None:  # noqa: ANN401
        """Evaluate the model as it stands; what goes wrong in that costs nothing but its figures."""
        batches = None
        with shielded("evaluation of transformers", self.run_id):
            batches = evaluate(self.trainer, dataset, collate, task=self._task, settle=self._settle, keeps=keeps)
        return batches  # noqa: RET504  (None where it went wrong)

    def _settle(self, task: Task, loss: Any, logits: object, labels: Any) -> None:  # noqa: ANN401
        """Take note of what the first batch shows."""
        self._task = task
        if task.kind == "unsupported":
            self._tell(f"{task.problem}: of this only the losses are logged.")
        if not task.is_scored:
            return
        tags = {} if task.n_classes is None else {"lossacc.n_classes": str(task.n_classes)}
        if self._loss is None:
            self._loss = confirm_loss(self.trainer, task, loss, logits, labels)
            tags |= {} if self._loss is None else {"lossacc.loss": self._loss}
        self.log.set_tags(tags)
        self._name_train_keys()

    def _keep(self, step: int, values: Mapping[str, float], answers: PredictionBuffer | None) -> None:
        """Keep the weights of the best evaluation so far, where they may be restored, and answers."""
        is_best = self._best.consider(step, values)
        if is_best and self._weights is not None:
            self._weights.keep(self.model, step)
        if answers is None or self._task is None:
            return
        if self._held is None:
            is_regression = self._task.kind == "regression"
            labels = class_names(self.model, self._task)
            self._held = HeldAnswers(self.log, is_regression=is_regression, labels=labels)
        may_be_restored = is_best and self._weights is not None
        self._held.take(step, answers, val_loss=values.get("val_loss"), may_be_restored=may_be_restored)

    def _restore(self, state: Any) -> int | None:  # noqa: ANN401
        """Put the best weights back, or find out which ones transformers has put back."""
        if self._weights is not None and self._weights.step is not None:
            self._weights.restore(self.model)
            return self._weights.step
        checkpoint = re.search(r"checkpoint-(\d+)$", str(state.best_model_checkpoint or ""))
        return int(checkpoint.group(1)) if checkpoint and self.args.load_best_model_at_end else None

    def _may_restore(self) -> bool:
        is_sharded = any(getattr(self.trainer, f"is_{name}_enabled", False) for name in ("deepspeed", "fsdp"))
        return bool(self.options.alarms) and not (self.args.load_best_model_at_end or is_sharded)

    def _may_evaluate(self, loader: Any) -> bool:  # noqa: ANN401
        """Whether a pass of our own can be made; processes that share a model would have to make it together."""
        if self.trainer is None or loader is None:
            self._tell("the trainer is not known to its callback: only what it logs itself is logged.")
            return False
        if self.args.world_size > 1:
            self._tell(f"{self.args.world_size} processes: only what transformers logs itself is logged.")
            return False
        return True

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning("lossacc: %s: %s", type(self.model).__name__, what)
