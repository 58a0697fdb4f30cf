"""Which evaluation set is which, what its metrics are called, and how the calls of boosting libraries are read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.keys import find_metric, parse_key, spell_key
from lossacc_mlflow.records import Split
from lossacc_mlflow.wording import quote

__all__ = [
    "Entry",
    "argument",
    "assign_roles",
    "class_places",
    "foreign_keys",
    "is_same_data",
    "named_split",
    "with_argument",
]

Entry = tuple[str, str, float]
"""What a library itself has evaluated: name of the set, name of the metric, value."""


def assign_roles(names: Sequence[str], is_train: Sequence[bool]) -> list[Split | None]:
    """Tell which split each evaluation set is.

    Parameters
    ----------
    names : sequence of str
    is_train : sequence of bool
        Whether a set is the training data themselves.

    Returns
    -------
    list of {"train", "validation", "test"} or None
        Of the held-out sets that are not called test, the last is the validation data: early stopping looks at it. A
        set that is called train, and is not the training data, is none.

    Examples
    --------
    >>> assign_roles(["validation_0", "validation_1", "mine", "dtest"], [True, False, False, False])
    ['train', None, 'validation', 'test']
    """
    said = [named_split(name) for name in names]
    roles: list[Split | None] = [None] * len(names)
    taken: set[Split] = set()
    for i in reversed(range(len(names))):
        role: Split = "train" if is_train[i] else "test" if said[i] == "test" else "validation"
        if role not in taken and (is_train[i] or said[i] != "train"):
            roles[i] = role
            taken.add(role)
    return roles


def named_split(name: str) -> Split | None:
    """Return the split that the name of a set tells, if it does."""
    parsed = parse_key(f"{name}-logloss")
    return None if parsed is None else parsed.split


def is_same_data(y: NDArray[Any], outputs: NDArray[Any], y_train: NDArray[Any], train_outputs: NDArray[Any]) -> bool:
    """Tell whether a set holds the training data a second time: as many samples, each with the same label and answer.

    Where all answers are the same they prove nothing.
    """
    return bool(
        np.shape(y) == np.shape(y_train)
        and outputs.shape == train_outputs.shape
        and np.array_equal(y, y_train)
        and np.ptp(train_outputs) > 0
        and np.allclose(outputs, train_outputs, rtol=1e-5, atol=1e-6)
    )


def foreign_keys(
    entries: Iterable[Entry], roles: Mapping[str, Split | None]
) -> tuple[dict[str, float], dict[str, str]]:
    """Tell what the metrics that a library evaluates itself are in our words.

    Returns
    -------
    values : dict of str to float
        By our keys, such as ``val_loss``; error rates are accuracies.
    meanings : dict of str to str
        By the keys under which MLflow logs them, such as ``validation_0-logloss``: ``train:log_loss``.
    """
    values: dict[str, float] = {}
    meanings: dict[str, str] = {}
    for name, metric_name, value in entries:
        found, role = find_metric(metric_name), roles.get(name)
        if found is None or role is None:
            continue
        metric, is_error_rate = found
        values[spell_key(metric.name, role)] = 1 - value if is_error_rate else value
        key = f"{name}-{metric_name}".replace("@", "_at_")
        if "," not in key:
            meanings[key] = f"{role}:{'error_rate' if is_error_rate else metric.name}"
    return values, meanings


def class_places(y: ArrayLike, classes: NDArray[Any] | None) -> NDArray[Any]:
    """Return the place of each label among the classes that the model knows.

    Raises
    ------
    InputError
        If the model does not know one of them.
    """
    labels = np.asarray(y)
    if classes is None:
        return labels
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise InputError(
            f"the validation data have labels that the model does not know: {quote(unknown[:5].tolist())}; it is "
            f"trained on {len(classes)} classes. Leave these samples out."
        )
    return np.searchsorted(classes, labels)


def argument(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return an argument of a call, given by place or by name; None where it is not given."""
    if name in kwargs:
        return kwargs[name]
    place = names.index(name)
    return args[place] if place < len(args) else None


def with_argument(
    names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str, value: object
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a call with another value of one argument."""
    place = names.index(name)
    if place < len(args):
        return (*args[:place], value, *args[place + 1 :]), dict(kwargs)
    return args, {**kwargs, name: value}
