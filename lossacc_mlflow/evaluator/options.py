"""What a user may say in ``evaluator_config={"lossacc": {...}}``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Split
from lossacc_mlflow.wording import did_you_mean, quote

__all__ = ["EvaluatorOptions", "read_options"]


@dataclass(frozen=True, slots=True)
class EvaluatorOptions:
    """Options of the evaluator.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        Which split the evaluated data is.
    probabilities : str or tuple of str, optional
        Columns of the data (static predictions) or of the model's output that hold probabilities: one for each
        class, or the one of the second of two classes.
    proba_prefix : str, optional
        Instead of them: how the names of these columns begin; the rest of each name is its class.
    label_list : tuple, optional
        The class of each probability column, in their order, where the model has no ``classes_``.
    pos_label : object, optional
        The class whose probability a single column holds.
    sample_id : str or tuple, optional
        Column of the data, or one id a sample; the position by default.
    sample_weights : tuple of float, optional
        How much each sample counts, as MLflow's own evaluators take it; a classifier's figures are weighted.
    """

    split: Split = "validation"
    probabilities: str | tuple[str, ...] | None = None
    proba_prefix: str | None = None
    label_list: tuple[Any, ...] | None = None
    pos_label: object = None
    sample_id: str | tuple[object, ...] | None = None
    sample_weights: tuple[float, ...] | None = None


# Options of MLflow's own evaluators that one may hand to all of them at once.
_MLFLOW_OPTIONS = frozenset(
    {
        "average",
        "col_mapping",
        "explainability_algorithm",
        "explainability_kernel_link",
        "explainability_nsamples",
        "log_explainer",
        "log_model_explainability",
        "max_classes_for_multiclass_roc_pr",
        "max_num_classes_threshold_logging_roc_pr_curve_for_multiclass_classifier",
        "metric_prefix",
    }
)


def read_options(config: Mapping[str, Any]) -> EvaluatorOptions:
    """Check the options that a user gave.

    Parameters
    ----------
    config : mapping

    Returns
    -------
    EvaluatorOptions

    Raises
    ------
    InputError
        If one is not known or is not what it should be.

    Examples
    --------
    >>> read_options({"split": "test", "probabilities": ["p_cat", "p_dog"]}).probabilities
    ('p_cat', 'p_dog')
    """
    known = [f.name for f in fields(EvaluatorOptions)]
    for name in config.keys() - _MLFLOW_OPTIONS:
        if name not in known:
            raise InputError(
                f"evaluator 'lossacc' has no option {quote(name)}; it has {', '.join(known)}."
                + did_you_mean(str(name), known)
            )
    made = EvaluatorOptions(**{name: _frozen(value) for name, value in config.items() if name in known})
    if made.split not in get_args(Split):
        raise InputError(f"option split is {quote(made.split)}; it must be one of {', '.join(get_args(Split))}.")
    if made.sample_id is not None and not isinstance(made.sample_id, (str, tuple)):
        raise InputError(f"option sample_id is {quote(made.sample_id)}; it must be a column or a list.")
    if made.sample_weights is not None and not isinstance(made.sample_weights, tuple):
        raise InputError(f"option sample_weights is {quote(made.sample_weights)}; it must be a list of numbers.")
    _check_columns(made)
    _check_classes(made)
    return made


def _check_columns(options: EvaluatorOptions) -> None:
    if options.probabilities is not None and options.proba_prefix is not None:
        raise InputError("options probabilities and proba_prefix say the same in two ways: give one of them.")
    names = options.probabilities if isinstance(options.probabilities, tuple) else (options.probabilities,)
    if options.probabilities is not None and not (names and all(isinstance(name, str) for name in names)):
        raise InputError(f"option probabilities is {quote(options.probabilities)}; it must name one or more columns.")
    if options.proba_prefix is not None and not (isinstance(options.proba_prefix, str) and options.proba_prefix):
        raise InputError(f"option proba_prefix is {quote(options.proba_prefix)}; it must be text, such as 'proba_'.")


def _check_classes(options: EvaluatorOptions) -> None:
    classes = options.label_list
    if classes is None:
        return
    if not isinstance(classes, tuple):
        raise InputError(f"option label_list is {quote(classes)}; it must be a list.")
    if len(set(map(str, classes))) != len(classes):
        raise InputError(f"option label_list names a class twice: {quote(list(classes))}.")
    if options.pos_label is not None and (options.pos_label not in classes or len(classes) != 2):
        raise InputError(
            f"option pos_label, {quote(options.pos_label)}, must be one of two classes; label_list is "
            f"{quote(list(classes))}."
        )


def _frozen(value: Any) -> Any:  # noqa: ANN401  (whatever the user gave)
    """A tuple of anything that is a list, an array or a column; everything else as it is."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else value
