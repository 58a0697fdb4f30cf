"""What an accuracy, a mean loss and a number of classes prove about each other, and about the model."""

from lossacc_mlflow.bounds.plane import LOSS_MAX_FLOAT64, PlaneRegions, loss_bounds, plane_regions
from lossacc_mlflow.bounds.significance import miscalibration_p

__all__ = ["LOSS_MAX_FLOAT64", "PlaneRegions", "loss_bounds", "miscalibration_p", "plane_regions"]
