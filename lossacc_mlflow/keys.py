"""Metric keys: the only owner of how a metric, a split and a step unit are spelled.

A key is cut into words (at separators and at capitals), and every word must be understood: one metric, at most one
split, at most one step unit. So ``lr``, ``top5_acc``, ``best_val_loss`` or ``val_loss_scale`` are not read at all,
rather than read as something that they are not.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, cast

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import Metric, Split, StepUnit

__all__ = [
    "AUXILIARY",
    "METRICS",
    "OWN_PREFIX",
    "SPLIT_PREFIXES",
    "STEP_COLUMNS",
    "ParsedKey",
    "find_metric",
    "is_bookkeeping",
    "parse_key",
    "parse_keys",
    "parse_override",
    "plainness",
    "spell_key",
]

OWN_PREFIX = "lossacc/"
"""Begins the key of every metric that a diagnosis writes."""

AUXILIARY = frozenset(
    {
        "epoch",
        "step",
        "global_step",
        "iteration",
        "best_iteration",
        "stopped_iteration",
        "restored_epoch",
        "stopped_epoch",
        "train_runtime",
    }
)
"""Keys that say where in the training something happened; they are understood, and are no curves."""

STEP_COLUMNS: Mapping[str, StepUnit | None] = MappingProxyType(
    {
        "global_step": "global_step",
        "step": None,
        "steps": None,
        "iteration": "iteration",
        "iterations": "iteration",
        "iter": "iteration",
        "boosting_round": "iteration",
        "n_estimators": "n_estimators",
        "n_samples": "n_samples",
        "epoch": "epoch",
        "epochs": "epoch",
    }
)
"""Columns that hold the steps of a table, finest first, with their unit (None: the name does not tell)."""

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("loss", greater_is_better=False),
            Metric("log_loss", greater_is_better=False, unit="nats"),
            Metric("accuracy", greater_is_better=True, unit="fraction"),
            Metric("balanced_accuracy", greater_is_better=True, unit="fraction"),
            Metric("f1", greater_is_better=True, unit="fraction"),
            Metric("f1_macro", greater_is_better=True, unit="fraction"),
            Metric("precision", greater_is_better=True, unit="fraction"),
            Metric("recall", greater_is_better=True, unit="fraction"),
            Metric("roc_auc", greater_is_better=True),
            Metric("brier_score_loss", greater_is_better=False),
            Metric("hinge_loss", greater_is_better=False),
            Metric("mean_squared_error", greater_is_better=False),
            Metric("root_mean_squared_error", greater_is_better=False),
            Metric("mean_absolute_error", greater_is_better=False),
            Metric("mean_absolute_percentage_error", greater_is_better=False),
            Metric("r2", greater_is_better=True),
        )
    }
)
"""Every metric that can be read, by scikit-learn's name; ``loss`` is a loss whose key does not tell which."""


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What a metric key says.

    Parameters
    ----------
    metric : Metric
    split : {"train", "validation", "test"}
    step_unit : str or None
        None where the key does not tell.
    complement : bool
        The logged value is an error rate: the metric is 1 - value.
    """

    metric: Metric
    split: Split
    step_unit: StepUnit | None
    complement: bool = False


_SPLITS: Mapping[Split, str] = {
    "train": "train, training, trn, tr, learn, dtrain",
    "validation": "val, valid, validation, vali, dev, eval, evaluation, holdout, hold out, dval, dvalid",
    "test": "test, testing, tst, dtest",
}

_METRICS: Mapping[str, str] = {
    "loss": """loss, total loss, loss total, mean loss, loss mean, avg loss, loss avg, average loss, cls loss,
        classification loss""",
    "log_loss": """log loss, logloss, mlogloss, multi logloss, binary logloss, logistic loss, cross entropy,
        cross entropy loss, crossentropy, crossentropy loss, categorical crossentropy, categorical cross entropy,
        sparse categorical crossentropy, sparse categorical cross entropy, binary crossentropy, binary cross entropy,
        softmax cross entropy, xent, xentropy, ce, ce loss, loss ce, bce, bce loss, loss bce, bce with logits loss,
        nll, nll loss, loss nll, negative log likelihood, neg log likelihood""",
    "accuracy": """accuracy, acc, accuracy score, top1, top 1, top1 accuracy, top 1 accuracy, top1 acc, top 1 acc,
        accuracy top1, accuracy top 1, acc top1, acc top 1, acc1, acc at 1, accuracy at 1,
        categorical accuracy, sparse categorical accuracy, binary accuracy, classification accuracy,
        overall accuracy""",
    "balanced_accuracy": "balanced accuracy, balanced acc, balanced accuracy score, bacc",
    "f1": "f1, f1 score",
    "f1_macro": "f1 macro, macro f1, f1 score macro, macro f1 score",
    "precision": "precision, precision score",
    "recall": "recall, recall score",
    "roc_auc": "roc auc, auc, auroc, roc auc score, auc roc",
    "brier_score_loss": "brier, brier score, brier loss, brier score loss",
    "hinge_loss": "hinge, hinge loss, categorical hinge",
    "mean_squared_error": "mse, mean squared error, mse loss, loss mse, l2",
    "root_mean_squared_error": "rmse, root mean squared error",
    "mean_absolute_error": "mae, mean absolute error, l1, l1 loss",
    "mean_absolute_percentage_error": "mape, mean absolute percentage error",
    "r2": "r2, r2 score, r 2, r squared, rsquared",
    "error_rate": """error, err, error rate, err rate, merror, multi error, binary error, zero one loss, err1,
        top1 err, top1 error, top 1 error, top 1 err, err at 1, error at 1, classification error, misclassification,
        misclassification rate""",
}

_STEP_UNITS: Mapping[StepUnit, str] = {
    "epoch": "epoch, per epoch, by epoch",
    "iteration": "by iteration",
    "n_estimators": "by n estimators",
    "n_samples": "by n samples",
    "global_step": "step, per step, by global step",
}

# Without a split only these are read, and as the training's: so Keras spells them. Other bare names (log_loss,
# accuracy_score, r2, ...) are what scikit-learn users and mlflow.evaluate log of any data.
_BARE = """loss, total loss, mean loss, avg loss, average loss, cls loss, accuracy, acc, categorical accuracy,
    sparse categorical accuracy, binary accuracy, categorical crossentropy, sparse categorical crossentropy,
    binary crossentropy"""

# Names that only boosting libraries use; one of these, or a numbered evaluation set, tells that steps are iterations.
_BOOSTING = "mlogloss, multi logloss, binary logloss, merror, multi error, binary error, l1, l2"
_BOOSTING_HYPHENED = frozenset({"logloss", "error", "rmse", "mae", "mape", "auc"})

# YOLO validates these, without saying so.
_WHOLE = {("metrics", "accuracy", "top1"): ("accuracy", "validation")}

# What spell_key writes where it is not scikit-learn's name.
_SPELLED: Mapping[str, str] = {
    "log_loss": "loss",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
}

SPLIT_PREFIXES: Mapping[Split, str] = {"train": "train", "validation": "val", "test": "test"}
"""How our own keys of a split begin."""

# How people call features that a transformer made of others.
_PREPARED = ("scaled", "std", "norm", "normalized", "transformed", "prepared", "encoded", "vec", "tfidf", "pca", "df")

_Phrase = tuple[str, ...]
_Kind = Literal["metric", "split", "step_unit", "noise"]


def _phrases(text: str) -> tuple[_Phrase, ...]:
    return tuple(tuple(phrase.split()) for phrase in text.split(","))


def _vocabulary() -> dict[_Phrase, tuple[_Kind, str]]:
    """Every phrase that can be part of a key: what kind of part it is, and which one it means."""
    known: dict[_Phrase, tuple[_Kind, str]] = dict.fromkeys(_phrases("metrics, metric"), ("noise", ""))
    for name, text in _METRICS.items():
        known |= dict.fromkeys(_phrases(text), ("metric", name))
    for unit, text in _STEP_UNITS.items():
        known |= dict.fromkeys(_phrases(text), ("step_unit", unit))
    for split, text in _SPLITS.items():
        for phrase in _phrases(text):
            # scikit-learn's autologging appends the name of the variable, as in accuracy_score_X_test_scaled.
            variable = ("x", *phrase)
            joined = ("".join(variable),)
            prepared = [(*variable, how) for how in _PREPARED]
            known |= dict.fromkeys((phrase, (*phrase, "set"), variable, joined, *prepared), ("split", split))
    return known


_VOCABULARY = MappingProxyType(_vocabulary())
_LONGEST = max(map(len, _VOCABULARY))
_MAX_LENGTH = 100
_BARE_PHRASES = frozenset(_phrases(_BARE))
_BOOSTING_PHRASES = frozenset(_phrases(_BOOSTING))
_LATER_CALL = re.compile(r"(\w{1,60})-(\d{1,4})_([xX]_?\w{1,40})")
_SEPARATORS = re.compile(r"[\W_]+")
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A parsed key, and what only its neighbours can settle."""

    parsed: ParsedKey
    is_bare: bool
    numbered_set: tuple[str, int] | None


