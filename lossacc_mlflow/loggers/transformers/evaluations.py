"""Which data set an evaluation was of, and how often there is one."""

from collections.abc import Mapping
from math import inf
from typing import Any

from lossacc_mlflow.keys import parse_key
from lossacc_mlflow.records import Split

__all__ = [
    "chosen_datasets",
    "dataset_of",
    "is_logged_rarely",
    "n_samples",
    "split_of",
    "strategy_of",
    "validation_dataset",
    "value_of",
]

_PREFIX = "eval"


def chosen_datasets(trainer: Any) -> dict[str, Split]:  # noqa: ANN401
    """Choose the evaluation data sets that are logged, by the prefix of their metrics.

    Of several, those whose names say that they are of training or test data are what they say. One is the validation
    data: the one whose name says so, else the one that ``metric_for_best_model`` names, else the first.

    Parameters
    ----------
    trainer : transformers.Trainer or None

    Returns
    -------
    dict of str to split
    """
    datasets = getattr(trainer, "eval_dataset", None)
    if not isinstance(datasets, dict) or not datasets:
        return {_PREFIX: "validation"}
    named = {name: split_of(f"{name}_loss") for name in datasets}
    best = str(getattr(trainer.args, "metric_for_best_model", None) or "").removeprefix(f"{_PREFIX}_")
    candidates = [name for name, split in named.items() if split == "validation"]
    candidates += [name for name, split in named.items() if split is None and best.startswith(f"{name}_")]
    candidates += [name for name, split in named.items() if split is None]
    chosen: dict[str, Split | None] = {
        f"{_PREFIX}_{name}": split for name, split in named.items() if split in {"train", "test"}
    }
    if candidates:
        chosen[f"{_PREFIX}_{candidates[0]}"] = "validation"
    return {prefix: split for prefix, split in chosen.items() if split is not None}


def validation_dataset(trainer: Any) -> Any:  # noqa: ANN401
    """Return the data set that is logged as the validation data; None where there is none."""
    datasets = getattr(trainer, "eval_dataset", None)
    if not isinstance(datasets, dict):
        return datasets
    chosen = chosen_datasets(trainer)
    return next((data for name, data in datasets.items() if chosen.get(f"{_PREFIX}_{name}") == "validation"), None)


def n_samples(dataset: Any) -> int | None:  # noqa: ANN401
    """Length of a data set; None for one that is a stream."""
    try:
        return len(dataset)
    except TypeError:
        return None


def dataset_of(metrics: Mapping[str, Any], trainer: Any) -> str | None:  # noqa: ANN401
    """Return the prefix of the metrics of one evaluation; None where it was called with another by hand.

    Parameters
    ----------
    metrics : mapping of str to number
        As ``Trainer.evaluate`` returns them: the speed of the evaluation is always among them.
    trainer : transformers.Trainer or None
    """
    datasets = getattr(trainer, "eval_dataset", None)
    prefixes = [f"{_PREFIX}_{name}" for name in datasets] if isinstance(datasets, dict) else [_PREFIX]
    return next((prefix for prefix in prefixes if f"{prefix}_runtime" in metrics), None)


def split_of(key: str) -> Split | None:
    """Split that a key names; a key that names none is no training key here."""
    parsed = parse_key(key)
    return None if parsed is None or key == "loss" else parsed.split


def value_of(metrics: Mapping[str, Any], prefix: str, metric_name: str) -> tuple[str, float] | None:
    """Find a metric of one evaluation by any spelling of its name; its key, and its value."""
    for key, value in metrics.items():
        if key.startswith(f"{prefix}_"):
            parsed = parse_key(f"val_{key.removeprefix(f'{prefix}_')}")
            if parsed is not None and parsed.metric.name == metric_name:
                return key, 1 - float(value) if parsed.complement else float(value)
    return None


def strategy_of(args: Any) -> str:  # noqa: ANN401
    """When a trainer evaluates: ``no``, ``steps`` or ``epoch``; before 4.41 the argument had another name."""
    strategy = getattr(args, "eval_strategy", None) or getattr(args, "evaluation_strategy", "no")
    return str(getattr(strategy, "value", strategy))


def is_logged_rarely(args: Any, state: Any) -> bool:  # noqa: ANN401
    """Whether the training loss is logged less often than the model is evaluated (each epoch, where it is not).

    Parameters
    ----------
    args : transformers.TrainingArguments
    state : transformers.TrainerState
    """
    epoch = state.max_steps / max(1, state.num_train_epochs)

    def interval(strategy: Any, steps: float | None) -> float:  # noqa: ANN401
        name = getattr(strategy, "value", str(strategy))
        return float({"no": inf, "epoch": epoch}.get(name, steps or inf))

    logged = interval(args.logging_strategy, state.logging_steps)
    evaluated = interval(strategy_of(args), state.eval_steps)
    return logged > (epoch if evaluated == inf else evaluated)
