"""Curves of boosted models after the fact: every stage scored from what the trees in between add."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import SPLIT_PREFIXES
from lossacc_mlflow.loggers.boosting.scores import Task, score, scored_set
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.records import FloatArray, Split

__all__ = ["known_task", "staged_curves", "stages"]


def known_task(task: Task | None) -> Task:
    """Return the task of a model.

    Raises
    ------
    InputError
        If it is none of which loss and accuracy are known.
    """
    if task is None:
        raise InputError("loss and accuracy are not known of the objective of this model; its curves cannot be made.")
    return task


def stages(n_iterations: int, max_stages: int) -> list[int]:
    """Return after how many iterations to score a fitted model: at most so many, evenly spaced, the last included."""
    return sorted({round(n) for n in np.linspace(1, n_iterations, min(n_iterations, max_stages))})


def staged_curves(
    task: Task,
    after: list[int],
    data: Mapping[Split, tuple[ArrayLike, Iterable[FloatArray]]],
    *,
    kept_step: int | None,
) -> TrainingCurves:
    """Score what a model answers after each of its stages.

    Parameters
    ----------
    task : Task
    after : list of int
        After how many iterations.
    data : mapping of split to (labels, outputs)
        Places of the classes, or numbers; and what the model answers at each stage.
    kept_step : int or None
        The iteration at which early stopping says that the model is best.

    Returns
    -------
    TrainingCurves
        Steps are iterations, from 0.

    Raises
    ------
    InputError
        If labels are unknown to the model.
    """
    values: dict[str, NDArray[np.float64]] = {}
    for split, (labels, outputs) in data.items():
        one = scored_set(split, task, labels, None, iter(outputs).__next__)
        if one is None:
            raise InputError(
                f"the {split} labels are unknown to the model: classes are 0 to {(task.n_classes or 1) - 1}."
            )
        rows = [score(task, one, one.outputs()) for _ in after]
        values |= {f"{SPLIT_PREFIXES[split]}_{name}": np.array([row[name] for row in rows]) for name in rows[0]}
    return TrainingCurves(
        values,
        np.array(after) - 1,
        "iteration",
        loss="rmse" if task.kind == "regression" else task.loss,
        kept_step=kept_step,
    )