def parse_key(key: str) -> ParsedKey | None:
    """Read one metric key.

    Parameters
    ----------
    key : str
        As logged by Keras, Lightning, XGBoost, LightGBM, transformers, skorch, scikit-learn's autologging, YOLO, this
        package, or by hand: metric, split and step unit in any order, any case, with any separators.

    Returns
    -------
    ParsedKey or None
        None when anything in the key is not understood, or when it is ambiguous (see `parse_keys` for what the other
        keys of a run can settle). A bare ``loss`` or ``accuracy`` is the training's.

    Examples
    --------
    >>> parsed = parse_key("validation_0-mlogloss")
    >>> parsed.metric.name, parsed.split, parsed.step_unit
    ('log_loss', 'validation', 'iteration')
    >>> parse_key("eval-merror").complement
    True
    >>> parse_key("Accuracy/Train") == parse_key("acc")
    True
    >>> parse_key("val_top5_accuracy") is None
    True
    """
    reading = _read(key)
    return reading.parsed if reading else None


def parse_keys(keys: Iterable[str]) -> dict[str, ParsedKey]:
    """Read all metric keys of one run, each in the light of the others.

    - XGBoost's ``validation_0`` is the training set when there is a ``validation_1``. (LightGBM calls it ``training``.)
    - Of several numbered sets the last is the validation set: boosting libraries stop early by that one, and it is the
      custom to name the training set first.
    - A bare ``accuracy`` beside a loss that says ``train`` and no bare loss is left out when no key names the
      validation accuracy: fastai logs that one so.
    - scikit-learn's autologging counts the calls of a metric, whatever their data: ``accuracy_score-2_X_test`` is read
      where no earlier call has this metric of this split.

    Parameters
    ----------
    keys : iterable of str

    Returns
    -------
    dict of str to ParsedKey
        Only the keys that are understood, in the order given.

    Examples
    --------
    >>> {k: p.split for k, p in parse_keys(["validation_0-auc", "validation_1-auc", "lr"]).items()}
    {'validation_0-auc': 'train', 'validation_1-auc': 'validation'}
    """
    keys = list(keys)
    readings = {key: reading for key in keys if (reading := _read(key))}
    readings |= _read_later_calls(keys, readings.values())
    numbered = {reading.numbered_set for reading in readings.values() if reading.numbered_set}
    first_is_train = ("validation", 1) in numbered
    last = dict(sorted(numbered))
    parsed = {}
    for key, reading in readings.items():
        if reading.is_bare and _is_unclear(reading, readings.values()):
            continue
        is_first = first_is_train and reading.numbered_set == ("validation", 0)
        if reading.numbered_set and not is_first and reading.numbered_set[1] < last[reading.numbered_set[0]]:
            continue
        parsed[key] = replace(reading.parsed, split="train") if is_first else reading.parsed
    return {key: parsed[key] for key in keys if key in parsed}


