"""Figures as people report them: rounded, in percent or as a fraction."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import ReportedFigures
from lossacc_mlflow.wording import percent, quote

__all__ = ["least_n", "read_figures", "right_counts"]

_EXAMPLE = "write accuracy and loss such as 98.1%/0.1882 or 0.981/0.1882, with a name in front such as net=98.1%/0.1882"
_LARGEST = 1e300


def read_figures(texts: Sequence[str]) -> tuple[ReportedFigures, ...]:
    """Read accuracies and losses.

    Parameters
    ----------
    texts : sequence of str
        ``98.1%/0.1882`` or ``0.981/0.1882``, each with a name in front (``net=98.1%/0.1882``) or without. Without one
        the name is the place, from 1.

    Returns
    -------
    tuple of ReportedFigures
        A figure with d decimals stands for all that round to it: the interval of half a unit of its last decimal to
        either side.

    Raises
    ------
    InputError
        If a text is no such pair, an accuracy lies outside [0, 1], a loss is negative or not finite, or a name occurs
        twice.

    Examples
    --------
    >>> figures = read_figures(["98.1%/0.1882"])[0]
    >>> figures.accuracy, figures.accuracy_interval, figures.loss_interval
    (0.981, (0.9805, 0.9815), (0.18815, 0.18825))
    """
    if not texts:
        raise InputError(f"no figures: {_EXAMPLE}.")
    figures = tuple(_read(text, str(i)) for i, text in enumerate(texts, start=1))
    names = [f.name for f in figures]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two of the figures are named {quote(twice)}: give each a name of its own.")
    return figures


def _read(text: str, place: str) -> ReportedFigures:
    name, named, pair = text.rpartition("=")
    accuracy_text, slash, loss_text = pair.partition("/")
    if not slash or (named and not name.strip()):
        raise InputError(f"{quote(text)} is no pair of figures: {_EXAMPLE}.")
    in_percent = accuracy_text.rstrip().endswith("%")
    accuracy = _decimal(accuracy_text.replace("%", "", 1) if in_percent else accuracy_text, "accuracy", text)
    loss = _decimal(loss_text, "loss", text)
    if loss < 0:
        raise InputError(
            f"the loss {loss} of {quote(text)} is negative, which no loss here is: scikit-learn's 'neg_...' scores and "
            "log likelihoods have the sign turned round."
        )
    if loss > _LARGEST:
        raise InputError(f"the loss of {quote(text)} is too large to be one.")
    unit = Decimal(100) if in_percent else Decimal(1)
    if not 0 <= accuracy <= unit:
        why = "above 100 %" if accuracy > 0 and in_percent else "above 1" if accuracy > 0 else "negative"
        what = f"write {accuracy}% if it is in percent" if why == "above 1" and accuracy <= 100 else "check it"
        raise InputError(f"the accuracy {accuracy_text.strip()} of {quote(text)} is {why}: {what}.")
    half = _half_a_unit(accuracy) / unit
    accuracy = accuracy / unit
    decimals = max(0, -int(half.as_tuple().exponent) - 3)
    return ReportedFigures(
        name=name.strip() or place,
        accuracy=float(accuracy),
        loss=float(loss),
        accuracy_interval=(float(max(accuracy - half, Decimal(0))), float(min(accuracy + half, Decimal(1)))),
        loss_interval=(float(max(loss - _half_a_unit(loss), Decimal(0))), float(loss + _half_a_unit(loss))),
        accuracy_text=percent(float(accuracy), decimals),
        loss_text=loss_text.strip(),
    )


def _decimal(text: str, what: str, whole: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        hint = " (decimals need a point)" if "," in text else ""
        raise InputError(f"{quote(text.strip())} in {quote(whole)} is no number{hint}: {_EXAMPLE}.") from None
    if not value.is_finite():
        raise InputError(f"the {what} of {quote(whole)} is not finite: nothing follows from it.")
    return value


def _half_a_unit(value: Decimal) -> Decimal:
    """Half a unit of the last decimal that was written."""
    return Decimal((0, (5,), int(value.as_tuple().exponent) - 1))


def right_counts(accuracy: tuple[float, float], n: int) -> tuple[int, int] | None:
    """Count how many of n samples can be right.

    Parameters
    ----------
    accuracy : tuple of (low, high)
    n : int

    Returns
    -------
    tuple of (int, int) or None
        None where no number of them has such an accuracy.

    Examples
    --------
    >>> right_counts((0.9905, 0.9915), 1000), right_counts((0.9905, 0.9915), 100)
    ((991, 991), None)
    """
    low, high = (Fraction(repr(a)) * n for a in accuracy)
    counts = ceil(low), floor(high)
    return counts if counts[0] <= counts[1] else None


def least_n(accuracy: tuple[float, float]) -> int:
    """Find the least number of samples of which some share lies in an interval.

    Parameters
    ----------
    accuracy : tuple of (low, high)

    Returns
    -------
    int

    Examples
    --------
    >>> least_n((0.9905, 0.9915)), least_n((0.995, 1.0))
    (106, 1)
    """
    low, high = (Fraction(repr(a)) for a in accuracy)
    return _simplest(low, high).denominator


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator in a closed interval (by continued fractions)."""
    whole = ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = floor(low)
    return below + 1 / _simplest(1 / (high - below), 1 / (low - below))
