"""The same figures of the same predictions: by this package, by scikit-learn and by probmetrics.

Each function does what a user of that library would call for these figures, takes labels 0 to K - 1 and probabilities
of shape (n_samples, n_classes), and returns the figures by name. Libraries are imported where they are used, so that no
process carries those of another side.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records import PredictionSummary

__all__ = [
    "judge_file",
    "probmetrics_temperature",
    "read_file",
    "sklearn_log_loss",
    "sklearn_scores",
    "sklearn_temperature",
    "summary",
    "summary_with_temperature",
]

_Labels = NDArray[np.int64]
_Probabilities = NDArray[np.floating[Any]]


def summary(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Summarise in one pass: these five figures, and some forty more."""
    from lossacc_mlflow.predictions import summarize_predictions  # noqa: PLC0415

    found = summarize_predictions(y_true, y_proba, temperature=False)
    return _scores(found, y_proba.dtype)


def summary_with_temperature(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Summarise, fit the temperature, cross-fit it over five folds, and split the loss by it."""
    from lossacc_mlflow.predictions import summarize_predictions  # noqa: PLC0415

    found = summarize_predictions(y_true, y_proba)
    if found.temperature is None or found.calibration_loss is None or found.refinement_loss is None:
        raise RuntimeError(f"nothing was fitted: {' '.join(found.notes)}")
    return {
        **_scores(found, y_proba.dtype),
        "temperature": found.temperature,
        "calibration_loss": found.calibration_loss,
        "refinement_loss": found.refinement_loss,
    }


def sklearn_scores(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Call scikit-learn for each of the five figures; the answers are taken once."""
    from sklearn.metrics import (  # noqa: PLC0415
        accuracy_score,
        balanced_accuracy_score,
        brier_score_loss,
        f1_score,
        log_loss,
    )

    labels = np.arange(y_proba.shape[1])
    y_pred = y_proba.argmax(axis=1)
    return {
        "log_loss": float(log_loss(y_true, y_proba, labels=labels)),
        "brier": float(brier_score_loss(y_true, y_proba, labels=labels, scale_by_half=False)),
        "accuracy": float(accuracy_score(y_true, y_pred)),
        "balanced_accuracy": float(balanced_accuracy_score(y_true, y_pred)),
        "f1_macro": float(f1_score(y_true, y_pred, average="macro")),
    }


def sklearn_log_loss(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Call scikit-learn for the log loss alone."""
    from sklearn.metrics import log_loss  # noqa: PLC0415

    return {"log_loss": float(log_loss(y_true, y_proba, labels=np.arange(y_proba.shape[1])))}


def sklearn_temperature(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Fit what ``CalibratedClassifierCV(method="temperature")`` fits, without what it does around it."""
    from sklearn.calibration import _TemperatureScaling  # noqa: PLC0415

    return {"temperature": 1 / float(_TemperatureScaling().fit(y_proba, y_true).beta_)}


def probmetrics_temperature(y_true: _Labels, y_proba: _Probabilities) -> dict[str, float]:
    """Fit probmetrics' temperature scaling as it is by default."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        from probmetrics.calibrators import TemperatureScalingCalibrator  # noqa: PLC0415

    return {"temperature": 1 / float(TemperatureScalingCalibrator().fit(y_proba, y_true).invtemp_)}


def judge_file(path: Path, *, temperature: bool) -> dict[str, float]:
    """Do what ``lossacc predictions FILE`` does: summary, rules, worst samples."""
    from lossacc_mlflow.files import judge_prediction_files  # noqa: PLC0415

    (judged,) = judge_prediction_files([path], temperature=temperature).files
    found = {"log_loss": judged.summary.log_loss, "accuracy": judged.summary.accuracy}
    return found if judged.summary.temperature is None else {**found, "temperature": judged.summary.temperature}


def read_file(path: Path) -> dict[str, float]:
    """Read the same file once with the same reader, and compute nothing."""
    from lossacc_mlflow.files import read_prediction_file  # noqa: PLC0415

    return {"rows": float(sum(len(y_true) for y_true, *_ in read_prediction_file(path)))}


def _scores(found: PredictionSummary, dtype: np.dtype[Any]) -> dict[str, float]:
    # scikit-learn clips at eps of the type, our log loss at that of float64; the summary has both.
    clips = {clip.name: clip.log_loss for clip in found.loss_by_clip}
    return {
        "log_loss": clips["sklearn-float32"] if dtype == np.float32 else found.log_loss,
        "brier": found.brier,
        "accuracy": found.accuracy,
        "balanced_accuracy": found.balanced_accuracy,
        "f1_macro": found.f1_macro,
    }
