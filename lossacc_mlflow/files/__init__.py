"""Curve files and prediction files -> records."""

from lossacc_mlflow.files.curves import read_curve_file
from lossacc_mlflow.files.predictions import PredictionFile, read_prediction_file

__all__ = ["PredictionFile", "read_curve_file", "read_prediction_file"]
