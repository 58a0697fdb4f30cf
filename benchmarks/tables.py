"""Markdown, and how figures look in it."""

from collections.abc import Iterable, Sequence

__all__ = ["duration", "interval", "plain", "share", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a markdown table; the first column is text, all others are aligned to the right.

    Examples
    --------
    >>> print(table(["judge", "F1"], [["ours", "1.0"]]))
    | judge | F1 |
    |---|---:|
    | ours | 1.0 |
    """
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = text[1].replace(" ", "")
    return "\n".join(text)


def plain(value: float, digits: int = 3) -> str:
    """Write a score without its leading zero; a dash for NaN.

    Examples
    --------
    >>> plain(0.934), plain(-0.02), plain(1.0), plain(float("nan"))
    ('.934', '-.020', '1.000', '-')
    """
    if value != value:  # noqa: PLR0124  (NaN is the one value that differs from itself)
        return "-"
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def interval(value: float, low_high: tuple[float, float], digits: int = 3) -> str:
    """Write a score with its interval.

    Examples
    --------
    >>> interval(0.934, (0.9, 0.96))
    '.934 [.900, .960]'
    """
    low, high = low_high
    return f"{plain(value, digits)} [{plain(low, digits)}, {plain(high, digits)}]"


def duration(value: float) -> str:
    """Write a time, or a difference of two.

    Examples
    --------
    >>> duration(0.0123), duration(-0.2), duration(12.345)
    ('12 ms', '-200 ms', '12.35 s')
    """
    return f"{1e3 * value:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"


def share(part: float, whole: float) -> str:
    """Write a count as a share of another.

    Examples
    --------
    >>> share(3, 931), share(0, 0)
    ('0.3 % (3 of 931)', '-')
    """
    return f"{100 * part / whole:.1f} % ({part:g} of {whole:g})" if whole else "-"
