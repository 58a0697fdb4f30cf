"""The callback, and its way into every `Trainer.fit`."""

import sys
from collections.abc import Callable, Collection
from typing import Any

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.lightning.asking import Predict
from lossacc_mlflow.loggers.lightning.fit import Fit, Settings
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.torch.answers import TaskKind

__all__ = ["LossaccCallback", "install"]

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def _callback_class() -> Any:  # noqa: ANN401  (of whichever package is there)
    """`Callback` of the package that is imported already; either trainer takes both."""
    for name in _PACKAGES:
        if name in sys.modules:
            return sys.modules[name].Callback
    try:
        from lightning.pytorch import Callback  # noqa: PLC0415  (only one of both is imported)
    except ImportError:
        from pytorch_lightning import Callback  # noqa: PLC0415
    return Callback


class LossaccCallback(_callback_class()):  # type: ignore[misc]
    """Log loss and accuracy of training and validation, and predictions, to the run of the training.

    That is the run of an ``MLFlowLogger`` of the trainer, else the active run, else one of its own. What the module
    logs itself by epoch (``self.log("val_loss", ...)``) is taken, and left to whoever writes it to that run; the rest
    is measured: losses by what the steps return, accuracies and predictions by the outputs that the loss is of. These
    are seen by hooks: the arguments of a loss that is a part of the module (``self.criterion``), what ``self(x)``
    returns, or what the last of its parts returns if that is what the loss is of.

    Parameters
    ----------
    predictions : {"last", "best"}, int or None
        Of which epochs predictions of the validation data are kept; an integer n: every n-th and the last.
    stop_when : str or collection of str, optional
        Verdicts, such as ``overfitting``, at whose first alarm that lasts the training ends, with its best weights.
    train_evaluation : bool or int
        Whether train loss and accuracy are measured after each epoch, in evaluation mode, on so many training samples,
        the same ones each time. True: as many as there are validation samples.
    predict : callable, optional
        ``predict(module, batch)`` returns outputs and targets, where neither is seen. By default ``predict_step``, if
        the module has its own, for the validation data.
    loss : str, optional
        What the loss is, such as ``log_loss``. By default the first batch tells whether it is the log loss.
    task : {"classification", "regression"}, optional
    n_classes : int, optional
    from_logits : bool, optional
        Whether outputs are logits. By default the first batch tells.
    ignore_index : int
        Targets of this class count for nothing.

    Raises
    ------
    InputError
        If an argument is none of these. Nothing that happens later raises.

    Notes
    -----
    With several processes that of rank 0 logs what it has seen; an alarm ends all of them, with the last weights. The
    first validation dataloader is the one that is looked at.
    """

    def __init__(
        self,
        *,
        predictions: Predictions = "last",
        stop_when: str | Collection[str] | None = None,
        train_evaluation: bool | int = False,
        predict: Predict | None = None,
        loss: str | None = None,
        task: TaskKind | None = None,
        n_classes: int | None = None,
        from_logits: bool | None = None,
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        self.options = Options(predictions=predictions, stop_when=stop_when, train_evaluation=train_evaluation)
        self._settings = Settings(predict, loss, task, n_classes, from_logits, ignore_index)
        self._fit: Fit | None = None
        self._was_stopped = False

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm in the latest training."""
        return self._was_stopped

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Begin."""
        self._fit, self._was_stopped = None, False
        with shielded(f"logging of {type(pl_module).__name__}"):
            self._fit = Fit(trainer, pl_module, self.options, self._settings)

    def on_train_batch_end(
        self,
        trainer: Any,  # noqa: ANN401, ARG002
        pl_module: Any,  # noqa: ANN401, ARG002
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take in a batch."""
        self._tell("see_train_batch", outputs, batch)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """See what was logged after the last epoch."""
        self._tell("see_late_names")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Log an epoch."""
        self._tell("end_epoch")
        self._check_alarm(trainer)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Begin a validation."""
        if not trainer.sanity_checking:
            self._tell("begin_validation")

    def on_validation_batch_end(
        self,
        trainer: Any,  # noqa: ANN401
        pl_module: Any,  # noqa: ANN401, ARG002
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,
    ) -> None:
        """Take in a batch of the validation data."""
        if not trainer.sanity_checking and dataloader_idx == 0:
            self._tell("see_validation_batch", outputs, batch)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """End a validation."""
        if not trainer.sanity_checking:
            self._tell("end_validation")
            self._check_alarm(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Log what is left."""
        self._end("FINISHED")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ANN401, ARG002
        """Keep what there is."""
        self._end(end_status(exception))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fit": None}

    def _tell(self, what: str, *arguments: Any) -> None:  # noqa: ANN401
        """Hand on to the fit; what goes wrong is one warning."""
        fit = self._fit
        if fit is None or not fit.is_main:
            return
        try:
            getattr(fit, what)(*arguments)
        except Exception as error:  # noqa: BLE001  (the training goes on, whatever it is)
            fit.recorder.warn(f"{what.replace('_', ' ')} failed", error)

    def _check_alarm(self, trainer: Any) -> None:  # noqa: ANN401
        """End the training, in all of its processes, if there is an alarm."""
        if self._fit is None or not self.options.alarms:
            return
        is_alarm = self._fit.is_main and self._fit.should_stop
        if trainer.world_size > 1:
            is_alarm = bool(trainer.strategy.reduce_boolean_decision(is_alarm, all=False))
        if is_alarm:
            trainer.should_stop = self._was_stopped = True

    def _end(self, status: str) -> None:
        fit, self._fit = self._fit, None
        if fit is not None:
            with shielded(f"logging of {fit.recorder.name}"):
                fit.end(status, was_stopped=self._was_stopped)


def install(options: Options) -> None:
    """Give every `Trainer.fit` of the packages that are imported a `LossaccCallback`, unless it has one.

    Parameters
    ----------
    options : Options
    """
    for name in _PACKAGES:
        package = sys.modules.get(name)
        if package is not None and hasattr(package, "Trainer"):
            hooks.attach(package.Trainer, "fit", _around_fit(options))


def _around_fit(options: Options) -> Callable[..., Any]:
    def fit(below: Any, trainer: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with hooks.outermost() as is_own:
            if not is_own or any(isinstance(callback, LossaccCallback) for callback in trainer.callbacks):
                return below(trainer, *args, **kwargs)
            callback = LossaccCallback()
            callback.options = options
            # Before those that save checkpoints, which are to save what is restored.
            places = (i for i, other in enumerate(trainer.callbacks) if hasattr(other, "best_model_path"))
            trainer.callbacks.insert(next(places, len(trainer.callbacks)), callback)
            try:
                return below(trainer, *args, **kwargs)
            finally:
                trainer.callbacks[:] = [other for other in trainer.callbacks if other is not callback]

    return fit
