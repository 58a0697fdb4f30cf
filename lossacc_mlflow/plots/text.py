"""Text in pictures: numbers for people, and names that are safe to draw."""

import math
import unicodedata
from functools import cache
from typing import Any, Final

from matplotlib import font_manager

__all__ = ["clean", "number", "percent", "signed", "typeface"]

# DejaVu Sans comes with matplotlib; the others are looked up only for the scripts that it lacks.
_FALLBACK_FONTS: Final = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Droid Sans Fallback",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "Hiragino Sans",
    "PingFang SC",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)


def clean(name: str, limit: int = 60) -> str:
    r"""Make a name from a run safe to draw: one line, no control characters, at most ``limit`` characters.

    Examples
    --------
    >>> clean("a\nb\x00 $x^2$", 6)
    'a b $…'
    """
    # Cut first: a name may be megabytes long.
    text = "".join(_drawable(c) for c in name[: 8 * limit])
    text = " ".join(text.split())
    cut = len(name) > 8 * limit or len(text) > limit
    return text[: limit - 1].rstrip() + "…" if cut else text


def number(value: float) -> str:
    """Write a number for people, with three significant digits.

    Examples
    --------
    >>> [number(x) for x in (0.25441, 0.09966, 12.345, 1234.5, 0.0000123, 0.0, float("inf"))]
    ['0.254', '0.0997', '12.3', '1,234', '1.2e-5', '0', 'inf']
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-4 or size >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size >= 100:
        return f"{value:,.0f}"
    digits = min(5, 2 - math.floor(math.log10(size) + 1e-9))
    return f"{value:.{digits}f}"


def signed(value: float) -> str:
    """Write a number with its sign.

    Examples
    --------
    >>> signed(0.0132), signed(-0.0132), signed(0.0)
    ('+0.0132', '-0.0132', '0')
    """
    return f"+{number(value)}" if value > 0 else number(value)


def percent(fraction: float) -> str:
    """Write a fraction as a percentage that rounds neither to 0 nor to 100 unless it is that.

    Examples
    --------
    >>> [percent(x) for x in (0.981, 0.99987, 1.0, 0.0, 0.72, 0.0004)]
    ['98.1 %', '99.987 %', '100 %', '0 %', '72 %', '0.04 %']
    """
    if not math.isfinite(fraction):
        return str(fraction)
    small = min(abs(fraction), abs(1 - fraction))
    if small < 1e-9:
        return f"{fraction:.0%}".replace("%", " %")
    digits = 1 if small >= 1e-3 else min(6, -math.floor(math.log10(small)) - 1)
    text = f"{100 * fraction:.{digits}f}".rstrip("0").rstrip(".")
    return f"{text} %"


def typeface(text: str, weight: str = "normal") -> dict[str, Any]:
    """Font properties that draw a text literally; fonts for other scripts have no bold."""
    if all(ord(c) in _glyphs_of("DejaVu Sans", "bold") for c in text if c != "\n"):
        return {"fontfamily": ["DejaVu Sans"], "fontweight": weight, "parse_math": False, "usetex": False}
    return {"fontfamily": list(_families()), "fontweight": "normal", "parse_math": False, "usetex": False}


@cache
def _families() -> tuple[str, ...]:
    """Font families by preference; matplotlib takes each glyph from the first that has it."""
    found = [name for name in _FALLBACK_FONTS if any(f.name == name for f in font_manager.fontManager.ttflist)]
    return ("DejaVu Sans", *found)


@cache
def _glyphs_of(family: str, weight: str = "normal") -> frozenset[int]:
    """Code points that a font can draw."""
    path = font_manager.findfont(font_manager.FontProperties(family=[family], weight=weight))
    return frozenset(font_manager.get_font(path).get_charmap())


def _drawable(character: str) -> str:
    """Return the character, a space for a control or layout character, or □ if no font has it."""
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}:
        return " "
    return character if any(ord(character) in _glyphs_of(name) for name in _families()) else "□"
