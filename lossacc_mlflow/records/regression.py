"""Records of predicted numbers: what is kept of each sample, and their summary."""

from dataclasses import dataclass

import numpy as np

from lossacc_mlflow.records.arrays import FloatArray, freeze_arrays
from lossacc_mlflow.records.curves import Split

__all__ = ["RegressionSamples", "RegressionSummary"]


@dataclass(frozen=True, slots=True, eq=False)
class RegressionSamples:
    """Targets and predictions of one split, in the unit of the target; arrays have shape (n_samples,)."""

    split: Split
    sample_id: tuple[str, ...]
    y_true: FloatArray
    y_pred: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self, y_true=(self.y_true, np.float64), y_pred=(self.y_pred, np.float64))

    def __len__(self) -> int:
        return len(self.y_true)


@dataclass(frozen=True, slots=True)
class RegressionSummary:
    """What the predicted numbers of one split say, relative to how much the target varies.

    ``mse`` is the sum of ``mse_bias`` (the square of the mean error), ``mse_slope`` (the predictions vary too much or
    too little) and ``mse_residual`` (what no straight line through the predictions removes).
    """

    n_samples: int
    mse: float
    rmse: float
    mae: float
    r2: float
    target_mean: float
    target_sd: float
    rmse_over_sd: float
    correlation: float
    bias: float
    """Mean of prediction minus target."""
    slope: float
    """Of the target over the prediction, least squares: 1 where the predictions are calibrated."""
    mse_bias: float
    mse_slope: float
    mse_residual: float
    loss_share_top1pct: float
    loss_gini: float
    notes: tuple[str, ...] = ()
