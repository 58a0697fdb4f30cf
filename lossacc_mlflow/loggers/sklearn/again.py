"""Estimators that show nothing while they are fitted: clones of them, stopped after 1, 2, ... of their steps.

A clone that starts from the same random numbers, and may take k steps, is the model as it was after k steps of the fit,
shuffling and step sizes included; going on by ``partial_fit`` or ``warm_start`` would begin those anew. The sum of the
steps is what it costs: of a fit of 50 steps 0.3 of its time for the first four of five points, 1.3 for eight, 2.7 for
twelve.
"""

import copy
import logging
from time import perf_counter
from typing import Any

import numpy as np

from lossacc_mlflow.loggers.sklearn.data import FitData, Part
from lossacc_mlflow.loggers.sklearn.kinds import Recipe
from lossacc_mlflow.loggers.sklearn.scored import ScoredSteps
from lossacc_mlflow.loggers.sklearn.scores import answer_of
from lossacc_mlflow.loggers.sklearn.steps import spaced_steps
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.loggers.sklearn.watch import Replay, Watched
from lossacc_mlflow.records import IntArray

__all__ = ["MAX_REFIT_SECONDS", "curves_of_clones", "fit_clone"]

_log = logging.getLogger("lossacc_mlflow")

MAX_REFIT_SECONDS = 1.0
"""What all clones together may take by default."""

_POINTS = ((12, 500_000), (8, 2_000_000), (5, None))
"""How many points are made, up to how many numbers in the data times steps of the fit.

Many only where they are cheap beside what else is done at a fit: MLflow's own automatic logging adds 0.2 s. It is not
time that decides between them: the same training shall get the same curve, and the same verdict, on a busy machine.
"""

_MAX_SHARE = 0.5
"""Of the steps of a large fit that its clones may take in all; the early ones come first, which are the cheap ones."""


def curves_of_clones(
    estimator: Any,  # noqa: ANN401
    data: FitData,
    recipe: Recipe,
    parts: list[Part],
    *,
    watched: Watched | None = None,
    max_seconds: float | None = MAX_REFIT_SECONDS,
) -> TrainingCurves | None:
    """Fit clones of a fitted estimator for fewer steps; the last point is the estimator itself.

    Parameters
    ----------
    estimator : classifier or regressor
        Fitted, with ``max_iter`` and ``n_iter_``.
    data : FitData
        What it was fitted on.
    recipe : Recipe
    parts : list of Part
    watched : Watched, optional
        Of its fit: how long it took, and the random numbers that it started from.
    max_seconds : float, optional
        No curve is made where the clones would take longer; None: they may take as long as it takes.

    Returns
    -------
    TrainingCurves or None
        None where it would take too long, or the estimator did not iterate.
    """
    taken = getattr(estimator, "n_iter_", None)
    n_steps = 0 if taken is None else int(np.max(taken))
    replay = watched.replay if watched is not None else None
    steps = _steps_of(data.X, n_steps, is_bounded=max_seconds is not None)
    seconds = watched.seconds * steps[:-1].sum() / n_steps if replay and watched and n_steps else 0.0
    is_affordable = max_seconds is None or seconds <= max_seconds
    if not n_steps or not is_affordable:
        if n_steps:
            _log.info(
                "lossacc: no curve of %s: fitting it again for fewer steps would take more than %g s. "
                "lossacc_mlflow.loggers.sklearn.log_curves makes one, however long it takes.",
                type(estimator).__name__,
                max_seconds,
            )
        return None
    start = replay or Replay(copy.deepcopy(estimator), None)
    is_same = replay is not None or not _draws_anew(estimator)
    scored, began = ScoredSteps(parts), perf_counter()
    for step in steps.tolist():
        model = estimator
        if step < n_steps or not is_same:
            model = _clone_of(start, step)
            fit_clone(model, data)
        scored.add(step, lambda part, model=model: answer_of(model, part.X))  # type: ignore[misc]
        if max_seconds is not None and perf_counter() - began > 2 * max_seconds:
            return None
    note = "The points before the last one are clones of the model, fitted again for fewer steps."
    if not is_same:
        note = "A clone of the model, fitted again with other random numbers: the model has no random_state."
    return scored.curves(recipe, note)


def fit_clone(model: Any, data: FitData) -> None:  # noqa: ANN401
    """Fit a clone of ours as the user fitted theirs."""
    model.fit(data.X, data.y, **({} if data.sample_weight is None else {"sample_weight": data.sample_weight}))


def _steps_of(X: Any, n_steps: int, *, is_bounded: bool) -> IntArray:  # noqa: ANN401, N803
    """Choose the steps of the points; the last one is that of the model itself, and costs nothing."""
    n_numbers = X.nnz if hasattr(X, "nnz") else int(np.prod(np.shape(X)))
    n_points, most = next((n, most) for n, most in _POINTS if most is None or n_numbers * n_steps <= most)
    steps = spaced_steps(n_steps, n_points)
    if most is not None or not is_bounded:
        return steps
    early = steps[:-1]
    return np.append(early[early.cumsum() <= _MAX_SHARE * n_steps], steps[-1:])


def _clone_of(replay: Replay, n_steps: int) -> Any:  # noqa: ANN401
    model = copy.deepcopy(replay.estimator)
    model.__dict__.pop("_skl_callbacks", None)  # those of the user have seen the fit
    params = model.get_params(deep=False)
    model.set_params(max_iter=n_steps, **({"verbose": 0} if "verbose" in params else {}))
    if replay.numpy_state is not None and "random_state" in params and params["random_state"] is None:
        generator = np.random.RandomState()
        generator.set_state(replay.numpy_state)
        model.set_params(random_state=generator)
    return model


def _draws_anew(estimator: Any) -> bool:  # noqa: ANN401
    """Whether a second fit of the estimator would draw other random numbers."""
    params = estimator.get_params(deep=False)
    return "random_state" in params and not isinstance(params["random_state"], int | np.integer)
