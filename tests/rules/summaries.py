"""Summaries of predictions for tests of rules."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import ClassSummary, PredictionSummary


def tempered_summary(sharpness: float, n: int = 4000) -> PredictionSummary:
    """A calibrated two-class model whose logits were multiplied."""
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return summarize_predictions(truth, 1 / (1 + np.exp(-sharpness * z)))


def class_summaries(
    confusion: ArrayLike, labels: Sequence[str] = ("apple", "pear", "plum", "quince")
) -> tuple[ClassSummary, ...]:
    """The classes of a confusion matrix, true classes in its rows."""
    counts = np.asarray(confusion)
    nan = float("nan")
    return tuple(
        ClassSummary(label, int(true), int(said), nan, nan, nan, nan, nan)
        for label, true, said in zip(labels, counts.sum(axis=1), counts.sum(axis=0), strict=False)
    )
