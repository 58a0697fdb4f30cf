"""Records of curves: one metric of one split over steps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lossacc_mlflow.records.arrays import FloatArray, IntArray, freeze_arrays

__all__ = ["Curve", "CurveSummary", "Metric", "Split", "StepUnit"]

Split = Literal["train", "validation", "test"]
StepUnit = Literal["epoch", "iteration", "n_estimators", "n_samples", "global_step"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a curve measures.

    Parameters
    ----------
    name : str
        scikit-learn's name (``log_loss``, ``accuracy``, ``r2``, ...); ``loss`` where the key does not tell which
        loss it is.
    greater_is_better : bool
        The direction in which the model improves.
    unit : str
        ``nats``, ``fraction``, ``""`` where there is none.
    """

    name: str
    greater_is_better: bool
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Curve:
    """One metric of one split over steps, sorted by step, one value a step.

    A value that was not logged is absent; a NaN or an infinity is one that *was* logged.

    Parameters
    ----------
    metric : Metric
    split : {"train", "validation", "test"}
    step : ndarray of int64, shape (n_steps,)
        Strictly increasing.
    value : ndarray of float64, shape (n_steps,)
    step_unit : str
    key : str
        The key under which it was logged, for messages.
    n_repeated : int
        Points that were left out because a later one has the same step.
    n_unsorted : int
        Points that were logged after one with a greater step.
    """

    metric: Metric
    split: Split
    step: IntArray
    value: FloatArray
    step_unit: StepUnit = "epoch"
    key: str = ""
    n_repeated: int = 0
    n_unsorted: int = 0

    def __post_init__(self) -> None:
        freeze_arrays(self, step=(self.step, np.int64), value=(self.value, np.float64))

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """The figures of one curve that one wants in a table; NaN where there is no finite value."""

    metric: str
    split: Split
    step_unit: StepUnit
    key: str
    n_points: int
    first: float
    last: float
    last_step: int
    best: float
    best_step: int
    smoothed_best: float
    smoothed_best_step: int
