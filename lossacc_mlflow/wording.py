"""How numbers look to a person, in messages, pictures and pages alike; and what somebody else wrote, in messages."""

from collections.abc import Iterable
from difflib import get_close_matches
from math import isfinite, isinf, isnan
from urllib.parse import urlsplit, urlunsplit

__all__ = [
    "NOT_KNOWN",
    "did_you_mean",
    "number",
    "p_value",
    "percent",
    "quote",
    "signed",
    "step_word",
    "without_password",
]

NOT_KNOWN = "n/a"


def number(value: float | None) -> str:
    """Write a number with three significant digits.

    Examples
    --------
    >>> [number(v) for v in (0.25441, 12.345, 1234.5, 0.000012, 7, -0.0, float("-inf"), float("nan"), None)]
    ['0.254', '12.3', '1,234', '1.2e-5', '7', '0', '-inf', 'n/a', 'n/a']
    """
    if value is None or isnan(value):
        return NOT_KNOWN
    if isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if value == int(value) or size >= 99.95:
        return f"{value + 0.0:,.0f}"  # a zero has no sign
    return f"{value:#.3g}" if size >= 1e-3 else f"{value:#.2g}"


def p_value(value: float | None) -> str:
    """Write a p value with its sign: below 0.001 nobody needs the number, and 0 it never is.

    Examples
    --------
    >>> p_value(0.2171), p_value(0.001), p_value(3.2e-7), p_value(0.0), p_value(float("nan"))
    ('p = 0.22', 'p = 0.001', 'p < 0.001', 'p < 0.001', 'p n/a')
    """
    if value is None or isnan(value):
        return f"p {NOT_KNOWN}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def percent(fraction: float | None, digits: int = 1, *, zeros: bool = True) -> str:
    """Write a fraction as a percentage that rounds neither to none nor to all what is not.

    Parameters
    ----------
    fraction : float or None
    digits : int
        Decimals; more where fewer would say 0 % or 100 %.
    zeros : bool
        Whether to keep zeros at the end; on an axis they are in the way.

    Examples
    --------
    >>> [percent(v) for v in (0.98123, 1.0, 0.99987, 0.0004, 0.0, -0.02, 0.72, None)]
    ['98.1 %', '100 %', '99.99 %', '0.04 %', '0 %', '-2.0 %', '72.0 %', 'n/a']
    >>> percent(0.726, 0), percent(0.72, zeros=False), percent(-1.0)
    ('73 %', '72 %', '-100 %')
    """
    if fraction is None or not isfinite(fraction):
        return number(fraction)
    if min(abs(fraction), abs(1 - abs(fraction))) < 1e-9:
        return f"{100 * fraction:.0f} %".replace("-0 %", "0 %")
    while digits < 7 and abs(round(100 * fraction, digits)) in {0.0, 100.0}:
        digits += 1
    text = f"{100 * fraction:,.{digits}f}"
    return f"{text if zeros or '.' not in text else text.rstrip('0').rstrip('.')} %"


def signed(value: float) -> str:
    """Write a number with its sign.

    Examples
    --------
    >>> signed(0.0132), signed(-0.0132), signed(0.0)
    ('+0.0132', '-0.0132', '0')
    """
    return f"+{number(value)}" if value > 0 else number(value)


def step_word(step_unit: str) -> str:
    """Say what one step is called in a sentence.

    Examples
    --------
    >>> step_word("epoch"), step_word("global_step")
    ('epoch', 'step')
    """
    return "step" if step_unit == "global_step" else step_unit


def quote(value: object) -> str:
    r"""Write a value of somebody else's on one line, cut where it is long.

    Examples
    --------
    >>> quote("net\n"), quote([1, 2]), len(quote("x" * 300))
    ("'net\\n'", '[1, 2]', 60)
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Write what a misspelt name may have meant, as a sentence to append; nothing where none is near.

    Examples
    --------
    >>> did_you_mean("max_raise", ["max_rise", "z"]), did_you_mean("fit001", ["FIT001"]), did_you_mean("?", ["z"])
    (" Did you mean 'max_rise'?", " Did you mean 'FIT001'?", '')
    """
    names = list(known)
    close = get_close_matches(name, names, n=1) or get_close_matches(name.upper(), names, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def without_password(uri: str) -> str:
    """Write a URI for a person to read.

    Examples
    --------
    >>> without_password("postgresql://me:secret@host:5432/mlflow"), without_password("sqlite:///mlflow.db")
    ('postgresql://me:***@host:5432/mlflow', 'sqlite:///mlflow.db')
    """
    try:
        parts = urlsplit(uri)
        if parts.password is None:
            return uri
        user = f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=user))
    except ValueError:
        return uri.partition(":")[0] + ":..."
