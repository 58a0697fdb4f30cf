"""Which run a training of scikit-learn's is logged to, and that a run has the curves of one model only."""

import logging
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

import mlflow
from mlflow.utils.autologging_utils import autologging_is_disabled

from lossacc_mlflow.loggers.own_run import end_own_run, end_status, start_own_run
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.training import keep_end

__all__ = ["claim", "estimator_tags", "mlflow_opens_one", "own_run", "release"]

_log = logging.getLogger("lossacc_mlflow")
_MOST_REMEMBERED = 10_000


class _Claims:
    """Whose curves each run has."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.owners: OrderedDict[str, tuple[weakref.ref[Any], str]] = OrderedDict()
        self.warned: set[str] = set()


_CLAIMS = _Claims()


def claim(run_id: str, estimator: Any) -> bool:  # noqa: ANN401
    """Take a run for a model, if no other one has it; one that has is told of in one warning a run.

    Parameters
    ----------
    run_id : str
    estimator : estimator

    Returns
    -------
    bool
        Whether the run is this model's; the second training of the same model counts as another model.
    """
    with _CLAIMS.lock:
        owner = _CLAIMS.owners.get(run_id)
        if owner is None:
            _CLAIMS.owners[run_id] = (weakref.ref(estimator), type(estimator).__name__)
            if len(_CLAIMS.owners) > _MOST_REMEMBERED:
                forgotten, _ = _CLAIMS.owners.popitem(last=False)
                _CLAIMS.warned.discard(forgotten)
            return True
        is_warned = run_id in _CLAIMS.warned
        _CLAIMS.warned.add(run_id)
    if not is_warned:
        again = "trained again" if owner[0]() is estimator else f"a {type(estimator).__name__} trained"
        _log.warning(
            "lossacc: run %s has the curves of a %s; %s in the same run is not logged: one run a model.",
            run_id,
            owner[1],
            again,
        )
    return False


def release(run_id: str) -> None:
    """Give a run back that a model has taken, whose training failed before there was anything to log.

    Parameters
    ----------
    run_id : str
    """
    with _CLAIMS.lock:
        _CLAIMS.owners.pop(run_id, None)


def mlflow_opens_one() -> bool:
    """Whether MLflow's own autologging of scikit-learn opens a run where none is active."""
    return not autologging_is_disabled("sklearn")


@contextmanager
def own_run(estimator: Any) -> Iterator[str | None]:  # noqa: ANN401
    """Open a run for a training, and end it as the training ends.

    Parameters
    ----------
    estimator : estimator

    Yields
    ------
    str or None
        Its id; None where it could not be opened, which is one warning.
    """
    name = type(estimator).__name__
    run_id = None
    with shielded(f"run of {name}"):
        run_id = start_own_run(estimator_tags(estimator))
    raised: BaseException | None = None
    try:
        yield run_id
    except BaseException as error:
        raised = error
        raise
    finally:
        active = mlflow.active_run()
        if run_id is not None and active is not None and active.info.run_id == run_id:
            with shielded(f"end of the run of {name}"):
                end_own_run(run_id, end_status(raised), partial(keep_end, run_id))


def estimator_tags(estimator: Any) -> dict[str, str]:  # noqa: ANN401
    """Tags that say what was trained, spelled as MLflow's autologging does.

    Parameters
    ----------
    estimator : estimator
    """
    owner = type(estimator)
    return {"estimator_name": owner.__name__, "estimator_class": f"{owner.__module__}.{owner.__name__}"}
