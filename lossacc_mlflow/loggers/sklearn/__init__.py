"""scikit-learn: curves of every estimator that has something to count."""

from lossacc_mlflow.loggers.sklearn.curves import (
    TrainingCurves,
    curves_by_iteration,
    curves_by_n_estimators,
    curves_by_sample_size,
    fit_by_epoch,
)

__all__ = [
    "TrainingCurves",
    "curves_by_iteration",
    "curves_by_n_estimators",
    "curves_by_sample_size",
    "fit_by_epoch",
]
