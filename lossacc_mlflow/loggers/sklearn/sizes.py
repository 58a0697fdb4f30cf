"""Estimators without steps: clones of them on growing parts of the training data."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn.again import fit_clone
from lossacc_mlflow.loggers.sklearn.data import FitData, few, one_column, parts_of, take
from lossacc_mlflow.loggers.sklearn.kinds import Recipe
from lossacc_mlflow.loggers.sklearn.scored import ScoredSteps
from lossacc_mlflow.loggers.sklearn.scores import answer_of
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.records import IntArray

__all__ = ["curves_by_size"]

_N_SIZES = 8


def curves_by_size(
    estimator: Any,  # noqa: ANN401
    data: FitData,
    recipe: Recipe,
    *,
    sizes: Sequence[int] | None = None,
    random_state: int = 0,
    max_train_rows: int | None = None,
) -> TrainingCurves:
    """Fit clones on growing parts of the training data; the last point is the fitted estimator itself.

    Each part contains the smaller ones and, of classes, has the shares of the whole to within one sample. The train
    scores are those on the part that was fitted.

    Parameters
    ----------
    estimator : classifier or regressor
        Fitted on all of `data`.
    data : FitData
    recipe : Recipe
    sizes : sequence of int, optional
        Numbers of training samples, increasing; by default eight from a tenth of the data to all of it, in equal
        ratios, without those that lack a class or are too few for the estimator.
    random_state : int
        Decides which samples come first.
    max_train_rows : int, optional
        Of a part that has more samples than these, so many are scored.

    Raises
    ------
    InputError
        If the sizes do not increase, exceed the data, or leave a class without a sample; if X is a matrix of distances
        or a kernel, of which no part can be taken.
    """
    if _is_pairwise(estimator):
        raise InputError(
            f"{type(estimator).__name__} was fitted on a matrix of kernel values or distances, of which the samples "
            "cannot be taken apart. Pass the samples themselves for a curve by sample size."
        )
    y = one_column(data.y, "y")
    is_labelled = is_classifier(estimator)
    order = (
        _stratified_order(y, random_state) if is_labelled else np.random.default_rng(random_state).permutation(len(y))
    )
    chosen = _default_sizes(y, order, by_class=is_labelled) if sizes is None else list(sizes)
    if sizes is not None:
        _check_sizes(chosen, y[order], np.unique(y) if is_labelled else y[:0])
    skipped, scored = [], ScoredSteps([])
    for size in chosen:
        model, part = estimator, data
        try:
            if size < len(y):
                model, part = clone(estimator), _rows(data, order[:size])
                fit_clone(model, part)
            scored.parts = parts_of(model, part, max_train_rows=max_train_rows)
            scored.add(size, lambda one, model=model: answer_of(model, one.X))  # type: ignore[misc]
        except (ValueError, IndexError) as error:
            # Neighbours, folds and components may outnumber a small part, or categories be missing in it.
            if sizes is not None or size == len(y):
                raise InputError(f"{type(model).__name__} cannot be fitted on {size} samples: {error}") from error
            skipped.append(size)
    note = f"Too few for the estimator: {', '.join(map(str, skipped))} samples." if skipped else ""
    return scored.curves(recipe, note, suffix="_by_n_samples")


def _rows(data: FitData, rows: IntArray) -> FitData:
    weight = None if data.sample_weight is None else np.asarray(data.sample_weight)[rows]
    return replace(data, X=take(data.X, rows), y=one_column(data.y, "y")[rows], sample_weight=weight)


def _is_pairwise(estimator: Any) -> bool:  # noqa: ANN401
    params = estimator.get_params(deep=False)
    return "precomputed" in (params.get("kernel"), params.get("metric"), params.get("affinity"))


def _default_sizes(y: NDArray[Any], order: IntArray, *, by_class: bool) -> list[int]:
    sizes = np.unique(np.geomspace(max(len(y) // 10, 1), len(y), _N_SIZES).round().astype(int))
    if by_class:
        _, first = np.unique(y[order], return_index=True)
        sizes = sizes[sizes > first.max()]
    return [int(size) for size in sizes]


def _stratified_order(y: NDArray[Any], random_state: int) -> IntArray:
    """Return an order of the samples of which every prefix has the class shares of the whole."""
    shuffled = np.random.default_rng(random_state).permutation(len(y))
    _, index, counts = np.unique(y[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(index, kind="stable")
    rank = np.empty(len(y))
    rank[by_class] = np.concatenate([np.arange(count) for count in counts])
    return shuffled[np.argsort((rank + 0.5) / counts[index], kind="stable")]


def _check_sizes(sizes: Sequence[int], y: NDArray[Any], labels: NDArray[Any]) -> None:
    if not len(sizes) or np.any(np.diff([0, *sizes]) < 1) or sizes[-1] > len(y):
        raise InputError(f"sizes must increase from at least 1 to at most {len(y)} samples; they are {list(sizes)}.")
    missing = np.setdiff1d(labels, y[: sizes[0]])
    if len(missing):
        raise InputError(
            f"the smallest part, {sizes[0]} samples, lacks the classes {few(missing)}. Start with a larger one."
        )
