"""Scoring a model of a user without leaving a trace: no number drawn, no warning, nothing logged by anybody else."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from lossacc_mlflow.loggers import hooks

__all__ = ["without_traces"]


@contextmanager
def without_traces(*estimators: Any) -> Iterator[None]:  # noqa: ANN401  (any estimators)
    """Let a block predict, and fit clones, such that a training goes on as if there had been no such block.

    - Random numbers that are drawn, globally or from a generator that an estimator was given, are given back.
    - Trainings and predictions within the block are neither ours to log, nor MLflow's autologging's.
    - Warnings are kept to ourselves: they are about calls that the user did not make.

    Parameters
    ----------
    *estimators : estimator
        Whose random generators may be used.
    """
    generators = [g for estimator in estimators for g in _generators(estimator)]
    states = [(g, g.get_state()) for g in generators]
    before = np.random.get_state()  # noqa: NPY002  (what scikit-learn draws from by default)
    try:
        with hooks.outermost(), _mlflow_session(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
        for generator, state in states:
            generator.set_state(state)


def _generators(estimator: Any) -> list[np.random.RandomState]:  # noqa: ANN401
    try:
        values = estimator.get_params(deep=True).values()
    except Exception:  # noqa: BLE001  (not every estimator follows scikit-learn's rules)
        return []
    return [value for value in values if isinstance(value, np.random.RandomState)]


def _mlflow_session() -> AbstractContextManager[Any]:
    """Make MLflow's autologging of scikit-learn take trainings for parts of one that it does not log."""
    module = sys.modules.get("mlflow.sklearn")
    session = getattr(module, "_SklearnTrainingSession", None)
    return nullcontext() if session is None else session(estimator=None, allow_children=False)
