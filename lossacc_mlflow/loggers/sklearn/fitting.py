"""One call of ``fit`` from the outside: which estimator in it is the model, and on what that was trained.

A pipeline or a search trains its model by calling ``fit`` on it, within its own. That inner call is seen here, so the
training data are those that the model saw, whatever the steps before it do or remember.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.sklearn.data import FitData, leave_out_missing, leave_out_unseen, one_column
from lossacc_mlflow.loggers.sklearn.estimators import is_container
from lossacc_mlflow.loggers.sklearn.quiet import without_traces
from lossacc_mlflow.loggers.sklearn.watch import Watched, watching

__all__ = ["Fitting", "arguments_of", "n_targets"]


@dataclass(slots=True, eq=False)
class Fitting:
    """A training of the user's, and what becomes known of it.

    Parameters
    ----------
    outer : estimator
        Whose ``fit`` was called.
    held_out : tuple of (X, y), optional
        Validation data, as `outer` takes them.
    """

    outer: Any
    held_out: tuple[Any, Any] | None
    path: list[Any] = field(default_factory=list)
    """The estimators whose ``fit`` was seen, from `outer` to the model."""
    data: FitData | None = None
    """What the model was trained on, and is validated on."""
    is_fitted: bool = False
    is_seen_by_mlflow: bool = False
    """Whether MLflow's autologging of scikit-learn logs this training, too."""
    managed_run_id: str | None = None
    """The run that it logs to."""
    is_logged: bool = False
    _given: Mapping[str, Any] = field(default_factory=dict)
    _watch: "_Watch | None" = None

    @property
    def name(self) -> str:
        """Of the model as far as it is known, for messages."""
        return type(self.path[-1] if self.path else self.outer).__name__

    def fit(self, below: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Train `outer`, and return what its ``fit`` returns, or raise what it raises."""
        self._given = arguments_of("fit", self.outer, args, kwargs)
        result = self.follow(below, self.outer, args, kwargs)
        self.is_fitted = True
        return result

    @property
    def model(self) -> Any:  # noqa: ANN401
        """The innermost estimator whose ``fit`` was seen."""
        return self.path[-1]

    @property
    def watched(self) -> Watched | None:
        """What was seen of the model during its ``fit``."""
        return None if self._watch is None else self._watch.watched

    def settle(self, error: BaseException | None) -> None:
        """End the watching of the model, whose ``fit`` has returned, or raised an error."""
        if self._watch is not None:
            with shielded(f"curves of {self.name}"):
                self._watch.end(error)

    def leads_to(self, estimator: Any) -> bool:  # noqa: ANN401
        """Whether an estimator that is fitted within this training is the model of the innermost container."""
        return bool(self.path) and _model_in(self.path[-1]) is estimator

    def follow(
        self,
        below: Callable[..., Any],
        estimator: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Any:  # noqa: ANN401
        """Train an estimator on the way to the model; the model is watched."""
        self.path.append(estimator)
        if is_container(estimator):
            return below(estimator, *args, **kwargs)
        with shielded(f"curves of {self.name}"):
            self.data = self._data(arguments_of("fit", estimator, args, kwargs))
            self._watch = _Watch(estimator, self.data)
        try:
            result = below(estimator, *args, **kwargs)
        except BaseException as error:
            self.settle(error)
            raise
        self.settle(None)
        return result

    def finish(self) -> None:
        """Find a model whose ``fit`` was not seen, because its class is not scikit-learn's, and its data.

        The steps of a pipeline then transform the training data once more, which is what the model saw but for steps
        that treat training data differently.
        """
        while self.path and is_container(self.path[-1]):
            model = _model_in(self.path[-1])
            if model is None or isinstance(model, str):
                return
            self.path.append(model)
            if not is_container(model):
                given = self._given
                with without_traces(*self.path):
                    X = self.transformed(given["X"])  # noqa: N806
                self.data = self._data({"X": X, "y": given["y"], "sample_weight": None})

    def _data(self, given: Mapping[str, Any]) -> FitData:
        data = FitData(given["X"], given["y"], sample_weight=given["sample_weight"])
        if self.held_out is not None:
            X_val, y_val = self.held_out  # noqa: N806
            with shielded(f"validation curves of {self.name}"), without_traces(*self.path):
                if not len(one_column(y_val, "y_val")):
                    raise InputError("the validation data have no samples.")
                whole = replace(data, X_val=self.transformed(X_val), y_val=y_val)
                return leave_out_unseen(whole) if is_classifier(self.model) else leave_out_missing(whole)
        return data

    def transformed(self, X: Any) -> Any:  # noqa: ANN401, N803
        """Bring data from what `outer` takes to what the model takes, by the steps that are fitted by then."""
        for container in self.path[:-1]:
            if isinstance(container, Pipeline):
                for _, step in container.steps[:-1]:
                    X = X if step is None or step == "passthrough" else step.transform(X)  # noqa: N806
        return X


def arguments_of(
    name: str,
    estimator: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """Read a call of ``fit`` or ``partial_fit``, in whichever way its arguments were passed.

    Parameters
    ----------
    name : str
        Of the method.
    estimator : estimator
    args : tuple
    kwargs : mapping

    Returns
    -------
    dict
        ``X``, ``y`` and ``sample_weight``, None where there is none.

    Raises
    ------
    TypeError
        If they are no arguments of it, as the call itself will say.
    """
    bound = inspect.signature(getattr(type(estimator), name)).bind(estimator, *args, **kwargs).arguments
    named = {**bound, **{k: v for value in bound.values() if isinstance(value, dict) for k, v in value.items()}}
    return {name: named.get(name) for name in ("X", "y", "sample_weight")}


def n_targets(y: Any) -> int:  # noqa: ANN401
    """Count the columns of a target; one that has no shape, such as a list of label lists, has several.

    Parameters
    ----------
    y : array-like or sparse matrix
    """
    try:
        shape = y.shape if issparse(y) or hasattr(y, "shape") else np.shape(y)
    except ValueError:
        return 2
    return int(shape[1]) if len(shape) > 1 else 1


def _model_in(container: Any) -> Any:  # noqa: ANN401
    """The last step of a pipeline, the best estimator of a search; None where there is none yet."""
    if isinstance(container, Pipeline):
        return container.steps[-1][1]
    return getattr(container, "best_estimator_", None)


class _Watch:
    """The context around the ``fit`` of a model in which its steps are seen; ended twice, the first time counts."""

    def __init__(self, estimator: Any, data: FitData) -> None:  # noqa: ANN401
        self._context = ExitStack()
        self.watched: Watched = self._context.enter_context(watching(estimator, data))

    def end(self, error: BaseException | None) -> None:
        self._context.__exit__(None if error is None else type(error), error, getattr(error, "__traceback__", None))
