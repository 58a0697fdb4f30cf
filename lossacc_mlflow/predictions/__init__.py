"""Summaries of predicted probabilities: every figure that explains a log loss, in one pass over blocks of rows."""

from lossacc_mlflow.predictions.bins import N_BINS
from lossacc_mlflow.predictions.buffer import PredictionBuffer
from lossacc_mlflow.predictions.inputs import make_predictions
from lossacc_mlflow.predictions.summary import judge_prediction_blocks, judge_predictions, summarize_predictions
from lossacc_mlflow.predictions.top import judge_top_predictions, summarize_top_predictions

__all__ = [
    "N_BINS",
    "PredictionBuffer",
    "judge_prediction_blocks",
    "judge_predictions",
    "judge_top_predictions",
    "make_predictions",
    "summarize_predictions",
    "summarize_top_predictions",
]
