"""Is it learning, is it overfitting, and why do its loss and its accuracy disagree? Answers in MLflow.

The names below are loaded at first use, so that importing the package costs next to nothing.

>>> import lossacc_mlflow
>>> bounds = lossacc_mlflow.loss_bounds(accuracy=0.991, loss=0.2544, n_classes=10)
>>> f"{bounds.removable_loss / bounds.loss:.0%} of this loss is removable without changing a prediction"
'72% of this loss is removable without changing a prediction'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossacc_mlflow.bounds import loss_bounds
    from lossacc_mlflow.errors import InputError, LossaccError, StoreError
    from lossacc_mlflow.loggers.autolog import autolog
    from lossacc_mlflow.loggers.background import wait_for_diagnoses
    from lossacc_mlflow.loggers.base import log_curves, log_predictions, log_regression, log_top_predictions
    from lossacc_mlflow.loggers.validation import validation_data
    from lossacc_mlflow.monitor import Alarm, Judgement, Monitor
    from lossacc_mlflow.pairing import compare_predictions
    from lossacc_mlflow.pipeline import compare, diagnose, judge
    from lossacc_mlflow.predictions import summarize_predictions, summarize_top_predictions
    from lossacc_mlflow.records import (
        Comparison,
        Curve,
        Diagnosis,
        Finding,
        LossBounds,
        PairedComparison,
        PredictionSteps,
        PredictionSummary,
        RegressionSummary,
        RunData,
    )
    from lossacc_mlflow.regression import summarize_regression
    from lossacc_mlflow.settings import Settings, load_rules, read_settings
    from lossacc_mlflow.store import read_run

__all__ = [
    "Alarm",
    "Comparison",
    "Curve",
    "Diagnosis",
    "Finding",
    "InputError",
    "Judgement",
    "LossBounds",
    "LossaccError",
    "Monitor",
    "PairedComparison",
    "PredictionSteps",
    "PredictionSummary",
    "RegressionSummary",
    "RunData",
    "Settings",
    "StoreError",
    "autolog",
    "compare",
    "compare_predictions",
    "diagnose",
    "judge",
    "load_rules",
    "log_curves",
    "log_predictions",
    "log_regression",
    "log_top_predictions",
    "loss_bounds",
    "read_run",
    "read_settings",
    "summarize_predictions",
    "summarize_regression",
    "summarize_top_predictions",
    "validation_data",
    "wait_for_diagnoses",
]

__version__ = "0.1.0"

_HOMES = {
    "bounds": ("loss_bounds",),
    "errors": ("InputError", "LossaccError", "StoreError"),
    "loggers.autolog": ("autolog",),
    "loggers.background": ("wait_for_diagnoses",),
    "loggers.validation": ("validation_data",),
    "loggers.base": ("log_curves", "log_predictions", "log_regression", "log_top_predictions"),
    "monitor": ("Alarm", "Judgement", "Monitor"),
    "pairing": ("compare_predictions",),
    "pipeline": ("compare", "diagnose", "judge"),
    "predictions": ("summarize_predictions", "summarize_top_predictions"),
    "records": (
        "Comparison",
        "Curve",
        "Diagnosis",
        "Finding",
        "LossBounds",
        "PairedComparison",
        "PredictionSteps",
        "PredictionSummary",
        "RegressionSummary",
        "RunData",
    ),
    "regression": ("summarize_regression",),
    "settings": ("Settings", "load_rules", "read_settings"),
    "store": ("read_run",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (any public name, PEP 562)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
