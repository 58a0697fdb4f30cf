"""Runs in MLflow: read as RunData, updated in place, and cleaned.

Nothing is created where one only reads, histories are read whole and with few requests, and every failure is one line
that says which store, what was wanted and what to do.
"""

from lossacc_mlflow.store.cleaning import VIEW_TAG_PREFIX, clean_experiment, clean_run
from lossacc_mlflow.store.codec import (
    decode_regression_samples,
    decode_samples,
    encode_regression_samples,
    encode_samples,
)
from lossacc_mlflow.store.connection import check_server
from lossacc_mlflow.store.keeping import JudgedPredictions, keep, keep_predictions, keep_regression
from lossacc_mlflow.store.lookup import experiment_name, find_run_ids
from lossacc_mlflow.store.outbox import Outbox, as_number
from lossacc_mlflow.store.reading import read_run, read_runs
from lossacc_mlflow.store.searches import decode_search, encode_search, keep_search
from lossacc_mlflow.store.sending import SentFile, find_unsent, send_unsent
from lossacc_mlflow.store.summaries import decode_regression_summary, decode_summary, encode_summary
from lossacc_mlflow.store.unsent import UNSENT_FOLDER
from lossacc_mlflow.store.writing import (
    COMPARISON_NAME,
    comparison_run_id,
    log_points,
    set_tags,
    write_update,
)

__all__ = [
    "COMPARISON_NAME",
    "UNSENT_FOLDER",
    "VIEW_TAG_PREFIX",
    "JudgedPredictions",
    "Outbox",
    "SentFile",
    "as_number",
    "check_server",
    "clean_experiment",
    "clean_run",
    "comparison_run_id",
    "decode_regression_samples",
    "decode_regression_summary",
    "decode_samples",
    "decode_search",
    "decode_summary",
    "encode_regression_samples",
    "encode_samples",
    "encode_search",
    "encode_summary",
    "experiment_name",
    "find_run_ids",
    "find_unsent",
    "keep",
    "keep_predictions",
    "keep_regression",
    "keep_search",
    "log_points",
    "read_run",
    "read_runs",
    "send_unsent",
    "set_tags",
    "write_update",
]
