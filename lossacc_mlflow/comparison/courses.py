"""What sibling runs are compared by: one held-out curve of each, and how far it had come by each step."""

from dataclasses import dataclass

import numpy as np

from lossacc_mlflow.curves import ends_non_finite, held_out_split, loss_curve, quality_curve, shape_over_steps
from lossacc_mlflow.records import Curve, FloatArray, Metric, RunData
from lossacc_mlflow.rules.observation import MAX_FRACTION
from lossacc_mlflow.smoothing import CurveShape

__all__ = ["Course", "course_of", "losses_at"]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What a run is compared by with its siblings: its held-out quality, else its held-out loss.

    ``reached`` is the best smoothed value up to each step, ``training`` the curve that tells whether it still learns.
    """

    run: RunData
    curve: Curve
    shape: CurveShape
    reached: FloatArray
    training: tuple[Metric, CurveShape]

    @property
    def last_step(self) -> int:
        """The last step with a finite value."""
        return int(self.shape.step[-1])

    def reached_by(self, step: int) -> float | None:
        """Return the best value up to a step; None before the first."""
        i = int(np.searchsorted(self.shape.step, step, side="right"))
        return None if i == 0 else float(self.reached[i - 1])


def course_of(run: RunData, min_points: int) -> Course | None:
    """Choose what a run is compared by.

    Parameters
    ----------
    run : RunData
    min_points : int

    Returns
    -------
    Course or None
        None where every held-out curve over steps has fewer finite points, or a curve of the run ended in NaN.
    """
    if ends_non_finite(run):
        return None
    split = held_out_split(run)
    for curve in (quality_curve(run, split), loss_curve(run, split)):
        shape = shape_over_steps(curve, max(2, min_points))
        if curve is None or shape is None or (curve.metric.unit == "fraction" and shape.value.max() > MAX_FRACTION):
            continue
        best_so_far = np.maximum.accumulate if curve.metric.greater_is_better else np.minimum.accumulate
        train = loss_curve(run, "train")
        train_shape = shape_over_steps(train, max(2, min_points))
        training = (curve.metric, shape) if train is None or train_shape is None else (train.metric, train_shape)
        return Course(run, curve, shape, best_so_far(shape.smooth), training)
    return None


def losses_at(step: int, *courses: Course) -> tuple[float, float] | None:
    """Return the smoothed held-out losses of two runs at a step; None where they are not known, or of two kinds."""
    curves = [loss_curve(c.run, c.curve.split) for c in courses]
    shapes = [shape_over_steps(curve, 2) for curve in curves]
    if len({None if curve is None else curve.metric.name for curve in curves}) > 1 or None in shapes:
        return None
    mine, other = (shape.at_step(step) for shape in shapes if shape is not None)
    return mine, other
