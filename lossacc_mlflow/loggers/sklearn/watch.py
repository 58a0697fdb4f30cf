"""Estimators whose steps only show while they are fitted: scored there, and nothing of it is left behind."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn.data import MAX_TRAIN_ROWS, FitData, Part, despite_validation, few, parts_of
from lossacc_mlflow.loggers.sklearn.kinds import Recipe, final_estimator, recipe_for
from lossacc_mlflow.loggers.sklearn.scored import ScoredSteps
from lossacc_mlflow.loggers.sklearn.scores import Answer, answer_of, of_margin, of_proba
from lossacc_mlflow.loggers.sklearn.steps import Spacing
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves

__all__ = ["Replay", "Watched", "watching"]


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What it takes to fit an estimator again as it was fitted: as it was before, and the global random numbers."""

    estimator: Any
    numpy_state: dict[str, Any] | None


@dataclass(slots=True, eq=False)
class Watched:
    """What was seen of one fit.

    Parameters
    ----------
    curves : TrainingCurves, optional
        Of estimators that show their steps while they are fitted; also where the fit failed, up to there.
    seconds : float
        That the fit took, our own scoring included.
    replay : Replay, optional
        Of estimators whose curve is made by fitting them again.
    error : Exception, optional
        What went wrong on our side; the fit went on.
    validation_error : Exception, optional
        Why the validation data could not be scored: then the curves are of the training data alone.
    """

    curves: TrainingCurves | None = None
    seconds: float = 0.0
    replay: Replay | None = None
    error: Exception | None = None
    validation_error: Exception | None = None


@contextmanager
def watching(
    estimator: Any,  # noqa: ANN401
    data: FitData,
    *,
    max_train_rows: int | None = MAX_TRAIN_ROWS,
) -> Iterator[Watched]:
    """Watch the fit within the block: afterwards the estimator is as if nobody had looked.

    Parameters
    ----------
    estimator : classifier or regressor
        That is fitted on `data` within the block; not a pipeline, but its final step.
    data : FitData
    max_train_rows : int, optional
        More training samples than these are not scored; None: all.

    Yields
    ------
    Watched
        Complete after the block; `curves_after` takes it.
    """
    watched, recipe = Watched(), recipe_for(estimator)
    hook = _hook_of(estimator, recipe)
    if recipe.source == "fitted again":
        with suppress(Exception):  # what cannot be copied cannot be fitted again
            watched.replay = Replay(copy.deepcopy(estimator), np.random.get_state(legacy=False))  # noqa: NPY002
    eyes = _Eyes(estimator, data, max_train_rows, watched)
    start = perf_counter()
    try:
        if hook is None:
            yield watched
        else:
            with hook(estimator, eyes):
                yield watched
    except BaseException:
        eyes.finish(recipe, is_fitted=False)
        raise
    else:
        watched.seconds = perf_counter() - start
        if hook is not None:
            eyes.finish(recipe, is_fitted=True)


class _Eyes:
    """Scores steps as they come; what goes wrong in here does not reach the fit."""

    def __init__(self, estimator: Any, data: FitData, max_train_rows: int | None, watched: Watched) -> None:  # noqa: ANN401
        self.estimator, self.data, self.max_train_rows, self.watched = estimator, data, max_train_rows, watched
        self.spacing = Spacing()
        self.scored: ScoredSteps | None = None

    def see(self, step: int, model: Any, answer: Callable[[Any, Any], Any], *, is_last: bool = False) -> None:  # noqa: ANN401
        if self.watched.error is not None or not (self.spacing.is_due(step) or is_last):
            return
        try:
            self._score(step, model, answer)
        except Exception as error:  # noqa: BLE001  (kept, and told after the fit)
            self.watched.error = error

    def _score(self, step: int, model: Any, answer: Callable[[Any, Any], Any]) -> None:  # noqa: ANN401
        if self.scored is not None:
            self.scored.add(step, lambda part: answer(model, part.X))
            return

        def first(data: FitData) -> ScoredSteps:
            parts = parts_of(self.estimator, data, max_train_rows=self.max_train_rows)
            scored = ScoredSteps([replace(part, X=_plain(part, self.estimator)) for part in parts])
            scored.add(step, lambda part: answer(model, part.X))
            return scored

        self.scored, self.data, self.watched.validation_error = despite_validation(first, self.data)

    def finish(self, recipe: Recipe, *, is_fitted: bool) -> None:
        if self.scored is None or self.watched.error is not None:
            return
        kept = _kept_step(self.estimator) if is_fitted else None
        try:
            n_steps = _n_iter(self.estimator) if is_fitted else self.scored.steps[-1]
            if self.scored.steps[-1] < n_steps and kept is None:
                originals = parts_of(self.estimator, self.data, max_train_rows=self.max_train_rows)
                by_prefix = {part.prefix: part.X for part in originals}
                self.scored.add(n_steps, lambda part: answer_of(self.estimator, by_prefix[part.prefix]))
        except Exception as error:  # noqa: BLE001  (the steps before it are there)
            self.watched.error = error
        note = f"The model that was kept is that of step {kept}: early stopping." if kept is not None else ""
        self.watched.curves = self.scored.curves(recipe, note, kept_step=kept)


