"""Records of predictions to draw, made by hand: each figure is a plain number that a test can ask for."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import (
    ClassSummary,
    PredictionSteps,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    SamplePredictions,
    SearchResults,
    SearchScore,
    Split,
)

Judged = tuple[PredictionSummary, SamplePredictions]


def judged(n: int = 300, k: int = 4, names: Sequence[str] | None = None, *, temperature: bool = False) -> Judged:
    """Random predictions that are right more often than not."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += 2.5
    proba = np.exp(logits)
    predictions = make_predictions(truth, proba / proba.sum(axis=1, keepdims=True))
    named = replace(predictions, classes=tuple(names)) if names else predictions
    return judge_predictions(named, temperature=temperature)


def with_calibration(
    refinement: float, wrong: float, right: float, *, temperature: float = 1.5, se: float | None = 0.01
) -> PredictionSummary:
    """A summary whose log loss is the sum of three parts."""
    summary, _ = judged()
    return replace(
        summary,
        log_loss=refinement + wrong + right,
        refinement_loss=refinement,
        calibration_loss=wrong + right,
        calibration_loss_se=se,
        calibration_loss_incorrect=wrong,
        calibration_loss_correct=right,
        temperature=temperature,
    )


def with_classes(
    shares: Sequence[float],
    names: Sequence[str] | None = None,
    **more: Any,  # noqa: ANN401  (fields of PredictionSummary)
) -> PredictionSummary:
    """A summary of classes of a hundred samples each that carry such shares of the loss."""
    summary, _ = judged()
    labels = names or [f"class {i}" for i in range(len(shares))]
    classes = tuple(
        ClassSummary(label, 100, 90 if share else 0, 0.8, 0.8 if share else nan, 0.8, 2 * share, share)
        for label, share in zip(labels, shares, strict=True)
    )
    return replace(summary, classes=classes, n_samples=100 * len(shares), **more)


def steps(
    split: Split = "validation", n: int = 60, *, turn: int | None = 20, start: int = 0, **figures: ArrayLike
) -> PredictionSteps:
    """Refinement falls to the end; from ``turn`` on calibration grows, so that the loss turns there."""
    t = np.arange(n, dtype=np.float64)
    refinement = 0.3 + 1.8 * np.exp(-t / 5) - 0.001 * t
    calibration = np.zeros(n) if turn is None else 0.01 * np.maximum(0.0, t - turn)
    known: dict[str, ArrayLike] = {
        "log_loss": refinement + calibration,
        "refinement_loss": refinement,
        "calibration_loss": calibration,
        "loss_correct": 0.1 + 0.5 * np.exp(-t / 5),
        "loss_incorrect": 1.5 + 0.05 * t,
        "accuracy": 0.93 - 0.8 * np.exp(-t / 4),
    }
    values = {name: np.asarray(value, dtype=np.float64) for name, value in (known | figures).items()}
    return PredictionSteps(split, np.arange(start, start + n), values)


def numbers(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[RegressionSamples, RegressionSummary]:
    """Targets, predictions, and their summary as the formulas of the records have it."""
    y, f = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    error = f - y
    slope = float(np.cov(y, f, bias=True)[0, 1] / f.var()) if len(y) > 1 and f.var() > 0 else nan
    correlation = slope * f.std() / y.std() if y.std() > 0 else nan
    mse, varies = float((error**2).mean()), bool(y.std() > 0)
    summary = RegressionSummary(
        n_samples=len(y),
        mse=mse,
        rmse=mse**0.5,
        mae=float(np.abs(error).mean()),
        r2=1 - mse / y.var() if varies else nan,
        target_mean=float(y.mean()),
        target_sd=float(y.std()),
        rmse_over_sd=mse**0.5 / y.std() if varies else nan,
        correlation=correlation,
        bias=float(error.mean()),
        slope=slope,
        mse_bias=float(error.mean() ** 2),
        mse_slope=float((f.std() - correlation * y.std()) ** 2) if varies else 0.0,
        mse_residual=float((1 - correlation**2) * y.var()) if varies else float(error.var()),
        loss_share_top1pct=0.07,
        loss_gini=0.5,
    )
    return RegressionSamples("validation", tuple(map(str, range(len(y)))), y, f), summary


def search_results(name: str = "C") -> SearchResults:
    """Candidates over two parameters, numbers that span decades and texts."""
    mean, sd = np.array([0.6, 0.5, 0.9, 0.7]), np.full(4, 0.02)
    parameters: dict[str, tuple[float, ...] | tuple[str, ...]] = {
        f"{name} 1": (0.01, 0.01, 100.0, 100.0),
        f"{name} 2": (f"a {name}", f"b {name}") * 2,
    }
    return SearchResults(parameters, (SearchScore("accuracy", mean, sd, mean + 0.05, sd),), best=2, n_splits=5)
