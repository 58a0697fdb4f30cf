"""Curve files and prediction files -> records."""

from lossacc_mlflow.files.curves import read_curve_file
from lossacc_mlflow.files.judging import judge_prediction_files
from lossacc_mlflow.files.predictions import PredictionFile, Progress, read_prediction_file

__all__ = ["PredictionFile", "Progress", "judge_prediction_files", "read_curve_file", "read_prediction_file"]