def spell_key(metric_name: str, split: Split, step_unit: StepUnit | None = None) -> str:
    """Spell a key as our own loggers do.

    `parse_key` reads it back, but for two things that a key cannot say without becoming unusual, and that the tags
    ``lossacc.loss`` and ``lossacc.step_unit`` say instead: ``log_loss`` is spelled, and comes back as, ``loss``; and
    of the step units only ``n_samples`` is spelled.

    Parameters
    ----------
    metric_name : str
        One of `METRICS`.
    split : {"train", "validation", "test"}
    step_unit : str, optional

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the metric is not known.

    Examples
    --------
    >>> spell_key("log_loss", "validation")
    'val_loss'
    >>> spell_key("root_mean_squared_error", "train", "n_samples")
    'train_rmse_by_n_samples'
    """
    if metric_name not in METRICS:
        raise InputError(f"unknown metric {metric_name!r}; known are {', '.join(METRICS)}.")
    prefix = SPLIT_PREFIXES[split]
    suffix = "_by_n_samples" if step_unit == "n_samples" else ""
    return f"{prefix}_{_SPELLED.get(metric_name, metric_name)}{suffix}"


def parse_override(text: str) -> tuple[str, ParsedKey]:
    """Read what a user says about a key, as in ``--key 'my_key=validation:log_loss'``.

    Parameters
    ----------
    text : str
        ``key=split:metric``; the split and the metric in any spelling that is known.

    Returns
    -------
    tuple of str and ParsedKey

    Raises
    ------
    InputError
        If the text is not of this form, or its split or its metric is not known.

    Examples
    --------
    >>> key, parsed = parse_override("my=key=val:error_rate")
    >>> key, parsed.metric.name, parsed.split, parsed.complement
    ('my=key', 'accuracy', 'validation', True)
    """
    key, equals, meaning = text.rpartition("=")
    split_text, colon, metric_text = meaning.partition(":")
    form = "write it as 'my_key=validation:log_loss'"
    if not (key.strip() and equals and colon):
        raise InputError(f"cannot read the key mapping {text!r}; {form}.")
    kind, split = _VOCABULARY.get(_words(split_text), ("noise", ""))
    if kind != "split":
        raise InputError(f"unknown split {split_text!r} in {text!r}; use train, validation or test: {form}.")
    found = find_metric(metric_text)
    if found is None:
        known = ", ".join(METRICS)
        raise InputError(f"unknown metric {metric_text!r} in {text!r}; known are {known}, error_rate: {form}.")
    metric, complement = found
    return key.strip(), ParsedKey(metric, cast("Split", split), None, complement)


