"""Functions of other libraries, wrapped so that MLflow's own patches neither replace the wrapper nor are replaced.

MLflow's autologging always wraps the *original* function, and puts that back when it is switched off or on again:
whichever wrapper came last would win. So ours steps aside while MLflow sets or reverts a patch, which then finds
everything as if we were not there, and goes back on top.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, wraps
from threading import RLock
from types import MappingProxyType
from typing import Any

from mlflow.utils import gorilla

from lossacc_mlflow.loggers.nesting import is_nested, outermost

__all__ = ["attach", "detach_all", "is_attached", "is_nested", "outermost"]

Around = Callable[..., Any]
"""Called as ``around(below, *args, **kwargs)``: does what is to be done, and calls ``below(*args, **kwargs)`` once."""


@dataclass(slots=True, eq=False)
class _Layer:
    """One wrapper that was set, and what it lies on.

    Another library may wrap ours, and ours be put on top of that: then there are several.
    """

    raw: Any  # what the owner's dictionary held, or what the owner inherited
    is_own: bool  # whether the owner's dictionary held it
    depth: int  # how many of ours are below it
    installed: Any = None


@dataclass(slots=True, eq=False)
class _Attachment:
    """A function of one class or module, and what of ours goes around it."""

    owner: Any
    name: str
    around: Around
    is_enabled: bool = True
    layers: list[_Layer] = field(default_factory=list)

    @property
    def top(self) -> _Layer | None:
        """The layer that one meets first; none where another library's wrapper lies on top."""
        current = vars(self.owner).get(self.name)
        return next((layer for layer in self.layers if layer.installed is current), None)

    def call(self, layer: _Layer, below: Callable[..., Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        """Go around a call once, at the uppermost layer that it comes through."""
        if not self.is_enabled:
            return below(*args, **kwargs)
        above = _DESCENDING.get()
        if layer.depth < above.get(self, 0):
            # Calls that the function itself makes begin anew.
            around, descending = below, {other: depth for other, depth in above.items() if other is not self}
        elif layer.depth:
            around, descending = partial(self.around, below), {**above, self: layer.depth}
        else:
            return self.around(below, *args, **kwargs)
        token = _DESCENDING.set(descending)
        try:
            return around(*args, **kwargs)
        finally:
            _DESCENDING.reset(token)


_ATTACHED: dict[tuple[int, str], _Attachment] = {}
_LOCK = RLock()
_DESCENDING: ContextVar[Mapping[_Attachment, int]] = ContextVar("lossacc_descending", default=MappingProxyType({}))
_GORILLA: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}  # by name: MLflow's function, and ours


def attach(owner: Any, name: str, around: Around) -> None:  # noqa: ANN401  (a class or a module)
    """Wrap a function of a class or module, on top of whatever wraps it already; done twice, the last one counts.

    Signature, name, documentation and kind (method, class method, static method, descriptor) stay as they are, and a
    function that is inherited is wrapped for this class only.

    Parameters
    ----------
    owner : class or module
    name : str
    around : callable
        Called as ``around(below, *args, **kwargs)``, the first argument of a method being its instance.

    Raises
    ------
    AttributeError
        If there is no such function.
    """
    with _LOCK:
        key = (id(owner), name)
        attachment = _ATTACHED.get(key)
        if attachment is None:
            _raw(owner, name)
            attachment = _ATTACHED[key] = _Attachment(owner, name, around)
        attachment.around, attachment.is_enabled = around, True
        _watch_mlflow()
        if attachment.top is None:
            _put_on_top(attachment)


def is_attached(owner: Any, name: str) -> bool:  # noqa: ANN401  (a class or a module)
    """Whether a function is wrapped at present.

    Parameters
    ----------
    owner : class or module
    name : str
    """
    attachment = _ATTACHED.get((id(owner), name))
    return attachment is not None and attachment.is_enabled


def detach_all() -> None:
    """Take every wrapper away; one that lies under another library's does nothing any more."""
    with _LOCK:
        for attachment in _ATTACHED.values():
            attachment.is_enabled = False
            _take_off(attachment)
        for name, (theirs, ours) in _GORILLA.items():
            if getattr(gorilla, name) is ours:
                setattr(gorilla, name, theirs)


def _raw(owner: Any, name: str) -> Any:  # noqa: ANN401
    """What a class or module holds under a name, as it holds it; some modules load it only when asked."""
    try:
        return inspect.getattr_static(owner, name)
    except AttributeError:
        return getattr(owner, name)


def _put_on_top(attachment: _Attachment) -> None:
    owner, name = attachment.owner, attachment.name
    depth = max((layer.depth + 1 for layer in attachment.layers), default=0)
    layer = _Layer(_raw(owner, name), name in vars(owner), depth)
    layer.installed = _wrapped(attachment, layer)
    attachment.layers.append(layer)
    setattr(owner, name, layer.installed)


def _take_off(attachment: _Attachment) -> None:
    """Restore what is below ours, if ours is on top."""
    while (layer := attachment.top) is not None:
        attachment.layers.remove(layer)
        if layer.is_own:
            setattr(attachment.owner, attachment.name, layer.raw)
        else:
            delattr(attachment.owner, attachment.name)


def _wrapped(attachment: _Attachment, layer: _Layer) -> Any:  # noqa: ANN401
    """Wrap what a class or module holds so that it is still of its kind."""
    raw = layer.raw
    if inspect.ismodule(attachment.owner):
        return _function(attachment, layer, raw)
    if isinstance(raw, classmethod | staticmethod):
        return type(raw)(_function(attachment, layer, raw.__func__))
    if callable(raw):
        function = _function(attachment, layer, raw)
        return function if hasattr(raw, "__get__") else staticmethod(function)
    return _Descriptor(attachment, layer)


def _function(attachment: _Attachment, layer: _Layer, below: Callable[..., Any]) -> Callable[..., Any]:
    # Nothing but these two is held, so that a class that is pickled by value can be pickled still.
    @wraps(below)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return attachment.call(layer, below, args, kwargs)

    # Pickled by reference, it must be found where it is.
    owner, name = attachment.owner, attachment.name
    is_module = inspect.ismodule(owner)
    wrapper.__module__ = owner.__name__ if is_module else owner.__module__
    wrapper.__qualname__ = name if is_module else f"{owner.__qualname__}.{name}"
    wrapper.__name__ = getattr(below, "__name__", name)
    return wrapper


class _Descriptor:
    """Around a method that is made at each access, such as those that scikit-learn has only with some parameters."""

    def __init__(self, attachment: _Attachment, layer: _Layer) -> None:
        self._attachment, self._layer = attachment, layer
        self.__doc__ = getattr(layer.raw, "__doc__", None)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:  # noqa: ANN401
        attachment, layer = self._attachment, self._layer
        method = layer.raw.__get__(instance, owner)
        if not callable(method):
            return method
        if instance is None:
            return _function(attachment, layer, method)

        def below(this: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return layer.raw.__get__(this, type(this))(*args, **kwargs)

        @wraps(method)
        def bound(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return attachment.call(layer, below, (instance, *args), kwargs)

        return bound


def _watch_mlflow() -> None:
    """Have our wrappers step aside while MLflow looks at a function, sets a patch, or takes it away."""
    for name, stepping_aside in (
        ("apply", _around_change),
        ("revert", _around_change),
        ("get_original_attribute", _around_look),
    ):
        current = getattr(gorilla, name)
        theirs, ours = _GORILLA.setdefault(name, (current, stepping_aside(current)))
        if current is theirs:
            setattr(gorilla, name, ours)


def _around_change(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    def change(patch: gorilla.Patch, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _aside(patch.destination, patch.name, always_back=True):
            return theirs(patch, *args, **kwargs)

    return change


def _around_look(theirs: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(theirs)
    def look(obj: Any, name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _aside(obj, name, always_back=False):
            return theirs(obj, name, *args, **kwargs)

    return look


@contextmanager
def _aside(owner: Any, name: str, *, always_back: bool) -> Iterator[None]:  # noqa: ANN401
    """Take our wrapper off; it goes back if it was on top, or, after a change, in any case."""
    attachment = _ATTACHED.get((id(owner), name))
    if attachment is None:
        yield
        return
    with _LOCK:
        was_on_top = attachment.top is not None
        _take_off(attachment)
        try:
            yield
        finally:
            if attachment.is_enabled and attachment.top is None and (was_on_top or always_back):
                _put_on_top(attachment)
