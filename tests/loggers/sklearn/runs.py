"""What a run of a scikit-learn training holds, for the tests of its automatic logging."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from lossacc_mlflow.records import FloatArray
from tests.conftest import Tracking

Array = NDArray[Any]


@dataclass(frozen=True)
class Logged:
    """One run as it stands in the store."""

    run_id: str
    status: str
    tags: dict[str, str]
    curves: dict[str, tuple[list[int], FloatArray]]
    files: dict[str, bytes]


def logged(store: Tracking) -> list[Logged]:
    """Every run of the experiment, the first one first, and a parent before its children."""
    found = store.client.search_runs([store.experiment_id])
    found.sort(key=lambda run: (run.info.start_time, "mlflow.parentRunId" in run.data.tags))
    runs = []
    for run in found:
        curves = {}
        for key in run.data.metrics:
            points = sorted(store.client.get_metric_history(run.info.run_id, key), key=lambda p: p.step)
            curves[key] = ([p.step for p in points], np.array([p.value for p in points]))
        runs.append(Logged(run.info.run_id, run.info.status, run.data.tags, curves, store.files(run.info.run_id)))
    return runs


def only_run(store: Tracking) -> Logged:
    """The one run of the experiment."""
    (run,) = logged(store)
    return run


def digits(n_classes: int = 4, n_samples: int = 300) -> tuple[Array, Array, Array, Array]:
    """Digits as (X, y, X_val, y_val)."""
    X, y = load_digits(return_X_y=True)
    keep = y < n_classes
    X, X_val, y, y_val = train_test_split(X[keep][:n_samples] / 16, y[keep][:n_samples], random_state=0)
    return X, y, X_val, y_val
