"""Rules with thresholds of one's own, and which of them are listed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from math import inf, isfinite, nan
from typing import Any, TypeVar

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.rules.base import Question
from lossacc_mlflow.wording import did_you_mean, quote

__all__ = ["configure", "select_codes", "thresholds_of"]

_ALL = "ALL"
_AnyQuestion = TypeVar("_AnyQuestion", bound=Question)


def thresholds_of(rule: Question) -> dict[str, float]:
    """Return the thresholds of a rule by name, without those of the rules that it asks in turn.

    Parameters
    ----------
    rule : Question

    Returns
    -------
    dict of str to int or float
    """
    return {f.name: getattr(rule, f.name) for f in fields(rule) if not isinstance(getattr(rule, f.name), Question)}


def configure(
    rules: Iterable[_AnyQuestion], thresholds: Mapping[str, Mapping[str, object]]
) -> tuple[_AnyQuestion, ...]:
    """Set thresholds of rules, also where one rule asks another.

    Parameters
    ----------
    rules : iterable of Question
        Such as ``RULES`` or ``COMPARISON_RULES``.
    thresholds : mapping of str to mapping of str to int or float
        Values by name, by code of the rule. Codes that no rule has are passed over, so that one mapping serves the
        rules of one run and those across runs.

    Returns
    -------
    tuple of Question
        In order. A rule that one of them asks is the one of its class in `rules`, configured in the same way.

    Raises
    ------
    InputError
        If a rule has no such threshold, or the value is no number that it can take.

    Examples
    --------
    >>> from lossacc_mlflow.rules import RULES
    >>> rules = {rule.code: rule for rule in configure(RULES, {"TRN003": {"min_gain": 0.1}})}
    >>> rules["TRN003"].min_gain, rules["FIT001"].not_learning.min_gain
    (0.1, 0.1)
    """
    given = tuple(rules)
    by_class: dict[type[Question], Question] = {type(rule): rule for rule in given}
    return tuple(_configured(rule, thresholds, by_class) for rule in given)


def select_codes(codes: Iterable[str], select: Sequence[str] | None = None, ignore: Sequence[str] = ()) -> list[str]:
    """Choose codes by their first letters; where two disagree, the longer one decides.

    Parameters
    ----------
    codes : iterable of str
        To choose from.
    select : sequence of str, optional
        First letters of the codes to take, or ``ALL``, which is the default.
    ignore : sequence of str
        First letters of the codes to leave out.

    Returns
    -------
    list of str
        In the order of `codes`.

    Examples
    --------
    >>> select_codes(["FIT001", "FIT002", "TRN001"], ["FIT"], ["FIT002"])
    ['FIT001']
    >>> select_codes(["FIT001", "FIT002", "TRN001"], ["FIT001", "TRN"], ["FIT"])
    ['FIT001', 'TRN001']
    """
    taken = (_ALL,) if select is None else select
    return [code for code in codes if _reach(code, taken) > _reach(code, ignore)]


def _configured(
    rule: _AnyQuestion,
    thresholds: Mapping[str, Mapping[str, object]],
    by_class: Mapping[type[Question], Question],
) -> _AnyQuestion:
    changes: dict[str, Any] = {name: _checked(rule, name, v) for name, v in thresholds.get(rule.code, {}).items()}
    for field in fields(rule):
        asked = getattr(rule, field.name)
        if isinstance(asked, Question):
            changes[field.name] = _configured(by_class.get(type(asked), asked), thresholds, by_class)
    return replace(rule, **changes)


def _checked(rule: Question, name: str, value: object) -> float:
    """Return a value that the threshold can take: an integer where it counts, else a finite number."""
    known = thresholds_of(rule)
    if name not in known:
        hint = did_you_mean(name, known)
        raise InputError(f"rules.{rule.code}: there is no threshold {quote(name)}; there is {', '.join(known)}.{hint}")
    counts = next(f for f in fields(rule) if f.name == name).type is int
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else nan
    except OverflowError:
        number = inf
    if not (isfinite(number) and number >= 0) or (counts and not isinstance(value, int)):
        kind = "an integer" if counts else "a number"
        raise InputError(
            f"rules.{rule.code}.{name} is {quote(value)}; wanted is {kind} of at least 0, such as {known[name]:.4g}."
        )
    return int(number) if counts else number


def _reach(code: str, parts: Iterable[str]) -> int:
    """Length of the longest part that a code begins with, 0 for all of them, -1 without any."""
    return max((len(part) * (part != _ALL) for part in parts if part == _ALL or code.startswith(part)), default=-1)
