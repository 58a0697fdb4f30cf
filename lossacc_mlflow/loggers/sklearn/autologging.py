"""Automatic logging of scikit-learn: what happens around every ``fit`` that a user calls.

The outermost one alone is logged: what a search, a meta-estimator or a cross-validation fits inside is passed through
untouched, wherever it runs. So is all that is fitted in worker processes, which have no autologging of their own.
"""

import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mlflow
from mlflow.utils.autologging_utils import AutologgingEventLogger
from sklearn import model_selection

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.run_end import before_run_ends
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.sklearn.estimators import (
    CROSS_VALIDATION,
    is_baseline,
    is_search,
    is_supervised,
    watched_classes,
)
from lossacc_mlflow.loggers.sklearn.fitting import Fitting, arguments_of, n_targets
from lossacc_mlflow.loggers.sklearn.loops import log_partial_fit
from lossacc_mlflow.loggers.sklearn.model_log import VALIDATION_TAG, log_model
from lossacc_mlflow.loggers.sklearn.quiet import without_traces
from lossacc_mlflow.loggers.sklearn.runs import claim, mlflow_opens_one, own_run, release
from lossacc_mlflow.loggers.sklearn.searches import log_search
from lossacc_mlflow.loggers.sklearn.splitting import hold_out
from lossacc_mlflow.loggers.validation import held_out_data

__all__ = ["install"]

_log = logging.getLogger("lossacc_mlflow")
_THROUGH = frozenset({"contextlib", "functools", "lossacc_mlflow", "mlflow"})
"""Packages whose functions only pass a call on."""


@dataclass(slots=True)
class _Process:
    """Where autologging was switched on, and the classes that were told to be unsupported."""

    pid: int = 0
    unsupported: set[type] = field(default_factory=set)


_PROCESS = _Process()
_UNDER_WAY: ContextVar[Fitting | None] = ContextVar("lossacc_fitting", default=None)


def install(options: Options) -> None:
    """Wrap ``fit`` and ``partial_fit`` of scikit-learn's estimators; called again, with the options of the last call.

    Parameters
    ----------
    options : Options
    """
    _PROCESS.pid = os.getpid()
    for owner in watched_classes():
        for name, around in (("fit", _around_fit), ("partial_fit", _around_partial_fit)):
            if name in dir(owner):
                hooks.attach(owner, name, partial(around, options))
    for place in (model_selection, model_selection._validation):  # noqa: SLF001  (where they look each other up)
        for name in CROSS_VALIDATION:
            hooks.attach(place, name, _pass_through)
    hooks.attach(type(AutologgingEventLogger.get_logger()), "log_original_function_success", _note_original_fit)


