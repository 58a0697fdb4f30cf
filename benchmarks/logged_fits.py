"""Fits of scikit-learn, plain, with MLflow's automatic logging, and with ours beside it."""

import gc
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import mlflow
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import lossacc_mlflow
from benchmarks.stores import use_database

__all__ = ["FITS", "SIDES", "Side", "diagnosis_seconds", "fit_all", "fit_on_all_sides", "load_fits"]

Side = Literal["plain", "mlflow", "both", "both with predictions"]

SIDES: tuple[Side, ...] = ("plain", "mlflow", "both", "both with predictions")
"""What logs: nothing; MLflow alone; MLflow and we; MLflow and we, who keep predictions of the validation data, too."""

FITS: Mapping[str, Any] = MappingProxyType(
    {
        "RandomForestClassifier()": RandomForestClassifier(random_state=0),
        "GradientBoostingClassifier(subsample=0.3)": GradientBoostingClassifier(subsample=0.3, random_state=0),
        "HistGradientBoostingClassifier()": HistGradientBoostingClassifier(random_state=0),
        "MLPClassifier(max_iter=30)": MLPClassifier(max_iter=30, random_state=0),
        "LogisticRegression()": LogisticRegression(),
        "SGDClassifier(loss='log_loss')": SGDClassifier(loss="log_loss", random_state=0),
    }
)
"""Unfitted, by the name that stands in the table."""


def load_fits(folder: Path, n_samples: int) -> Sequence[Any]:
    """Make data of three classes, and a store.

    Parameters
    ----------
    folder : Path
    n_samples : int
        Of the training; a quarter of it more for the validation.

    Returns
    -------
    list
        What `fit_all` takes.
    """
    use_database(folder)
    X, y = make_classification(n_samples * 5 // 4, 20, n_informative=10, n_classes=3, random_state=0)  # noqa: N806
    return list(train_test_split(X, y, test_size=n_samples // 4, random_state=0, stratify=y))


def fit_on_all_sides(X: Any, X_val: Any, y: Any, y_val: Any, *, turn: int) -> dict[str, float]:  # noqa: ANN401, N803
    """Fit every model once on every side, one side after the other: what is compared is near in time and memory.

    Parameters
    ----------
    X, X_val, y, y_val
        As `load_fits` returns them.
    turn : int
        Which side comes first.

    Returns
    -------
    dict of str to float
        Seconds of each fit, by ``side: name``.
    """
    first = turn % len(SIDES)
    return {
        f"{side}: {name}": seconds
        for name in FITS
        for side in (*SIDES[first:], *SIDES[:first])
        for seconds in fit_all(X, X_val, y, y_val, side=side, names=(name,)).values()
    }


def fit_all(
    X: Any,  # noqa: ANN401, N803
    X_val: Any,  # noqa: ANN401, N803
    y: Any,  # noqa: ANN401
    y_val: Any,  # noqa: ANN401
    *,
    side: Side,
    names: Collection[str] = tuple(FITS),
) -> dict[str, float]:
    """Fit models once.

    Parameters
    ----------
    X, X_val, y, y_val
        As `load_fits` returns them.
    side : {"plain", "mlflow", "both", "both with predictions"}
    names : collection of str
        Of the models; all by default.

    Returns
    -------
    dict of str to float
        Seconds of each fit.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    is_ours = side.startswith("both")
    if side != "plain":
        mlflow.sklearn.autolog(log_models=False)
    if is_ours:
        lossacc_mlflow.autolog(diagnose=False, predictions="last" if side == "both with predictions" else None)
    seconds = {}
    try:
        with lossacc_mlflow.validation_data(X_val, y_val) if is_ours else nullcontext():
            for name in names:
                estimator = clone(FITS[name])
                gc.collect()  # else it falls into one fit or another, and takes as long as what is to be seen
                begin = time.perf_counter()
                estimator.fit(X, y)
                seconds[name] = time.perf_counter() - begin
    finally:
        lossacc_mlflow.autolog(disable=True)
        mlflow.sklearn.autolog(disable=True)
    return seconds


def diagnosis_seconds(X: Any, X_val: Any, y: Any, y_val: Any) -> dict[str, float]:  # noqa: ANN401, N803
    """Fit every model with curves and predictions, then time the diagnosis of each run, with all that is written.

    Parameters
    ----------
    X, X_val, y, y_val
        As `load_fits` returns them.

    Returns
    -------
    dict of str to float
        Seconds of each diagnosis.
    """
    fit_all(X, X_val, y, y_val, side="both with predictions")
    runs = mlflow.search_runs(order_by=["attributes.start_time DESC"], max_results=len(FITS), output_format="list")
    seconds = {}
    for name, run in zip(FITS, reversed(runs), strict=True):
        begin = time.perf_counter()
        lossacc_mlflow.diagnose(run.info.run_id, write=True)
        seconds[name] = time.perf_counter() - begin
    return seconds
