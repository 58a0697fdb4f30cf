"""`autolog`: one line that makes curves, predictions and diagnoses of every framework that is imported."""

import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from mlflow.utils.import_hooks import register_post_import_hook

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.background import QUEUE, EndedRun
from lossacc_mlflow.loggers.console import speak
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.run_end import after_every_end
from lossacc_mlflow.loggers.shield import shielded

__all__ = ["autolog"]

_FRAMEWORKS = {
    "sklearn": ("sklearn",),
    "keras": ("keras",),
    "lightning": ("lightning.pytorch", "pytorch_lightning"),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "transformers": ("transformers",),
}
"""Our module by whose import: each has a function ``install(options)`` that attaches its hooks."""


class _State:
    """What is switched on in this process."""

    options: Options | None = None


def autolog(
    validation_data: tuple[Any, Any] | None = None,
    predictions: Predictions = "last",
    diagnose: bool = True,
    *,
    validation_fraction: float | None = None,
    train_evaluation: bool | int = False,
    stop_when: str | Collection[str] | None = None,
    by_sample_size: bool = False,
    disable: bool = False,
    silent: bool = False,
) -> None:
    """Log loss and accuracy of every training at every step, keep predictions, and diagnose every run when it ends.

    One line, anywhere before the training: of scikit-learn, Keras, Lightning, XGBoost, LightGBM and transformers, those
    that are imported, now or later. The training code stays as it is; what a model trained with it answers is the same
    to the last bit. Where no run is active, each training gets one of its own.

    It goes with ``mlflow.autolog()`` and the autologging of each framework, before, after, or without it: nothing that
    MLflow logs is logged a second time. Called again, the options of the last call hold.

    Parameters
    ----------
    validation_data : tuple of (X, y), optional
        Held-out data: for what takes none in its training code, such as the ``fit`` of scikit-learn. Data that the
        training code itself validates on come first. See also `validation_data`, for a block of code.
    predictions : {"last", "best"}, int or None
        Of which steps predictions of the validation data are kept: the last, the one of the lowest validation loss,
        every n-th and the last, or none.
    diagnose : bool
        Whether every run of this process is diagnosed and written to when it ends, in the background: also those of a
        search, after an exception, and at the exit of the interpreter. Thresholds are those of ``lossacc.toml`` or
        ``[tool.lossacc]``, read now.
    validation_fraction : float, optional
        Share of the training data of scikit-learn estimators that is held out. Nothing is held out unless asked for.
    train_evaluation : bool or int
        Whether deep models are also evaluated on training data, in evaluation mode, wherever they are on validation
        data. The training loss of a framework is a running mean, with dropout, over weights that change; this one can
        be compared. An integer is the number of samples, the same at every step; True: as many as in validation.
    stop_when : str or collection of str, optional
        Verdicts, such as ``overfitting``: the training stops at the first alarm that lasts, with the best weights
        where the framework can restore them, and the run says so.
    by_sample_size : bool
        Whether scikit-learn estimators that have no iterations are fitted again on growing parts of the data.
    disable : bool
        Whether to switch everything off, and leave every function as it was.
    silent : bool
        Whether to say nothing but warnings.

    Raises
    ------
    InputError
        If an option is none of these, or the settings file cannot be used. Nothing later raises: what goes wrong in a
        training is one warning, and the tag ``lossacc.status``.

    See Also
    --------
    wait_for_diagnoses : Wait until the runs that ended are diagnosed.

    Examples
    --------
    >>> import lossacc_mlflow
    >>> lossacc_mlflow.autolog()
    >>> lossacc_mlflow.autolog(stop_when="overfiting")
    Traceback (most recent call last):
        ...
    lossacc_mlflow.errors.InputError: stop_when names 'overfiting'; wanted is one of ...
    >>> lossacc_mlflow.autolog(disable=True)
    """
    if disable:
        _State.options = None
        after_every_end(None)
        hooks.detach_all()
        speak(is_on=False)
        return
    options = Options(
        validation_data=validation_data,
        validation_fraction=validation_fraction,
        predictions=predictions,
        train_evaluation=train_evaluation,
        stop_when=stop_when,
        by_sample_size=by_sample_size,
        diagnose=diagnose,
        silent=silent,
    )
    if options.diagnose:
        QUEUE.diagnose = _diagnosis()
    _State.options = options
    speak(is_on=not silent)
    after_every_end(_diagnose_later if options.diagnose else None)
    for ours, theirs in _FRAMEWORKS.items():
        for name in theirs:
            _when_imported(name, _installer(ours))


def _diagnosis() -> Callable[[EndedRun], None]:
    """What to do with a run that ended, with the settings that hold now."""
    from lossacc_mlflow.settings import read_settings  # noqa: PLC0415  (heavy, and for this only)

    settings = read_settings()

    def diagnose_ended(run: EndedRun) -> None:
        from lossacc_mlflow.loggers.diagnosis import diagnose_ended_run  # noqa: PLC0415  (heavier still, and later)

        diagnose_ended_run(run, settings)

    return diagnose_ended


def _diagnose_later(run_id: str, status: str, tracking_uri: str) -> None:
    del status
    QUEUE.put(run_id, tracking_uri)


def _when_imported(module: str, install: Callable[[Any], None]) -> None:
    """Install hooks when a module is imported; at once where it is."""
    if module in sys.modules:
        install(sys.modules[module])
    else:
        register_post_import_hook(install, module, overwrite=True)


def _installer(framework: str) -> Callable[[Any], None]:
    def install_lossacc(_: Any) -> None:  # noqa: ANN401  (the imported module)
        if _State.options is not None:
            with shielded(f"automatic logging of {framework}"):
                import_module(f"lossacc_mlflow.loggers.{framework}").install(_State.options)

    # MLflow keeps one hook of each name a module.
    install_lossacc.__name__ = f"install_lossacc_{framework}"
    return install_lossacc
