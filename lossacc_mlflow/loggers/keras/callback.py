"""`LossaccCallback`, and the hook on `fit` that hands it what `fit` was called with."""

import inspect
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Self

import keras

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.keras.fitting import Fit, ours_last, read_fit
from lossacc_mlflow.loggers.keras.training import KerasTraining
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.random_numbers import random_numbers_kept
from lossacc_mlflow.loggers.shield import shielded

__all__ = ["LossaccCallback", "install"]

_log = logging.getLogger("lossacc_mlflow")


class LossaccCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Log loss and accuracy curves and validation predictions of a training with `fit` to the active run.

    `lossacc_mlflow.autolog` puts one into every `fit`; one that is given by hand takes its place. Curves are what Keras
    computes at the end of every epoch, under the keys ``train_loss``, ``val_loss``, ``train_accuracy`` and
    ``val_accuracy`` (regressions: ``train_rmse``, ``val_rmse``, ``train_r2``, ``val_r2``), with its epochs from 0 as
    steps; what it does not compute takes a pass over the validation data. Nothing is done in between. The training is
    the same with and without.

    Parameters
    ----------
    validation_data : tuple of (x, y) or (x, y, sample_weight), or data set, optional
        For a `fit` that is given none, or only a generator.
    predictions : {"last", "best"}, int or None
        Of which epochs predictions of the validation data are kept: those of the weights with which the training ends,
        those of the weights with the lowest validation loss (kept in memory), or of every n-th epoch and the last.
    train_evaluation : bool or int
        Whether to evaluate on training data, too, in evaluation mode and after each epoch that has a validation, in
        place of the running mean of Keras. The number of samples, the same ones each time; True: as many as there are
        validation samples.
    stop_when : str or collection of str, optional
        Verdicts, such as ``"overfitting"``, at whose first alarm that lasts the training is stopped; the model ends
        with the weights of the best epoch, of which a copy is kept in memory.
    run_id : str, optional
        The active run by default; where there is none, a new one, which ends with the training.

    Examples
    --------
    ::

        with mlflow.start_run():
            model.fit(x, y, validation_split=0.2, epochs=50, callbacks=[LossaccCallback(stop_when="overfitting")])
    """

    def __init__(
        self,
        *,
        validation_data: Any = None,  # noqa: ANN401
        predictions: Predictions = "last",
        train_evaluation: bool | int = False,
        stop_when: str | Collection[str] | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__()
        self._options = Options(
            validation_data=validation_data,
            predictions=predictions,
            train_evaluation=train_evaluation,
            stop_when=stop_when,
        )
        self._run_id = run_id
        self._fit: Fit | None = None
        self._training: KerasTraining | None = None
        _watch_fit()

    @classmethod
    def of(cls, options: Options) -> Self:
        """Make one of options."""
        callback = cls()
        callback._options = options
        return callback

    def expect(self, fit: Fit) -> None:
        """Take in what `fit` is called with."""
        self._fit = fit

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Find out what is learned, and open the run."""
        del logs
        self.abort(None)
        if self._fit is None:
            _log.warning(
                "lossacc: LossaccCallback does not know the data of this fit, which was called before the callback was "
                "made, after autolog(disable=True): make it on a line before. Only curves are logged."
            )
        with random_numbers_kept(), shielded(f"curves of the Keras model {self.model.name!r}"):
            self._training = KerasTraining(self.model, self._options, self._fit or Fit(), self._run_id)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Log an epoch."""
        if self._training is not None:
            with random_numbers_kept():
                self._training.end_epoch(epoch, logs or {}, n_epochs=(self.params or {}).get("epochs"))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Log predictions, and close."""
        del logs
        training, self._training = self._training, None
        self._fit = None
        if training is not None:
            with random_numbers_kept():
                training.finish()

    def abort(self, error: BaseException | None) -> None:
        """Write what is left of a training that did not come to its end."""
        training, self._training = self._training, None
        if training is not None:
            training.close("FAILED" if error is None else end_status(error))


def install(options: Options) -> None:
    """Put a `LossaccCallback` into every `fit` of Keras that has none."""
    hooks.attach(keras.Model, "fit", _FitHook(options))


def _watch_fit() -> None:
    """Have callbacks that are given by hand told what `fit` was called with."""
    if not hooks.is_attached(keras.Model, "fit"):
        hooks.attach(keras.Model, "fit", _FitHook(None))


class _FitHook:
    """Around `fit`: gives our callback the data of `fit`, and its last place among the callbacks.

    Parameters
    ----------
    options : Options or None
        Of the callback that is put into a `fit` that has none of ours; None: none is.
    """

    def __init__(self, options: Options | None) -> None:
        self.options = options

    def __call__(self, below: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with hooks.outermost() as is_outermost:
            callback, fit = self._prepare(below, model, args, kwargs, may_add=is_outermost)
            if callback is None or fit is None:
                return below(model, *args, **kwargs)
            with ours_last(below, model, args, kwargs, callback) as (new_args, new_kwargs, callbacks):
                callback.expect(replace(fit, callbacks=callbacks))
                try:
                    return below(model, *new_args, **new_kwargs)
                except BaseException as error:
                    callback.abort(error)
                    raise

    def _prepare(
        self,
        below: Callable[..., Any],
        model: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        may_add: bool,
    ) -> tuple[LossaccCallback | None, Fit | None]:
        """Return the callback of a call of `fit`, and what it is called with; None where none is to be."""
        try:
            inspect.signature(below).bind(model, *args, **kwargs)
        except TypeError:
            return None, None  # Keras says it better
        callback, fit = None, None
        with shielded(f"curves of the Keras model {getattr(model, 'name', '')!r}"):
            fit = read_fit(below, model, args, kwargs)
            callback = next((one for one in fit.callbacks if isinstance(one, LossaccCallback)), None)
            if callback is None and may_add and self.options is not None:
                callback = LossaccCallback.of(self.options)
        return callback, fit


# `net.fit(..., callbacks=[LossaccCallback()])` looks the function up before it makes the callback.
_watch_fit()