def find_metric(text: str) -> tuple[Metric, bool] | None:
    """Find a metric by any spelling of its name alone.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple of Metric and bool, or None
        The metric, and whether the spelling is that of an error rate (metric = 1 - value).

    Examples
    --------
    >>> find_metric("brier")[0].name
    'brier_score_loss'
    >>> find_metric("focal:2") is None
    True
    """
    kind, name = _VOCABULARY.get(_words(text), ("noise", ""))
    return _metric(name) if kind == "metric" else None


def is_bookkeeping(key: str) -> bool:
    """Tell whether a key says nothing about how well the model does: ours, the machine's, or a step counter."""
    return key.startswith((OWN_PREFIX, "system/")) or key.lower() in AUXILIARY


def plainness(key: str) -> tuple[int, int, str]:
    """Sort key that puts the plainest of several spellings first: fewest words, then shortest."""
    return len(_words(key)), len(key), key


def _words(key: str) -> _Phrase:
    """Cut a key into lower-case words, at separators and at capitals; ``@`` is a word, as XGBoost's ``_at_``."""
    return tuple(_CAPITALS.sub(" ", _SEPARATORS.sub(" ", key.replace("@", " at "))).lower().split())


def _read(key: str) -> _Reading | None:
    if len(key) > _MAX_LENGTH or is_bookkeeping(key):
        return None
    words = _words(key)
    if words in _WHOLE:
        name, split = _WHOLE[words]
        return _Reading(ParsedKey(METRICS[name], cast("Split", split), None), is_bare=False, numbered_set=None)
    parts: dict[_Kind, tuple[str, _Phrase]] = {}
    numbered_set = None
    i = 0
    while i < len(words):
        phrase = _longest_phrase(words, i)
        if phrase is None:
            return None
        i += len(phrase)
        kind, meaning = _VOCABULARY[phrase]
        if kind != "noise" and parts.setdefault(kind, (meaning, phrase))[0] != meaning:
            return None
        if kind == "split" and meaning == "validation" and i < len(words) and words[i].isdecimal():
            numbered_set = (phrase[0], int(words[i]))
            i += 1
    return _interpret(key, parts, numbered_set)


