"""Forward passes in the midst of a training, which goes on as if there had been none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.backend.common.global_state import get_global_attribute
from numpy.typing import NDArray

from lossacc_mlflow.loggers.keras.data import Batches, n_rows, to_numpy
from lossacc_mlflow.loggers.random_numbers import random_numbers_kept

__all__ = ["Outputs", "evaluate", "predict", "undisturbed", "variance_of_targets"]


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a model answered, and what would have been right.

    Parameters
    ----------
    y_true : ndarray of shape (n, ...)
    y_pred : ndarray of shape (n, ...)
        The outputs as they are.
    sample_weight : ndarray of shape (n,) or None
    """

    y_true: NDArray[Any]
    y_pred: NDArray[Any]
    sample_weight: NDArray[Any] | None


def evaluate(model: Any, batches: Batches) -> dict[str, float]:  # noqa: ANN401
    """Return the loss and the metrics of a model as its own `evaluate` does, averaged over the samples.

    Parameters
    ----------
    model : keras.Model
    batches : Batches

    Returns
    -------
    dict of str to float
        Empty where there is no batch.
    """
    totals: dict[str, float] = {}
    n_samples = 0
    with undisturbed(model):
        for x, y, weight in batches:
            n = n_rows(x)
            logs = model.test_on_batch(x, y, sample_weight=weight, return_dict=True)
            n_samples += n
            for name, value in logs.items():
                if np.ndim(value) == 0:
                    totals[name] = totals.get(name, 0.0) + n * float(value)
    return {name: total / n_samples for name, total in totals.items()}


def predict(model: Any, batches: Batches) -> Iterator[Outputs]:  # noqa: ANN401
    """Go through the outputs of a model with one output, batch by batch; nothing comes where there are no targets.

    Parameters
    ----------
    model : keras.Model
    batches : Batches

    Yields
    ------
    Outputs
    """
    with undisturbed(model):
        for x, y, weight in batches:
            if y is None:
                return
            outputs = model.predict_on_batch(x)
            yield Outputs(_only(y), _only(outputs), None if weight is None else _only(weight).reshape(-1))


def variance_of_targets(model: Any, batches: Batches) -> float:  # noqa: ANN401
    """Return the variance of single numbers as targets; 0 where there are none, or several a sample.

    Parameters
    ----------
    model : keras.Model
        Whose training is under way.
    batches : Batches
    """
    with undisturbed(model):
        targets = [_only(y) for _, y, _ in batches if y is not None]
    if not targets or any(y.size != len(y) for y in targets):
        return 0.0
    return float(np.var(np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in targets])))


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:  # noqa: ANN401
    """Put back afterwards what a pass draws from or counts in: random numbers, metrics, the state of JAX' trainer."""
    variables = [*_seed_variables(model), *model.metrics_variables]
    values = [keras.ops.convert_to_numpy(v) for v in variables]
    is_tracked = bool(getattr(model, "_jax_state", None))
    with random_numbers_kept():
        try:
            yield
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            if hasattr(model, "_jax_state"):
                # What the trainer falls back on when the training is interrupted: the pass has left its own there.
                model._jax_state = _jax_state(model) if is_tracked else None  # noqa: SLF001
                model._jax_state_synced = True  # noqa: SLF001


def _seed_variables(model: Any) -> list[Any]:  # noqa: ANN401
    """Seeds of layers that draw random numbers, which are the variables that are no weights, and Keras' own seed."""
    weights = {id(v) for v in model.weights}
    seeds = [v for v in model.variables if id(v) not in weights]
    shared = get_global_attribute("global_seed_generator")
    return seeds if shared is None else [*seeds, shared.state]


def _jax_state(model: Any) -> dict[str, list[Any]]:  # noqa: ANN401
    variables = {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": getattr(model.optimizer, "variables", []),
        "metrics_variables": model.metrics_variables,
    }
    return {name: [v.value for v in some] for name, some in variables.items()}


def _only(tree: Any) -> NDArray[Any]:  # noqa: ANN401
    leaves = keras.tree.flatten(tree)
    if len(leaves) != 1:
        raise ValueError(f"there are {len(leaves)} arrays where one is wanted")
    return to_numpy(leaves[0])
