"""Whether a logged held-out loss is the log loss of the predictions that were logged with it."""

from dataclasses import dataclass, replace

import numpy as np

from lossacc_mlflow.curves import is_over_steps
from lossacc_mlflow.records import PredictionSummary, RunData, Split
from lossacc_mlflow.rules.base import JUDGED_SPLITS
from lossacc_mlflow.rules.plane import points_of

__all__ = ["OtherLoss", "find_other_loss"]

_LOG_LOSSES = ("log_loss", "loss")


@dataclass(frozen=True, slots=True)
class OtherLoss:
    """A logged loss beside the log loss of predictions that have the same accuracy.

    ``difference`` is the logged loss minus the range that the log loss of the predictions has over the clips of
    libraries: negative where the logged one is below it.
    """

    split: Split
    key: str
    step: int
    logged: float
    predicted: float
    accuracy: float
    difference: float


def find_other_loss(run: RunData) -> OtherLoss | None:
    """Hold the logged held-out loss against the predictions of the same split.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    OtherLoss or None
        None where the two agree at any step of the same accuracy, or cannot be compared: the accuracy at the last
        step must be that of the predictions to half a sample, else they are of another step or of other samples.
    """
    for split in JUDGED_SPLITS:
        summary = run.predictions.get(split)
        if summary is not None and np.isfinite([summary.log_loss, summary.accuracy]).all():
            found = _compare(run, split, summary)
            if found is not None:
                return found
    return None


def _compare(run: RunData, split: Split, summary: PredictionSummary) -> OtherLoss | None:
    curves = tuple(c for c in run.curves if c.split == split and is_over_steps(c))
    name = next((name for name in _LOG_LOSSES if any(c.metric.name == name for c in curves)), None)
    points = None if name is None else next(points_of(replace(run, curves=curves), (name,)), None)
    if points is None:
        return None
    same = np.abs(points.accuracy - summary.accuracy) <= points.accuracy_rounding + 0.5 / summary.n_samples
    if not same[-1]:
        return None
    low, high = _over_clips(summary)
    loss, rounding = points.loss[same], points.loss_rounding
    above, below = loss - high - rounding, low - loss - rounding
    # One step of the same accuracy that agrees is enough: the best weights may have been restored.
    if not ((above > 0).all() or (below > 0).all()):
        return None
    return OtherLoss(
        split=split,
        key=points.loss_key,
        step=int(points.step[-1]),
        logged=float(points.loss[-1]),
        predicted=summary.log_loss,
        accuracy=summary.accuracy,
        difference=float(above.min()) if (above > 0).all() else -float(below.min()),
    )


def _over_clips(summary: PredictionSummary) -> tuple[float, float]:
    """Lowest and highest log loss of the same probabilities over the clips of libraries."""
    losses = [summary.log_loss, *(c.log_loss for c in summary.loss_by_clip if not np.isnan(c.log_loss))]
    return min(losses), max(losses)
