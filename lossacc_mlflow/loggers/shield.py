"""A training never fails because of us: what goes wrong in a hook is one warning, and a tag."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lossacc_mlflow import store
from lossacc_mlflow.errors import LossaccError

__all__ = ["shielded"]

_log = logging.getLogger("lossacc_mlflow")


@contextmanager
def shielded(doing: str, run_id: str | None = None) -> Iterator[None]:
    """Catch what goes wrong within the block, say it in one warning, and note it on the run.

    Parameters
    ----------
    doing : str
        What does not happen then, as in ``curves of RandomForestClassifier``.
    run_id : str, optional
        Tagged ``lossacc.status = failed: <reason>``.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the training goes on, whatever it is)
        reason = str(error) if isinstance(error, LossaccError) else f"{type(error).__name__}: {error}"
        _log.warning("lossacc: %s: %s", doing, reason)
        _log.debug("lossacc: %s", doing, exc_info=True)
        if run_id is not None:
            try:
                store.set_tags(run_id, {"lossacc.status": f"failed: {doing}: {reason}"})
            except Exception:  # noqa: BLE001  (it has been said already)
                _log.debug("lossacc: the run cannot be tagged", exc_info=True)
