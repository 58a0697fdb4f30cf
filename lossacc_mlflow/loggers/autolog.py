"""`autolog`: one line that makes curves, predictions and diagnoses of every framework that is imported."""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from mlflow.utils.import_hooks import register_post_import_hook

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.background import DiagnosisQueue
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.run_end import on_run_end
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.training import close_trainings

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
    queue: DiagnosisQueue | None = None


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
    """Log loss and accuracy curves and predictions of every training, and diagnose every run when it ends."""
    if disable:
        hooks.detach_all()
        _State.options = None
        return
    _State.options = Options(
        validation_data=validation_data,
        validation_fraction=validation_fraction,
        predictions=predictions,
        train_evaluation=train_evaluation,
        stop_when=stop_when,
        by_sample_size=by_sample_size,
        diagnose=diagnose,
        silent=silent,
    )
    if _State.queue is None:
        _State.queue = DiagnosisQueue()
    on_run_end(close_trainings, _diagnose_later)
    for ours, theirs in _FRAMEWORKS.items():
        for name in theirs:
            register_post_import_hook(_installer(ours), name, overwrite=True)


def _installer(framework: str) -> Callable[[Any], None]:
    def install_lossacc(_: Any) -> None:  # noqa: ANN401  (the imported module)
        if _State.options is not None:
            with shielded(f"automatic logging of {framework}"):
                import_module(f"lossacc_mlflow.loggers.{framework}").install(_State.options)

    # MLflow keeps one hook of each name a module.
    install_lossacc.__name__ = f"install_lossacc_{framework}"
    return install_lossacc


def _diagnose_later(run_id: str, status: str, tracking_uri: str) -> None:
    del status
    if _State.options is not None and _State.options.diagnose and _State.queue is not None:
        _State.queue.put(run_id, tracking_uri)
