"""What a model, or the data itself, answers: probabilities where there are any, else labels or numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossacc_mlflow.errors import InputError, PredictionsError
from lossacc_mlflow.evaluator.options import EvaluatorOptions
from lossacc_mlflow.wording import quote

__all__ = ["Answers", "classifier_answers", "read_sample_id", "regressor_answers"]

_Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers to the samples of a dataset.

    Parameters
    ----------
    array : ndarray, shape (n_samples,) or (n_samples, n_classes)
        Labels, numbers, or probabilities.
    are_probabilities : bool
    labels : list, length n_classes, or None
        The class of each column of probabilities.
    """

    array: _Array
    are_probabilities: bool = False
    labels: list[Any] | None = None


def classifier_answers(
    model: Any,  # noqa: ANN401  (mlflow.pyfunc.PyFuncModel, or what looks like one)
    dataset: Any,  # noqa: ANN401  (mlflow.data.evaluation_dataset.EvaluationDataset)
    options: EvaluatorOptions,
    *,
    output_column: str | None = None,
) -> Answers:
    """Ask a classifier for probabilities; where it has none, take the labels that it answers with.

    Parameters
    ----------
    model : mlflow.pyfunc.PyFuncModel or None
        Where there is none, the dataset holds the answers.
    dataset : mlflow.data.evaluation_dataset.EvaluationDataset
    options : EvaluatorOptions
    output_column : str, optional
        Column of the model's output that holds the predictions.

    Returns
    -------
    Answers
        Probabilities or labels.

    Raises
    ------
    InputError
        If columns that the options name are not there.
    PredictionsError
        If the answers are neither labels nor numbers that could be probabilities.
    """
    classes = np.unique(np.asarray(dataset.labels_data)).tolist()
    named = options.probabilities is not None or options.proba_prefix is not None
    if model is None:
        if named:
            if not isinstance(dataset.features_data, pd.DataFrame):
                raise InputError("options probabilities and proba_prefix take data that is a table (a DataFrame).")
            return _named_columns(_with_predictions(dataset), options, classes, "the data")
        if not dataset.has_predictions:
            raise InputError(
                "there is neither a model nor a column of predictions: pass model or predictions, or name the columns "
                "of probabilities in evaluator_config={'lossacc': {'probabilities': [...]}}."
            )
        return _shaped(dataset.predictions_data, options, classes)
    raw = _raw_classifier(model)
    if raw is not None and not named and output_column is None:
        labels = getattr(raw, "classes_", None)
        y_proba = np.asarray(raw.predict_proba(_raw_features(raw, dataset, options)))
        return Answers(y_proba, are_probabilities=True, labels=None if labels is None else np.asarray(labels).tolist())
    output = model.predict(_table(dataset, options))
    if not named:
        return _shaped(_column(output, output_column), options, classes)
    if not isinstance(output, pd.DataFrame):
        raise InputError(
            "options probabilities and proba_prefix take a model that answers with a table (a DataFrame); "
            f"this one answers with {type(output).__name__}."
        )
    return _named_columns(output, options, classes, "the model's output")


def regressor_answers(
    model: Any,  # noqa: ANN401  (as above)
    dataset: Any,  # noqa: ANN401
    options: EvaluatorOptions,
    *,
    output_column: str | None = None,
) -> Answers:
    """Ask a regressor for its numbers; parameters as in :func:`classifier_answers`."""
    if model is None:
        if not dataset.has_predictions:
            raise InputError("there is neither a model nor a column of predictions: pass model or predictions.")
        return Answers(np.asarray(dataset.predictions_data))
    output = _column(model.predict(_table(dataset, options)), output_column)
    return Answers(np.asarray(output))


def read_sample_id(dataset: Any, options: EvaluatorOptions) -> list[object] | None:  # noqa: ANN401  (as above)
    """Return the id of every sample, None where none is given.

    Raises
    ------
    InputError
        If the column is not there, or there is not one id a sample.
    """
    if options.sample_id is None:
        return None
    if isinstance(options.sample_id, str):
        table = dataset.features_data
        if not isinstance(table, pd.DataFrame) or options.sample_id not in table.columns:
            raise InputError(f"option sample_id names {quote(options.sample_id)}, which is no column of the data.")
        return list(table[options.sample_id].tolist())
    n = len(dataset.labels_data)
    if len(options.sample_id) != n:
        raise InputError(f"option sample_id has {len(options.sample_id)} entries for {n} samples: give one a sample.")
    return list(options.sample_id)


def _raw_classifier(model: Any) -> Any:  # noqa: ANN401
    """The estimator inside a pyfunc model that has ``predict_proba``, as pyfunc itself answers with labels."""
    try:
        raw = model.get_raw_model()
    except (AttributeError, NotImplementedError):
        return None
    is_python_model = hasattr(raw, "load_context")  # its methods take a context, and mean what their author likes
    return None if is_python_model or not callable(getattr(raw, "predict_proba", None)) else raw


def _table(dataset: Any, options: EvaluatorOptions) -> pd.DataFrame:  # noqa: ANN401
    """The features as a table of its own, as MLflow's evaluators hand it to a model."""
    features = dataset.features_data
    if not isinstance(features, pd.DataFrame):
        return pd.DataFrame(features, columns=list(dataset.feature_names))
    ids = [options.sample_id] if isinstance(options.sample_id, str) and options.sample_id in features else []
    return features.drop(columns=ids)  # a copy, so that a model may write to it


