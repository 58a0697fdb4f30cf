"""How much of a log loss is only a matter of calibration: temperature scaling, and the ECE that chance explains.

The temperature fit is our own because it runs over blocks of rows, serves all folds of a cross-fit in the same passes,
and is safeguarded: plain Newton steps from T = 1 diverge on real networks.
"""

from lossacc_mlflow.calibration.chance import expected_calibration_error_null
from lossacc_mlflow.calibration.folds import N_FOLDS, assign_folds
from lossacc_mlflow.calibration.temperature import (
    BETA_BOUNDS,
    MIN_SAMPLES,
    Temperatures,
    fit_temperature,
    fit_temperatures,
    losses_after,
)

__all__ = [
    "BETA_BOUNDS",
    "MIN_SAMPLES",
    "N_FOLDS",
    "Temperatures",
    "assign_folds",
    "expected_calibration_error_null",
    "fit_temperature",
    "fit_temperatures",
    "losses_after",
]
