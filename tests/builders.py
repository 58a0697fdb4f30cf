"""Records for tests, made from plain lists."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.records import Curve, RunData, Split, StepUnit

_SPLITS: Mapping[str, Split] = {"train": "train", "val": "validation", "test": "test"}


def make_curve(key: str, values: ArrayLike, *, step: Sequence[int] | None = None, unit: StepUnit = "epoch") -> Curve:
    """Make a curve from a key such as ``val_loss`` or ``train_accuracy``; the metric may be any of METRICS."""
    prefix, _, metric = key.partition("_")
    value = np.asarray(values, dtype=np.float64)
    steps = range(len(value)) if step is None else step
    return Curve(
        METRICS[metric],
        _SPLITS[prefix],
        step=np.asarray(steps, dtype=np.int64),
        value=value,
        step_unit=unit,
        key=key,
    )


def make_run(
    curves: Mapping[str, ArrayLike] | None = None,
    *,
    unit: StepUnit = "epoch",
    **more: Any,  # noqa: ANN401  (fields of RunData)
) -> RunData:
    """Make a run from values by key."""
    made = tuple(make_curve(key, values, unit=unit) for key, values in (curves or {}).items())
    return RunData(run_id="r1", name="run", curves=made, **more)


def falling(n: int, start: float = 2.0, end: float = 0.1) -> list[float]:
    """An exponential fall from start to end over n steps."""
    return list(np.geomspace(start, end, n))


def overfitting(end: float, *, n: int = 60, low: float = 0.5) -> dict[str, list[float]]:
    """Train falls all the way; validation falls to ``low`` in the middle and rises to ``end``."""
    half = n // 2
    return {
        "train_loss": falling(n, 2.0, 0.01),
        "val_loss": falling(half, 2.0, low) + list(np.linspace(low, end, n - half)),
    }