def _pass_through(below: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    with hooks.outermost():
        return below(*args, **kwargs)


def _around_fit(options: Options, below: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    with hooks.outermost() as is_outermost:
        fitting = _UNDER_WAY.get()
        if not is_outermost:
            if fitting is not None and fitting.leads_to(estimator):
                return fitting.follow(below, estimator, args, kwargs)
            return below(estimator, *args, **kwargs)
        if _is_of_another_training() or not _is_supported("fit", estimator, args, kwargs):
            return below(estimator, *args, **kwargs)
        return _log_fit(options, below, estimator, args, kwargs)


def _around_partial_fit(
    options: Options,
    below: Callable[..., Any],
    estimator: Any,  # noqa: ANN401
    *args: Any,  # noqa: ANN401
    **kwargs: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    with hooks.outermost() as is_outermost:
        result = below(estimator, *args, **kwargs)
        if is_outermost and not _is_of_another_training() and _is_supported("partial_fit", estimator, args, kwargs):
            with shielded(f"curves of {type(estimator).__name__}"):
                log_partial_fit(estimator, arguments_of("partial_fit", estimator, args, kwargs), options)
        return result


def _is_of_another_training() -> bool:
    """Whether a call is not the user's own, but scikit-learn's, or one in a forked worker process."""
    if os.getpid() != _PROCESS.pid:
        return True
    frame = inspect.currentframe()
    while frame is not None:
        root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if root not in _THROUGH:
            return root == "sklearn"
        frame = frame.f_back
    return False


def _is_supported(
    name: str,
    estimator: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> bool:
    """Whether this is the training of a model with one target; more are told of in one warning a class."""
    with shielded(f"curves of {type(estimator).__name__}"):
        if not is_supervised(estimator):
            return False
        try:
            y = arguments_of(name, estimator, args, kwargs)["y"]
        except TypeError:  # which the call itself will say
            return False
        if y is None:
            return False
        count = n_targets(y)
        if count < 2:
            return True
        owner = type(estimator)
        if owner not in _PROCESS.unsupported:
            _PROCESS.unsupported.add(owner)
            _log.warning(
                "lossacc: %s is trained on %s targets a sample (multi-label or multi-output), of which no curves are "
                "made: one target is supported. Nothing of it is logged by lossacc.",
                owner.__name__,
                f"{count:,}",
            )
    return False


def _log_fit(
    options: Options,
    below: Callable[..., Any],
    estimator: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    """Train, and log to the active run, the one that MLflow's autologging opens, or one of our own."""
    active = mlflow.active_run()
    if active is not None and (is_baseline(estimator) or not claim(str(active.info.run_id), estimator)):
        return below(estimator, *args, **kwargs)
    fitting, tags = Fitting(estimator, held_out_data(options)), {}
    if fitting.held_out is None and options.validation_fraction is not None:
        with shielded(f"held-out part of the training data of {fitting.name}"):
            split = hold_out(estimator, args, kwargs, fraction=options.validation_fraction)
            args, kwargs, fitting.held_out = split.args, split.kwargs, split.held_out
            tags[VALIDATION_TAG] = split.words
            if not options.silent:
                _log.info("lossacc: %s is trained without its validation data: %s.", fitting.name, split.words)

    log = partial(_log_to, fitting=fitting, options=options, tags=tags)
    if active is not None:
        try:
            return _run(fitting, below, args, kwargs, partial(log, str(active.info.run_id)))
        finally:
            if not fitting.is_fitted and (fitting.watched is None or fitting.watched.curves is None):
                release(str(active.info.run_id))
    if not mlflow_opens_one():
        with own_run(estimator) as run_id:
            return _run(fitting, below, args, kwargs, partial(log, run_id))
    with before_run_ends(partial(_log_to_managed, fitting=fitting, log=log)):
        result = _run(fitting, below, args, kwargs)
    if fitting.is_logged:
        return result
    if fitting.managed_run_id is not None:  # which ended early, because MLflow's autologging failed
        log(fitting.managed_run_id)
        return result
    with own_run(estimator) as run_id:  # MLflow's autologging leaves this class out
        log(run_id)
    return result


def _log_to_managed(run_id: str, fitting: Fitting, log: Callable[[str], None]) -> None:
    """Log to the run that MLflow's autologging opened within ``fit``, and is about to end."""
    if not fitting.is_fitted:
        fitting.settle(sys.exc_info()[1])
    if fitting.managed_run_id in {None, run_id}:  # and not the run of a candidate
        log(run_id)


def _note_original_fit(below: Callable[..., Any], *event: Any) -> None:  # noqa: ANN401
    """Take note that the ``fit`` below MLflow's patch has returned: MLflow goes on to pickle the model.

    `event` is that of MLflow's logger of events: logger, session, class, name, arguments, keyword arguments.
    """
    fitting = _UNDER_WAY.get()
    *_, name, args, _ = event
    if fitting is not None and name == "fit" and args and args[0] is fitting.outer:
        active = mlflow.active_run()
        fitting.managed_run_id = None if active is None else str(active.info.run_id)
        fitting.settle(None)
        fitting.is_fitted = fitting.is_seen_by_mlflow = True
    below(*event)


def _run(
    fitting: Fitting,
    below: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    log: Callable[[], Any] = lambda: None,
) -> Any:  # noqa: ANN401
    """Train; what the fit raises is raised, once what was seen of it until then is logged."""
    token = _UNDER_WAY.set(fitting)
    try:
        return fitting.fit(below, args, kwargs)
    finally:
        _UNDER_WAY.reset(token)
        log()


def _log_to(run_id: str | None, fitting: Fitting, options: Options, tags: Mapping[str, str]) -> None:
    """Log what is known of a training to its run; of one that failed, the steps that were seen before."""
    if run_id is None or fitting.is_logged:
        return
    fitting.is_logged = True
    with shielded(f"curves of {fitting.name}", run_id), without_traces(*fitting.path):
        if fitting.is_fitted:
            fitting.finish()
        if fitting.data is not None:
            log_model(fitting, options, run_id, tags)
    if fitting.is_fitted:
        for search in filter(is_search, fitting.path):
            with shielded(f"scores of the candidates of {type(search).__name__}", run_id):
                log_search(search, run_id)