def _plain(part: Part, estimator: Any) -> Any:  # noqa: ANN401
    """Return the samples as what estimators compute with: once, and not at every step.

    Raises
    ------
    InputError
        If they are validation data that the estimator's own ``predict`` would refuse.
    """
    X = part.X  # noqa: N806
    names, columns = getattr(estimator, "feature_names_in_", None), getattr(X, "columns", None)
    if names is not None and columns is not None and list(columns) != list(names):
        raise InputError(
            f"validation data have the columns {few(np.asarray(columns))}; wanted are those of the training data, in "
            f"their order: {few(np.asarray(names))}."
        )
    if issparse(X):
        plain = X.tocsr()
    else:
        array = np.asarray(X)
        plain = array if array.dtype in {np.dtype("float32"), np.dtype("float64")} else array.astype(np.float64)
    if part.prefix == "val":
        n_features = plain.shape[1] if plain.ndim == 2 else None
        if n_features != estimator.n_features_in_:
            raise InputError(
                f"validation data have the shape {plain.shape}; wanted are samples of {estimator.n_features_in_} "
                "features, as in training."
            )
        if not np.isfinite(plain.data if issparse(plain) else plain).all():
            raise InputError("validation data have values that are NaN or infinite, which the model does not take.")
    return plain


Hook = Callable[[Any, _Eyes], Any]


def _hook_of(estimator: Any, recipe: Recipe) -> Hook | None:  # noqa: ANN401
    if recipe.source != "during fit" or final_estimator(estimator) is not estimator:
        return None
    return _epochs_of_mlp if hasattr(estimator, "_update_no_improvement_count") else _iterations_of_logistic_regression


@contextmanager
def _epochs_of_mlp(mlp: Any, eyes: _Eyes) -> Iterator[None]:  # noqa: ANN401
    """Look at a multi-layer perceptron where it decides, at the end of each epoch, whether it goes on."""
    name = "_update_no_improvement_count"
    decide, before = getattr(mlp, name), vars(mlp).get(name)

    def decide_and_show(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        decide(*args, **kwargs)
        stops = mlp._no_improvement_count > mlp.n_iter_no_change or mlp.n_iter_ == mlp.max_iter  # noqa: SLF001
        eyes.see(mlp.n_iter_, mlp, _answer_of_mlp, is_last=stops)

    setattr(mlp, name, decide_and_show)
    try:
        yield
    finally:
        delattr(mlp, name)
        if before is not None:
            setattr(mlp, name, before)


def _answer_of_mlp(mlp: Any, X: NDArray[Any]) -> Any:  # noqa: ANN401, N803
    output = mlp._forward_pass_fast(X, check_input=False)  # noqa: SLF001
    if not is_classifier(mlp):
        return output
    if output.shape[1] > 1:
        return of_proba(output)
    second = output.ravel()
    return Answer((second > 0.5).astype(np.int64), proba=np.column_stack([1 - second, second]))


@contextmanager
def _iterations_of_logistic_regression(model: Any, eyes: _Eyes) -> Iterator[None]:  # noqa: ANN401
    """Look at a logistic regression by a callback of scikit-learn, beside those that it has already."""
    before = model.__dict__.get("_skl_callbacks")
    model._skl_callbacks = [*(before or ()), _Iterations(eyes)]  # noqa: SLF001
    try:
        yield
    finally:
        if before is None:
            model.__dict__.pop("_skl_callbacks", None)
        else:
            model._skl_callbacks = before  # noqa: SLF001


class _Iterations:
    """A callback in scikit-learn's protocol (1.9): the names and keywords are those that it asks for."""

    def __init__(self, eyes: _Eyes) -> None:
        self._eyes, self._step = eyes, 0

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ANN401
        """Nothing to prepare."""

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ANN401
        """Nothing to take away."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:  # noqa: ANN401
        """Nothing is known yet."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:  # noqa: ANN401, ARG002
        """Score the coefficients after one iteration; the task that encloses them all is no iteration."""
        if fitted_estimator is not None and context.task_name != "fit":
            self._step += 1
            self._eyes.see(self._step, fitted_estimator, _answer_of_logits)


def _answer_of_logits(model: Any, X: NDArray[Any]) -> Answer:  # noqa: ANN401, N803
    return of_margin(np.asarray(X @ model.coef_.T + model.intercept_))


def _n_iter(estimator: Any) -> int:  # noqa: ANN401
    return int(np.max(estimator.n_iter_))


def _kept_step(estimator: Any) -> int | None:  # noqa: ANN401
    """Return the epoch whose weights early stopping went back to, where that is not the last one."""
    scores = getattr(estimator, "validation_scores_", None)
    if not getattr(estimator, "early_stopping", False) or not scores or not np.isfinite(scores).any():
        return None
    best = int(np.nanargmax(scores)) + 1
    return best if best < len(scores) else None