def _read_later_calls(keys: Iterable[str], others: Iterable[_Reading]) -> dict[str, _Reading]:
    """Read keys such as ``accuracy_score-2_X_test``, the earliest call of each metric and split."""
    known = {(reading.parsed.metric.name, reading.parsed.split) for reading in others}
    calls = sorted(
        (int(found[2]), key, f"{found[1]}_{found[3]}") for key in keys if (found := _LATER_CALL.fullmatch(key))
    )
    later = {}
    for _, key, plain in calls:
        reading = _read(plain)
        if reading is not None and (place := (reading.parsed.metric.name, reading.parsed.split)) not in known:
            later[key] = reading
            known.add(place)
    return later


def _metric(name: str) -> tuple[Metric, bool]:
    """Return a metric, and whether the name is that of its complement."""
    return (METRICS["accuracy"], True) if name == "error_rate" else (METRICS[name], False)


def _longest_phrase(words: _Phrase, start: int) -> _Phrase | None:
    for length in range(min(_LONGEST, len(words) - start), 0, -1):
        if (phrase := words[start : start + length]) in _VOCABULARY:
            return phrase
    return None


def _interpret(
    key: str, parts: Mapping[_Kind, tuple[str, _Phrase]], numbered_set: tuple[str, int] | None
) -> _Reading | None:
    if "metric" not in parts:
        return None
    name, phrase = parts["metric"]
    is_bare = "split" not in parts
    if is_bare and phrase not in _BARE_PHRASES:
        return None
    split = "train" if is_bare else parts["split"][0]
    step_unit = parts["step_unit"][0] if "step_unit" in parts else None
    if step_unit is None and (phrase in _BOOSTING_PHRASES or key.rpartition("-")[2].lower() in _BOOSTING_HYPHENED):
        step_unit = "iteration"
    metric, complement = _metric(name)
    parsed = ParsedKey(metric, cast("Split", split), cast("StepUnit | None", step_unit), complement)
    return _Reading(parsed, is_bare, numbered_set)


def _is_unclear(reading: _Reading, others: Iterable[_Reading]) -> bool:
    """Tell whether a bare key could as well be the validation's."""
    losses = [other for other in others if other.parsed.metric.name in {"loss", "log_loss"}]
    name = reading.parsed.metric.name
    return (
        any(other.parsed.split == "train" and not other.is_bare for other in losses)
        and not any(other.is_bare for other in losses)
        and not any(other.parsed.metric.name == name and other.parsed.split == "validation" for other in others)
    )
