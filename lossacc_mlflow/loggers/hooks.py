"""Functions of other libraries, wrapped so that MLflow's own patches neither replace the wrapper nor are replaced.

MLflow's autologging always wraps the *original* function, and takes its patches away when it is switched off or on
again: whichever wrapper came last would win. So ours goes back on top each time MLflow sets or reverts a patch.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlflow.utils import gorilla

__all__ = ["attach", "detach_all", "is_nested", "outermost"]

Around = Callable[..., Any]
"""Called as ``around(below, *args, **kwargs)``: does what is to be done, and calls ``below(*args, **kwargs)`` once."""


@dataclass(slots=True, eq=False)
class _Attachment:
    """A wrapper of ours around one function of one class or module."""

    owner: Any
    name: str
    around: Around
    is_own: bool  # whether the owner itself, and not a base class, has the function
    below: Any = None
    is_enabled: bool = True
    inside: threading.local = field(default_factory=threading.local)


_ATTACHED: dict[tuple[int, str], _Attachment] = {}
_LOCK = threading.RLock()
_NESTING = threading.local()
_MARK = "__lossacc_attachment__"


def attach(owner: Any, name: str, around: Around) -> None:  # noqa: ANN401  (a class or a module)
    """Wrap a function of a class or module, on top of whatever wraps it already; done twice, the last one counts.

    Parameters
    ----------
    owner : class or module
    name : str
    around : callable
        Called as ``around(below, *args, **kwargs)``.
    """
    with _LOCK:
        _watch_mlflow()
        key = (id(owner), name)
        known = _ATTACHED.get(key)
        if known is not None:
            known.around, known.is_enabled = around, True
        else:
            known = _ATTACHED[key] = _Attachment(owner, name, around, name in vars(owner))
        _put_on_top(known)


def detach_all() -> None:
    """Take every wrapper away; one that lies under another library's does nothing any more."""
    with _LOCK:
        for attachment in _ATTACHED.values():
            attachment.is_enabled = False
            current = vars(attachment.owner).get(attachment.name)
            if getattr(current, _MARK, None) is attachment:
                if attachment.is_own or getattr(attachment.below, _MARK, None) is not None:
                    setattr(attachment.owner, attachment.name, attachment.below)
                else:
                    delattr(attachment.owner, attachment.name)
        _ATTACHED.clear()


@contextmanager
def outermost() -> Iterator[bool]:
    """Enter a training; yields whether no other one of this thread is under way.

    Meta-estimators train many models, of which only the outermost is the user's.
    """
    depth = getattr(_NESTING, "depth", 0)
    _NESTING.depth = depth + 1
    try:
        yield depth == 0
    finally:
        _NESTING.depth = depth


def is_nested() -> bool:
    """Whether a training is under way in this thread."""
    return getattr(_NESTING, "depth", 0) > 0


def _put_on_top(attachment: _Attachment) -> None:
    current = getattr(attachment.owner, attachment.name)
    if getattr(current, _MARK, None) is attachment:
        return

    @functools.wraps(current)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        # A wrapper of ours that lies under MLflow's, under a newer one of ours, is passed through.
        mark = id(args[0]) if args else 0
        active = attachment.inside.__dict__.setdefault("marks", set())
        if not attachment.is_enabled or mark in active:
            return current(*args, **kwargs)
        active.add(mark)
        try:
            return attachment.around(current, *args, **kwargs)
        finally:
            active.discard(mark)

    setattr(wrapper, _MARK, attachment)
    attachment.below = current
    setattr(attachment.owner, attachment.name, wrapper)


def _watch_mlflow() -> None:
    """Have our wrappers put back on top after each of MLflow's patches."""
    for change in ("apply", "revert"):
        original = getattr(gorilla, change)
        if not hasattr(original, _MARK):
            setattr(gorilla, change, _followed(original))


def _followed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(change)
    def followed(patch: Any) -> Any:  # noqa: ANN401
        result = change(patch)
        with _LOCK:
            attachment = _ATTACHED.get((id(patch.destination), patch.name))
            if attachment is not None:
                _put_on_top(attachment)
        return result

    setattr(followed, _MARK, None)
    return followed
