"""A training never fails because of us: what goes wrong in a hook is one warning, and a tag."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import shorten

from lossacc_mlflow.errors import LossaccError, StoreError

__all__ = ["shielded"]

_log = logging.getLogger("lossacc_mlflow")

_MOST_REMEMBERED = 1_000
_MOST_SHOWN = 1_000
_SAID: OrderedDict[tuple[str, str], None] = OrderedDict()
"""What was said of which run, so that a callback of every epoch does not say it a hundred times."""


@contextmanager
def shielded(
    doing: str, run_id: str | None = None, *, tag: Callable[[Mapping[str, str]], None] | None = None
) -> Iterator[None]:
    """Catch what goes wrong within the block, say it in one warning, and note it on the run.

    Parameters
    ----------
    doing : str
        What does not happen then, as in ``curves of RandomForestClassifier``.
    run_id : str, optional
        Tagged ``lossacc.status = failed: <reason>`` and, since a diagnosis will set that anew, ``lossacc.logging``.
        Of one run, the same is said and tagged only once.
    tag : callable, optional
        Takes the tags of the run; by default they are written at once, unless it is the store that failed.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the training goes on, whatever it is)
        _log.debug("lossacc: %s", doing, exc_info=True)
        if run_id is None:
            _log.warning("lossacc: %s: %s", doing, _reason(error))
        elif _is_first(run_id, doing):
            _log.warning("lossacc: %s: %s", doing, _reason(error))
            _tag(run_id, f"failed: {doing}: {_reason(error)}", error, tag)


def _tag(run_id: str, status: str, error: Exception, tag: Callable[[Mapping[str, str]], None] | None) -> None:
    # A diagnosis says later that it is done; what was not logged stays said.
    tags = {"lossacc.status": status, "lossacc.logging": status}
    try:
        if tag is not None:
            tag(tags)
        elif not isinstance(error, StoreError):  # else the training would wait for it once more
            from lossacc_mlflow import store  # noqa: PLC0415  (heavy, and most often nothing fails)

            store.set_tags(run_id, tags)
    except Exception:  # noqa: BLE001  (it has been said already)
        _log.debug("lossacc: the run cannot be tagged", exc_info=True)


def _reason(error: Exception) -> str:
    text = str(error) if isinstance(error, LossaccError) else f"{type(error).__name__}: {error}"
    return shorten(text, _MOST_SHOWN, placeholder=" ...")


def _is_first(run_id: str, doing: str) -> bool:
    key = (run_id, doing)
    if key in _SAID:
        return False
    _SAID[key] = None
    while len(_SAID) > _MOST_REMEMBERED:
        _SAID.popitem(last=False)
    return True