def _raw_features(raw: Any, dataset: Any, options: EvaluatorOptions) -> "pd.DataFrame | _Array":  # noqa: ANN401
    """The features as the estimator saw them: an array where it was trained without names."""
    table = _table(dataset, options)
    has_names = isinstance(dataset.features_data, pd.DataFrame)
    trained_on = getattr(raw, "feature_names_in_", None)
    if has_names or (trained_on is not None and list(trained_on) == list(table.columns)):
        return table
    return np.array(dataset.features_data)


def _with_predictions(dataset: Any) -> pd.DataFrame:  # noqa: ANN401
    """The data with its column of predictions, which MLflow takes out: it may be the one of probabilities."""
    if not dataset.has_predictions:
        return dataset.features_data
    return dataset.features_data.assign(**{dataset.predictions_name: list(dataset.predictions_data)})


def _column(output: Any, name: str | None) -> Any:  # noqa: ANN401
    """One column of a model's output, or all of it."""
    if name is None or not isinstance(output, (pd.DataFrame, Mapping)):
        return output
    if name not in output:
        raise InputError(f"predictions={quote(name)} is no column of the model's output: {quote(list(output))}.")
    return output[name]


def _named_columns(table: pd.DataFrame, options: EvaluatorOptions, classes: Sequence[Any], where: str) -> Answers:
    """Probabilities from the columns that the options name."""
    if options.proba_prefix is not None:
        prefix = options.proba_prefix
        columns = [c for c in table.columns if isinstance(c, str) and c.startswith(prefix)]
        if len(columns) < 2:
            raise InputError(
                f"option proba_prefix: {len(columns)} columns of {where} begin with {quote(prefix)}, wanted one a "
                f"class; there is {quote(list(table.columns))}."
            )
        labels = [_as_label(c.removeprefix(prefix), classes) for c in columns]
        if options.label_list is not None and set(map(str, labels)) != set(map(str, options.label_list)):
            raise InputError(
                f"option proba_prefix gives the classes {quote(labels)}, label_list is "
                f"{quote(list(options.label_list))}."
            )
        return Answers(table[columns].to_numpy(dtype=np.float64), are_probabilities=True, labels=labels)
    columns = [options.probabilities] if isinstance(options.probabilities, str) else list(options.probabilities or ())
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise InputError(
            f"option probabilities names {', '.join(map(quote, missing[:5]))}, not among the columns of {where}: "
            f"{quote(list(table.columns))}."
        )
    if len(columns) == 1:
        return _probabilities(_stacked(table[columns[0]].to_numpy()), options, classes)
    return _probabilities(table[columns].to_numpy(dtype=np.float64), options, classes)


def _shaped(output: Any, options: EvaluatorOptions, classes: Sequence[Any]) -> Answers:  # noqa: ANN401
    """Tell probabilities from labels by shape and values."""
    labels = None
    if isinstance(output, pd.DataFrame) and output.shape[1] > 1:
        if {str(c) for c in classes} <= {str(c) for c in output.columns}:
            labels = [_as_label(str(c), classes) for c in output.columns]
        if not all(pd.api.types.is_numeric_dtype(kind) for kind in output.dtypes):
            raise PredictionsError(
                f"the model answers with the columns {quote(list(output.columns))}, not all of them numbers: name the "
                "ones that hold probabilities in evaluator_config={'lossacc': {'probabilities': [...]}}."
            )
    values = _stacked(np.asarray(output))
    if values.ndim == 2:
        found = _probabilities(values, options, classes)
        return found if found.labels is not None else replace(found, labels=labels)
    if values.dtype.kind == "f" and len(classes) <= 2 and _lie_between(values):
        return _probabilities(values, options, classes)
    return Answers(values)


def _probabilities(values: _Array, options: EvaluatorOptions, classes: Sequence[Any]) -> Answers:
    """Probabilities with the classes that the options give to their columns."""
    labels = None if options.label_list is None else list(options.label_list)
    if values.ndim == 1 and options.pos_label is not None:
        others = [c for c in (labels or classes) if c != options.pos_label]
        if len(others) != 1:
            raise InputError(
                f"option pos_label is {quote(options.pos_label)}, and the other class is not known: it could be "
                f"{quote(others)}. Name both in label_list."
            )
        labels = [others[0], options.pos_label]
    n_columns = 2 if values.ndim == 1 else values.shape[1]
    if labels is not None and len(labels) != n_columns:
        raise InputError(f"option label_list names {len(labels)} classes; there are probabilities of {n_columns}.")
    return Answers(values, are_probabilities=True, labels=labels)


def _stacked(values: _Array) -> _Array:
    """Rows of probabilities in the cells of one column as a matrix; one column of a matrix as a vector."""
    if values.ndim == 1 and values.dtype == object and len(values) and isinstance(values[0], (list, tuple, np.ndarray)):
        if len({len(row) for row in values}) != 1:
            raise PredictionsError(
                "the cells of the predictions hold lists of different lengths: give one value a class."
            )
        values = np.stack([np.asarray(row, dtype=np.float64) for row in values])
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _lie_between(values: _Array) -> bool:
    """Whether numbers can be probabilities and cannot be labels."""
    with np.errstate(invalid="ignore"):
        inside = bool(np.all((values >= 0) & (values <= 1)))
        return inside and bool(np.any(values % 1 != 0))


def _as_label(text: str, classes: Sequence[Any]) -> object:
    """The class that is written so; one that does not occur in the data as the same type, where it can be."""
    for label in classes:
        if str(label) == text:
            return label
    kind = type(classes[0]) if classes else str
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text
