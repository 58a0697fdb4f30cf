"""The call of `fit`: which data it was given, and our callback among the others."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from lossacc_mlflow.loggers.keras.data import Batch, Batches, open_batches, split_arrays

__all__ = ["Fit", "ours_last", "read_fit"]


@dataclass(frozen=True, slots=True)
class Fit:
    """What `fit` was called with.

    Parameters
    ----------
    train : Batches or None
        None where the data can be gone through only once.
    validation : Batches or None
        None also where there are none.
    has_validation : bool
        Whether Keras evaluates on validation data.
    train_targets : tree of arrays or None
        Where training data are arrays.
    is_weighted : bool
        Whether samples or classes of the training data have weights.
    is_validation_weighted : bool
        Whether samples of the validation data have some, as far as is known before going through them.
    initial_epoch : int
    callbacks : sequence of keras.callbacks.Callback
        All of them: MLflow's autologging puts its own into this list when it is called.
    """

    train: Batches | None = None
    validation: Batches | None = None
    has_validation: bool = False
    train_targets: Any = None
    is_weighted: bool = False
    is_validation_weighted: bool = False
    initial_epoch: int = 0
    callbacks: Sequence[Any] = ()


def read_fit(below: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fit:  # noqa: ANN401
    """Read a call of `fit`.

    Parameters
    ----------
    below : callable
        The function that is called.
    model : keras.Model
    args, kwargs
        The other arguments.

    Returns
    -------
    Fit

    Raises
    ------
    TypeError
        If these are no arguments of it.
    """
    given = inspect.signature(below).bind(model, *args, **kwargs).arguments
    batch_size = given.get("batch_size")
    train: Batch = (given.get("x"), given.get("y"), given.get("sample_weight"))
    validation: Batch | None = None
    if given.get("validation_data") is not None:
        validation = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
    elif given.get("validation_split"):
        train, validation = split_arrays(train, given["validation_split"])
    opened = None
    if validation is not None:
        size = given.get("validation_batch_size") or batch_size
        opened = open_batches(*validation, batch_size=size, n_batches=given.get("validation_steps"))
    return Fit(
        train=open_batches(*train, batch_size=batch_size),
        validation=opened,
        has_validation=validation is not None,
        train_targets=train[1],
        is_weighted=given.get("class_weight") is not None or train[2] is not None,
        is_validation_weighted=validation is not None and validation[2] is not None,
        initial_epoch=int(given.get("initial_epoch") or 0),
        callbacks=_listed(given.get("callbacks")),
    )


@contextmanager
def ours_last(
    below: Callable[..., Any],
    model: Any,  # noqa: ANN401
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ours: Any,  # noqa: ANN401
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], list[Any]]]:
    """Put our callback behind all others, which restore weights and change what is logged, in the arguments of `fit`.

    Lists of the training code stay as they are; a `CallbackList`, which Keras takes as it is, is put back afterwards.
    """
    given = inspect.signature(below).bind(model, *args, **kwargs).arguments.get("callbacks")
    others = [one for one in _listed(given) if one is not ours]
    if not isinstance(given, keras.callbacks.CallbackList):
        position = list(inspect.signature(below).parameters).index("callbacks") - 1
        callbacks = [*others, ours]
        if len(args) > position:
            yield (*args[:position], callbacks, *args[position + 1 :]), kwargs, callbacks
        else:
            yield args, {**kwargs, "callbacks": callbacks}, callbacks
        return
    before = list(given.callbacks)
    if ours not in before:
        ours.set_model(model)
        ours.set_params(given.params)
    given.callbacks[:] = [*others, ours]
    try:
        yield args, kwargs, given.callbacks
    finally:
        given.callbacks[:] = before


def _listed(callbacks: Any) -> list[Any]:  # noqa: ANN401
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(keras.tree.flatten(callbacks))
