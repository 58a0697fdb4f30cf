"""Points on their way into a run: one call a point as one writes it by hand, and ours."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from benchmarks.stores import use_database
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.training import TrainingLog

__all__ = ["by_log_metric", "by_log_metrics", "by_training_log", "load_long", "load_points", "train_long"]

_KEYS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


def load_points(folder: Path, uri: str | None, n_steps: int) -> Sequence[Any]:
    """Make a store, and the values of so many steps.

    Parameters
    ----------
    folder : Path
        Of the database.
    uri : str or None
        Of a server that serves it; None: the database itself.
    n_steps : int

    Returns
    -------
    list
        Of dictionaries, one a step.
    """
    use_database(folder)
    if uri is not None:
        mlflow.set_tracking_uri(uri)
    t = np.linspace(0, 1, n_steps)
    values = (0.05 + np.exp(-4 * t), 0.1 + np.exp(-4 * t), 0.99 - np.exp(-8 * t) / 2, 0.9 - np.exp(-8 * t) / 2)
    return [[dict(zip(_KEYS, row, strict=True)) for row in np.column_stack(values).tolist()]]


def load_long(folder: Path, n_steps: int) -> Sequence[Any]:
    """Make the values of a thousand steps of a training of `n_steps`, and a store.

    Parameters
    ----------
    folder : Path
    n_steps : int

    Returns
    -------
    list
        What `train_long` takes.
    """
    return [*load_points(folder, None, 1_000), n_steps]


def by_log_metric(steps: Sequence[dict[str, float]]) -> dict[str, float]:
    """One call a point."""
    with mlflow.start_run():
        begin = time.perf_counter()
        for step, values in enumerate(steps):
            for key, value in values.items():
                mlflow.log_metric(key, value, step=step)
        return _rate(steps, begin)


def by_log_metrics(steps: Sequence[dict[str, float]]) -> dict[str, float]:
    """One call a step."""
    with mlflow.start_run():
        begin = time.perf_counter()
        for step, values in enumerate(steps):
            mlflow.log_metrics(values, step=step)
        return _rate(steps, begin)


def by_training_log(steps: Sequence[dict[str, float]]) -> dict[str, float]:
    """Ours: until the last point is in the store."""
    with mlflow.start_run():
        begin = time.perf_counter()
        with TrainingLog(Options(), name="benchmark") as log:
            for step, values in enumerate(steps):
                log.log(step, values)
            handed_over = time.perf_counter() - begin
        return _rate(steps, begin) | {"microseconds a step": 1e6 * handed_over / len(steps)}


def train_long(steps: Sequence[dict[str, float]], n_steps: int, *, stop_when: str | None) -> dict[str, float]:
    """A long training: the values of a few steps over and over, so that only the log can grow."""
    with mlflow.start_run(), TrainingLog(Options(stop_when=stop_when), name="benchmark") as log:
        for step in range(n_steps):
            log.log(step, steps[step * len(steps) // n_steps])
    return {}


def _rate(steps: Sequence[dict[str, float]], begin: float) -> dict[str, float]:
    return {"points a second": len(steps) * len(_KEYS) / (time.perf_counter() - begin)}
