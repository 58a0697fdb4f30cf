"""The callback of `Trainer`, and how it gets into trainings that do not know of it."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from transformers import Seq2SeqTrainer, Trainer, TrainerCallback

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.transformers.course import Course

__all__ = ["LossaccCallback", "install"]


class LossaccCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Log loss and accuracy curves and predictions of a training to MLflow, and stop it when it overfits.

    What `Trainer` logs is used as it is; what it does not log is taken from the answers that its own evaluation
    computes. Beside transformers' ``MLflowCallback``, which writes to the same run, nothing is logged twice.

    Parameters
    ----------
    predictions : {"last", "best"}, int or None
        Of which evaluations the predictions are kept; an integer n: every n-th and the last.
    train_evaluation : bool or int
        Whether the model is also evaluated on training samples, at each evaluation; how many (True: as many as there
        are validation samples).
    stop_when : str or collection of str, optional
        Verdicts, such as ``overfitting``, at whose first alarm that lasts the training is stopped. The weights of the
        best evaluation are restored then, unless ``load_best_model_at_end`` does it.
    silent : bool
        Whether to keep to oneself what is no warning.

    Raises
    ------
    InputError
        If a value is none of these.

    Examples
    --------
    ``Trainer(model, args, callbacks=[LossaccCallback(train_evaluation=True)], ...).train()``
    """

    def __init__(
        self,
        *,
        predictions: Predictions = "last",
        train_evaluation: bool | int = False,
        stop_when: str | Collection[str] | None = None,
        silent: bool = False,
    ) -> None:
        self.options = Options(
            predictions=predictions, train_evaluation=train_evaluation, stop_when=stop_when, silent=silent
        )
        self._trainer: Any = None
        self._course: Course | None = None
        _watch_trainers()

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """See to it that the trainer is known to its callback when it trains."""
        _watch_trainers()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Begin anew: one trainer can train many times."""
        self._course = None
        if state.is_world_process_zero:
            with shielded("curves of transformers"):
                self._course = Course(self.options, self._trainer, args, state, kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Find the run, once every other callback has begun."""
        if self._course is not None and not self._course.is_open:
            with shielded("curves of transformers"):
                self._course.open()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Take the training loss."""
        if self._course is not None and logs:
            with shielded("curves of transformers", self._course.run_id):
                self._course.log_training(state, logs)
            self._stop_if_asked(control)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Take what an evaluation came to, and evaluate on training samples where asked to."""
        if self._course is not None:
            with shielded("evaluation of transformers", self._course.run_id):
                self._course.log_evaluation(state, metrics or {}, kwargs.get("eval_dataloader"))
            self._stop_if_asked(control)

    def on_predict(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Forget the answers to other data."""
        if self._course is not None:
            self._course.forget_batches()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Log what is known of an epoch, where nothing else is evaluated."""
        if self._course is not None:
            with shielded("evaluation of transformers", self._course.run_id):
                self._course.log_epoch(state)
            self._stop_if_asked(control)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Keep the predictions, restore the best weights of a training that was stopped, and close the run's log."""
        self._finish(state, "FINISHED")

    @contextmanager
    def inside(self, trainer: Any) -> Iterator[None]:  # noqa: ANN401
        """Watch one training of a trainer; it is left as it was."""
        if self._trainer is not None:
            yield
            return
        # MLflow's own callback ends the run that it started: what is written at the end must come before.
        callbacks = trainer.callback_handler.callbacks
        callbacks.remove(self)
        callbacks.insert(0, self)
        self._trainer = trainer
        try:
            with (
                _replaced(trainer, "prediction_step", self._predict),
                _replaced(trainer, "training_step", self._train_step),
            ):
                yield
        except BaseException as error:
            self._finish(trainer.state, end_status(error))
            raise
        finally:
            self._trainer = self._course = None

    def _finish(self, state: Any, status: str) -> None:  # noqa: ANN401
        course, self._course = self._course, None
        if course is not None:
            with shielded("end of a training of transformers", course.run_id):
                course.finish(state, status)

    def _stop_if_asked(self, control: Any) -> None:  # noqa: ANN401
        if self._course is not None and self._course.should_stop:
            control.should_training_stop = True

    def _predict(
        self,
        below: Callable[..., Any],
        model: Any,  # noqa: ANN401
        inputs: Any,  # noqa: ANN401
        prediction_loss_only: bool,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Have the answers of a batch, which are computed in any case, also where only the loss is asked for."""
        course = self._course
        if course is None or not course.wants_answers:
            return below(model, inputs, prediction_loss_only, *args, **kwargs)
        loss_only = prediction_loss_only and not course.may_ask_for_answers
        loss, logits, labels = below(model, inputs, loss_only, *args, **kwargs)
        with shielded("predictions of transformers", course.run_id):
            course.take_batch(loss, logits, labels)
        return (loss, None, None) if prediction_loss_only else (loss, logits, labels)

    def _train_step(self, below: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        loss = below(*args, **kwargs)
        if self._course is not None and isinstance(loss, torch.Tensor):
            self._course.take_loss(loss)
        return loss


def install(options: Options) -> None:
    """Put a callback into every training of a `Trainer` that has none.

    Parameters
    ----------
    options : Options
    """
    _attach(options)


def _watch_trainers() -> None:
    """Have trainers known to their callbacks, also where automatic logging is off."""
    if not hooks.is_attached(Trainer, "train"):
        _attach(None)


def _attach(options: Options | None) -> None:
    # MLflow patches both, and its patch of the second does not pass through the first.
    for owner in (Trainer, Seq2SeqTrainer):
        hooks.attach(owner, "train", partial(_train, options))


def _train(options: Options | None, below: Callable[..., Any], trainer: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    with hooks.outermost() as is_outermost:
        injected = None
        callback = _callback_of(trainer)
        if callback is None and options is not None and is_outermost:
            with shielded("automatic logging of transformers"):
                callback = injected = LossaccCallback(
                    predictions=options.predictions,
                    train_evaluation=options.train_evaluation,
                    stop_when=options.stop_when,
                    silent=options.silent,
                )
                trainer.add_callback(callback)
        if callback is None:
            return below(trainer, *args, **kwargs)
        try:
            with callback.inside(trainer):
                return below(trainer, *args, **kwargs)
        finally:
            if injected is not None and injected in trainer.callback_handler.callbacks:
                trainer.remove_callback(injected)


def _callback_of(trainer: Any) -> LossaccCallback | None:  # noqa: ANN401
    return next((c for c in trainer.callback_handler.callbacks if isinstance(c, LossaccCallback)), None)


@contextmanager
def _replaced(trainer: Any, name: str, around: Callable[..., Any]) -> Iterator[None]:  # noqa: ANN401
    """Wrap a method of one object; afterwards it has what it had."""
    own = vars(trainer).get(name)
    setattr(trainer, name, partial(around, getattr(trainer, name)))
    try:
        yield
    finally:
        if own is None:
            delattr(trainer, name)
        else:
            setattr(trainer, name, own)
