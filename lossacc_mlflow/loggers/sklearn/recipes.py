"""scikit-learn estimators and their data -> curves: what is used around a fit, and after it."""

from collections.abc import Sequence
from typing import Any

from lossacc_mlflow.loggers.sklearn.again import MAX_REFIT_SECONDS, curves_of_clones
from lossacc_mlflow.loggers.sklearn.data import MAX_TRAIN_ROWS, FitData, leave_out_unseen, parts_of
from lossacc_mlflow.loggers.sklearn.kinds import Recipe, final_estimator, recipe_for
from lossacc_mlflow.loggers.sklearn.quiet import without_traces
from lossacc_mlflow.loggers.sklearn.scored import ScoredSteps
from lossacc_mlflow.loggers.sklearn.sizes import curves_by_size
from lossacc_mlflow.loggers.sklearn.staged import stages_of
from lossacc_mlflow.loggers.sklearn.steps import MAX_STEPS, spaced_steps
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.loggers.sklearn.watch import Watched, watching

__all__ = [
    "FitData",
    "Recipe",
    "TrainingCurves",
    "Watched",
    "curves_after",
    "final_estimator",
    "leave_out_unseen",
    "recipe_for",
    "watching",
]


def curves_after(
    estimator: Any,  # noqa: ANN401
    data: FitData,
    *,
    watched: Watched | None = None,
    by_sample_size: bool = False,
    sizes: Sequence[int] | None = None,
    random_state: int = 0,
    max_steps: int | None = MAX_STEPS,
    max_train_rows: int | None = MAX_TRAIN_ROWS,
    max_refit_seconds: float | None = MAX_REFIT_SECONDS,
) -> TrainingCurves | None:
    """Return the curves of a fitted estimator; it is not changed.

    Parameters
    ----------
    estimator : classifier or regressor
        Fitted; of a pipeline the final step, with the data as that sees them.
    data : FitData
        What it was fitted on, and what else it is scored on.
    watched : Watched, optional
        From `watching`, around its fit. Estimators that show their steps only there, or that draw random numbers
        without a ``random_state``, are else fitted again.
    by_sample_size : bool
        Whether an estimator without steps is fitted again on growing parts of the data.
    sizes : sequence of int, optional
        Of these parts; by default eight from a tenth of the data to all of it.
    random_state : int
        Decides which samples come into the smaller parts.
    max_steps : int, optional
        More steps of an ensemble than these are not scored, but the first ones and then some in equal ratios; None:
        all.
    max_train_rows : int, optional
        More training samples than these are not scored, but a fixed part of them; None: all.
    max_refit_seconds : float, optional
        What fitting again for fewer steps may take in all; None: as long as it takes.

    Returns
    -------
    TrainingCurves or None
        None where there is no curve, or none was asked for; `recipe_for` says why.

    Raises
    ------
    InputError
        If the data have several targets, or one class.
    Exception
        What the estimator raises on validation data that it does not take; ``data.without_validation()`` has the
        curves of the training data alone.
    """
    if watched is not None and watched.error is not None:
        raise watched.error
    if watched is not None and watched.validation_error is not None and data.has_validation:
        raise watched.validation_error
    if watched is not None and watched.curves is not None:
        return watched.curves
    recipe = recipe_for(estimator)
    if recipe.source == "none" or (recipe.source == "by sample size" and not by_sample_size):
        return None
    with without_traces(estimator):
        if recipe.source == "by sample size":
            return curves_by_size(
                estimator, data, recipe, sizes=sizes, random_state=random_state, max_train_rows=max_train_rows
            )
        parts = parts_of(estimator, data, max_train_rows=max_train_rows)
        if recipe.source == "after fit":
            return _staged_curves(estimator, recipe, ScoredSteps(parts), max_steps)
        return curves_of_clones(estimator, data, recipe, parts, watched=watched, max_seconds=max_refit_seconds)


def _staged_curves(estimator: Any, recipe: Recipe, scored: ScoredSteps, max_steps: int | None) -> TrainingCurves:  # noqa: ANN401
    stages = stages_of(estimator)
    assert stages is not None  # noqa: S101  (what has this recipe has stages)
    chosen = set(spaced_steps(stages.n_steps(estimator), max_steps).tolist())
    runs = [stages.run(estimator, part.X) for part in scored.parts]
    for step, outputs in enumerate(zip(*runs, strict=True), start=1):
        if step in chosen:
            at = {part.prefix: output for part, output in zip(scored.parts, outputs, strict=True)}
            scored.add(step, lambda part, at=at, step=step: stages.answer(estimator, at[part.prefix], step))  # type: ignore[misc]
    return scored.curves(recipe)
