"""scikit-learn: curves of every estimator that has something to count."""

from lossacc_mlflow.loggers.sklearn.autologging import install
from lossacc_mlflow.loggers.sklearn.epochs import fit_by_epoch
from lossacc_mlflow.loggers.sklearn.fitted import log_curves
from lossacc_mlflow.loggers.sklearn.recipes import (
    FitData,
    Recipe,
    TrainingCurves,
    curves_after,
    leave_out_unseen,
    recipe_for,
    watching,
)

__all__ = [
    "FitData",
    "Recipe",
    "TrainingCurves",
    "curves_after",
    "fit_by_epoch",
    "install",
    "leave_out_unseen",
    "log_curves",
    "recipe_for",
    "watching",
]
