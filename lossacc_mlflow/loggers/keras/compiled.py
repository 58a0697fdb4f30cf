"""What a compiled model says about its loss, its outputs and its accuracy."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from lossacc_mlflow.keys import parse_key

__all__ = ["CompiledLoss", "accuracy_name", "error_names", "has_penalty", "leaf_metrics", "output_shape", "read_loss"]

Kind = Literal["binary", "categorical", "cross_entropy", "regression", "several", "unknown"]

_KINDS: Mapping[str, Kind] = {
    "crossentropy": "cross_entropy",  # Keras chooses by the shapes
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "hinge": "binary",
    "squared_hinge": "binary",
    "categorical_crossentropy": "categorical",
    "sparse_categorical_crossentropy": "categorical",
    "categorical_focal_crossentropy": "categorical",
    "categorical_generalized_cross_entropy": "categorical",
    "categorical_hinge": "categorical",
    "kl_divergence": "categorical",
    "mean_squared_error": "regression",
    "mean_absolute_error": "regression",
    "mean_absolute_percentage_error": "regression",
    "mean_squared_logarithmic_error": "regression",
    "huber": "regression",
    "log_cosh": "regression",
    "poisson": "regression",
}
_CROSS_ENTROPIES = frozenset(
    {"crossentropy", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"}
)
_HINGES = frozenset({"hinge", "squared_hinge", "categorical_hinge"})
_PARAMETERS = ("from_logits", "label_smoothing", "gamma", "alpha", "apply_class_balancing")


@dataclass(frozen=True, slots=True)
class CompiledLoss:
    """The loss that a model was compiled with.

    Parameters
    ----------
    name : str
        Keras' name of it, such as ``sparse_categorical_crossentropy``; empty where it is not one of Keras'.
    kind : str
        What it says about targets and outputs.
    tag : str or None
        What a mean of it over samples is, in the words of the tag ``lossacc.loss``; None where it has no name there.
    from_logits : bool or None
        Whether outputs are logits; None where the loss does not say.
    """

    name: str
    kind: Kind
    tag: str | None = None
    from_logits: bool | None = None

    @property
    def has_scores(self) -> bool:
        """Whether outputs are scores that are no probabilities, and no logits of any."""
        return self.name in _HINGES

    @property
    def has_normalised_outputs(self) -> bool:
        """Whether the loss itself divides the outputs of a sample by their sum."""
        return self.kind in {"categorical", "cross_entropy"} and not self.from_logits and "entropy" in self.name


def read_loss(model: Any) -> CompiledLoss:  # noqa: ANN401
    """Read what a model was compiled with.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    CompiledLoss
        Its kind is ``several`` where there are several losses, and ``unknown`` for functions that are not Keras' own.
    """
    identifier = getattr(model, "loss", None)
    while isinstance(identifier, (dict, list, tuple)):
        if len(identifier) != 1:
            return CompiledLoss("", "several")
        identifier = next(iter(identifier.values())) if isinstance(identifier, dict) else identifier[0]
    name, parameters = _resolve(identifier)
    kind = _KINDS.get(name)
    if kind is None:
        return CompiledLoss("", "unknown")
    from_logits = None if name in _HINGES or kind == "regression" else bool(parameters.get("from_logits", False))
    is_mean = parameters.get("reduction", "mean") not in {None, "none", "sum"} and not _is_scaled(model)
    return CompiledLoss(name, kind, _tag(name, parameters) if is_mean else None, from_logits)


def accuracy_name(model: Any) -> str | None:  # noqa: ANN401
    """Return the name under which Keras logs the accuracy of the training data; None where it was not compiled.

    Metrics over weighted samples come last: they are another accuracy where samples have weights.
    """
    accuracies = (
        keras.metrics.Accuracy,
        keras.metrics.BinaryAccuracy,
        keras.metrics.CategoricalAccuracy,
        keras.metrics.SparseCategoricalAccuracy,
    )
    names: list[str] = []
    for metric in leaf_metrics(model):
        parsed = parse_key(metric.name)
        is_accuracy = parsed is not None and parsed.metric.name == "accuracy" and not parsed.complement
        if (is_accuracy and parsed is not None and parsed.split == "train") or isinstance(metric, accuracies):
            names.append(metric.name)
    return next(iter(names), None)


def error_names(model: Any) -> dict[str, str]:  # noqa: ANN401
    """Return the names under which Keras logs squared errors (``mse``, ``rmse``) and ``r2``, where compiled."""
    found: dict[str, str] = {}
    known = {
        "mse": (keras.metrics.MeanSquaredError, {"mse", "mean_squared_error"}),
        "rmse": (keras.metrics.RootMeanSquaredError, {"rmse", "root_mean_squared_error"}),
        "r2": (keras.metrics.R2Score, {"r2", "r2_score"}),
    }
    for metric in leaf_metrics(model):
        for kind, (cls, names) in known.items():
            if isinstance(metric, cls) or metric.name.lower() in names:
                found.setdefault(kind, metric.name)
    return found


def leaf_metrics(model: Any) -> list[Any]:  # noqa: ANN401
    """Return the metrics of a model, those of `compile` among them."""
    leaves: list[Any] = []
    for metric in model.metrics:
        nested = getattr(metric, "metrics", None)
        leaves.extend([metric] if nested is None else nested)
    return leaves


def has_penalty(model: Any) -> bool:  # noqa: ANN401
    """Tell whether something is added to the loss: by regularisers of weights or outputs, or by ``add_loss``."""
    if any(getattr(v, "regularizer", None) is not None for v in model.trainable_variables):
        return True
    return len(model.losses) > 0 or any(
        getattr(layer, "activity_regularizer", None) is not None for layer in _all_layers(model)
    )


def output_shape(model: Any, find_inputs: Callable[[], Any]) -> tuple[int | None, ...] | None:  # noqa: ANN401
    """Return the shape of the only output of a model, the batch first; None where it has several, or none is known.

    Parameters
    ----------
    model : keras.Model
    find_inputs : callable
        Returns the inputs of a batch, for models that tell their shapes only when they are called; None for none.
    """
    try:
        shape = model.output_shape
    except (AttributeError, ValueError, NotImplementedError, RuntimeError):
        x = find_inputs()
        if x is None:
            return None
        spec = keras.tree.map_structure(
            lambda leaf: keras.KerasTensor(leaf.shape, keras.backend.standardize_dtype(leaf.dtype)), x
        )
        shape = keras.tree.map_structure(lambda leaf: _Shape(leaf.shape), model.compute_output_spec(spec))
        leaves = [leaf.shape for leaf in keras.tree.flatten(shape)]
    else:
        leaves = _shapes(shape)
    return leaves[0] if len(leaves) == 1 else None


@dataclass(frozen=True, slots=True)
class _Shape:
    """Keeps a shape from being taken for a tree."""

    shape: tuple[int | None, ...]


def _shapes(shape: Any) -> list[tuple[int | None, ...]]:  # noqa: ANN401
    if isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape):
        return [shape]
    inner = shape.values() if isinstance(shape, dict) else shape
    return [leaf for one in inner for leaf in _shapes(one)]


def _resolve(identifier: Any) -> tuple[str, dict[str, Any]]:  # noqa: ANN401
    """Return Keras' name of a loss, empty for one that is not Keras', and its parameters."""
    parameters: dict[str, Any] = {}
    if isinstance(identifier, str):
        if identifier.lower() in {"crossentropy", "ce"}:
            return "crossentropy", parameters
        try:
            identifier = keras.losses.get(identifier)
        except ValueError:
            return "", parameters
    if isinstance(identifier, functools.partial):
        parameters, identifier = dict(identifier.keywords), identifier.func
    if isinstance(identifier, keras.losses.Loss) and type(identifier).__module__.startswith("keras."):
        parameters = {name: getattr(identifier, name) for name in _PARAMETERS if hasattr(identifier, name)}
        parameters["reduction"] = identifier.reduction
        identifier = getattr(identifier, "fn", None)
    if not str(getattr(identifier, "__module__", "")).startswith("keras."):
        return "", parameters
    return str(getattr(identifier, "__name__", "")), parameters


def _tag(name: str, parameters: Mapping[str, Any]) -> str | None:
    smoothing = parameters.get("label_smoothing", 0.0)
    gamma = parameters.get("gamma", 2.0)
    if name in _CROSS_ENTROPIES:
        return f"smoothed:{smoothing:g}" if smoothing else "log_loss"
    if name == "binary_focal_crossentropy" and not smoothing:
        return None if parameters.get("apply_class_balancing") else f"focal:{gamma:g}"
    if name == "categorical_focal_crossentropy" and not smoothing:
        alpha = parameters.get("alpha", 0.25)
        return f"focal:{gamma:g}:{alpha:g}" if isinstance(alpha, (int, float)) else None
    known = {"hinge", "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"}
    return name if name in known else None


def _is_scaled(model: Any) -> bool:  # noqa: ANN401
    """Whether the loss of a single output is multiplied by a weight."""
    # Keras keeps the weights of its losses nowhere else.
    weights = getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)
    return any(weight not in {None, 1} for weight in keras.tree.flatten(weights))


def _all_layers(layer: Any) -> list[Any]:  # noqa: ANN401
    inner = getattr(layer, "layers", None) or []
    return [layer, *(leaf for one in inner for leaf in _all_layers(one))]
