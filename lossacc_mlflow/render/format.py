"""How numbers, steps and foreign text look to a person: the one place where that is decided."""

import re
from math import inf, isfinite, isnan

from lossacc_mlflow.records import Evidence
from lossacc_mlflow.wording import NOT_KNOWN, number, percent

__all__ = [
    "evidence_threshold",
    "evidence_value",
    "interval",
    "metric_words",
    "one_line",
    "quantity",
    "score",
    "sentence",
    "shorten",
    "signed",
    "step_words",
    "temperature_words",
]

_STEP_WORDS = {
    "epoch": "epoch {}",
    "iteration": "iteration {}",
    "n_estimators": "{} estimators",
    "n_samples": "{} samples",
    "global_step": "step {}",
}
_FRACTION_METRICS = frozenset({"accuracy", "balanced_accuracy", "top_k_accuracy", "f1", "precision", "recall"})
_METRIC_WORDS = {
    "mean_squared_error": "MSE",
    "root_mean_squared_error": "RMSE",
    "mean_absolute_error": "MAE",
    "r2": "R²",
    "roc_auc": "ROC AUC",
    "f1": "F1",
}
_STEPS_COUNTED = {
    "epoch": "epochs",
    "iteration": "iterations",
    "n_estimators": "estimators",
    "n_samples": "samples",
    "global_step": "steps",
}


def signed(value: float | None, unit: str = "") -> str:
    """Write a difference with its sign.

    Examples
    --------
    >>> signed(0.0667, "nats"), signed(-0.02, "fraction"), signed(0.0)
    ('+0.0667 nats', '-2.0 %', '0')
    """
    text = quantity(value, unit)
    return f"+{text}" if value is not None and isfinite(value) and value > 0 else text


def quantity(value: float | None, unit: str = "") -> str:
    """Write a number with its unit.

    Examples
    --------
    >>> quantity(0.12, "fraction"), quantity(0.5, "nats"), quantity(3.0, "samples"), quantity(float("nan"), "nats")
    ('12.0 %', '0.500 nats', '3 samples', 'n/a')
    """
    if unit == "fraction":
        return percent(value)
    text = number(value)
    return text if not unit or text == NOT_KNOWN else f"{text} {unit}"


def evidence_value(evidence: Evidence) -> str:
    """Write the number that a rule saw; here a NaN is what was measured, and not a gap."""
    return "nan" if isnan(evidence.value) else _evidence_number(evidence, evidence.value)


def evidence_threshold(evidence: Evidence) -> str:
    """Write the threshold of a number, empty where it was shown and not judged."""
    return "" if evidence.threshold is None else _evidence_number(evidence, evidence.threshold)


def _evidence_number(evidence: Evidence, value: float) -> str:
    """Write a value in the unit of the evidence; steps are a number of them where the name says so, else a place."""
    if evidence.unit not in _STEP_WORDS:
        return one_line(quantity(value, evidence.unit))
    if evidence.name.startswith("steps"):
        return f"{number(value)} {_STEPS_COUNTED[evidence.unit]}"
    return step_words(value, evidence.unit)


def score(metric: str, *values: float | None) -> tuple[str, ...]:
    """Write logged values of one metric alike: accuracies in percent, if they are fractions at all.

    A NaN is what was logged, and not a gap.

    Examples
    --------
    >>> score("accuracy", 0.5, 0.981), score("accuracy", 50.0, 98.1), score("log_loss", 0.188, float("nan"))
    (('50.0 %', '98.1 %'), ('50', '98.1'), ('0.188', 'nan'))
    """
    fractions = all(v is None or not isfinite(v) or 0 <= v <= 1 for v in values)
    write = percent if metric in _FRACTION_METRICS and fractions else number
    return tuple("nan" if v is not None and isnan(v) else write(v) for v in values)


def interval(low: float, high: float, unit: str = "") -> str:
    """Write a closed interval, ``n/a`` where it is empty.

    Examples
    --------
    >>> interval(0.1, 0.57, "fraction"), interval(0.5, float("inf"), "nats"), interval(float("nan"), 1.0)
    ('10.0 % to 57.0 %', 'at least 0.500 nats', 'n/a')
    """
    if isnan(low) or isnan(high):
        return NOT_KNOWN
    if high == inf:
        return f"at least {quantity(low, unit)}"
    start = percent(low) if unit == "fraction" else number(low)
    end = quantity(high, unit)
    return end if start == number(high) or start == end else f"{start} to {end}"


def step_words(step: float | None, unit: str | None = None) -> str:
    """Write where on the axis of a curve something is.

    Examples
    --------
    >>> step_words(12, "epoch"), step_words(1500, "n_samples"), step_words(3, None), step_words(None, "epoch")
    ('epoch 12', '1,500 samples', 'step 3', 'n/a')
    """
    if step is None or not isfinite(step):
        return NOT_KNOWN
    return _STEP_WORDS.get(unit or "", "step {}").format(f"{step:,.0f}")


def temperature_words(temperature: float) -> str:
    """Say what a best temperature means.

    Examples
    --------
    >>> [temperature_words(t) for t in (1.8, 0.7, 1.001)]
    ['over-confident', 'under-confident', 'its confidence fits']
    """
    if abs(temperature - 1) < 0.005:
        return "its confidence fits"
    return "over-confident" if temperature > 1 else "under-confident"


def metric_words(metric: str) -> str:
    """Name a metric in a table.

    Examples
    --------
    >>> metric_words("log_loss"), metric_words("r2")
    ('log loss', 'R²')
    """
    return _METRIC_WORDS.get(metric, one_line(metric).replace("_", " "))


def one_line(text: str) -> str:
    r"""Bring foreign text onto one line without characters that a terminal or a reader would take for something else.

    Line breaks, escape sequences, text-direction overrides and lone surrogates become spaces.

    Examples
    --------
    >>> one_line("evil\x1b[31m\n  run\u202e")
    'evil [31m run'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shorten(text: str, limit: int = 80) -> str:
    """Bring foreign text onto one line of at most ``limit`` characters.

    Examples
    --------
    >>> shorten("abcdefgh", 5)
    'abcd…'
    """
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def sentence(text: str, limit: int = 2000) -> str:
    r"""Bring a sentence onto one line in which no number is parted from its percent sign.

    Examples
    --------
    >>> sentence("from 95.1 % to 96 %")
    'from 95.1\xa0% to 96\xa0%'
    """
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", shorten(text, limit))
