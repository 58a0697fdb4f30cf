"""What comes out of every way of making a curve."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lossacc_mlflow.records import FloatArray, IntArray, StepUnit

__all__ = ["NOTE_TAG", "TrainingCurves"]

NOTE_TAG = "lossacc.curves_note"
"""Tag of a run: what one must know to read its curves."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCurves:
    """Scores of one model over its training.

    Parameters
    ----------
    values : mapping of str to ndarray of float64, each of shape (n_steps,)
        By key: of classifiers ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy``, of regressors
        ``train_rmse``, ``train_r2``, ``val_rmse``, ``val_r2``; with the suffix ``_by_n_samples`` where the step is the
        size of the training set. No ``val_*`` without validation data, no ``*_loss`` of classifiers that answer with a
        class alone. Log losses are in nats, accuracies fractions, ``rmse`` has the unit of the target.
    step : ndarray of int64, shape (n_steps,)
        Strictly increasing, from 1; with gaps where not every step was scored.
    step_unit : {"epoch", "iteration", "n_estimators", "n_samples"}
    loss : str, optional
        What ``*_loss`` is: ``log_loss`` or ``hinge``; ``rmse`` of regressors; None where there is no loss.
    note : str
        What one must know to read them, in sentences: which samples were scored, whether it is a second training.
    kept_step : int, optional
        The step whose model was kept, where that is not the last one.
    """

    values: Mapping[str, FloatArray]
    step: IntArray
    step_unit: StepUnit
    loss: str | None = "log_loss"
    note: str = ""
    kept_step: int | None = None

    def __post_init__(self) -> None:
        arrays = {key: np.array(value, dtype=np.float64) for key, value in self.values.items()}
        step = np.array(self.step, dtype=np.int64)
        for array in (step, *arrays.values()):
            array.setflags(write=False)
        object.__setattr__(self, "values", MappingProxyType(arrays))
        object.__setattr__(self, "step", step)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run that say how the curves were made, where there is something to say."""
        tags = {NOTE_TAG: self.note} if self.note else {}
        return tags if self.kept_step is None else {**tags, "lossacc.restored_step": str(self.kept_step)}

    def __len__(self) -> int:
        return len(self.step)
