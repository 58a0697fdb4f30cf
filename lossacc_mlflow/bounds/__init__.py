"""What an accuracy, a mean loss and a number of classes prove about each other, and about the model."""

from lossacc_mlflow.bounds.figures import CLASS_COUNTS, judge_figures
from lossacc_mlflow.bounds.losses import LOSS_FORMS, Loss, find_loss
from lossacc_mlflow.bounds.plane import PlaneRegions, loss_bounds, loss_bounds_within, plane_regions
from lossacc_mlflow.bounds.reported import read_figures
from lossacc_mlflow.bounds.significance import miscalibration_p

__all__ = [
    "CLASS_COUNTS",
    "LOSS_FORMS",
    "Loss",
    "PlaneRegions",
    "find_loss",
    "judge_figures",
    "loss_bounds",
    "loss_bounds_within",
    "miscalibration_p",
    "plane_regions",
    "read_figures",
]
