"""Text in pictures: numbers for people, and names that are safe to draw."""

import unicodedata
from functools import cache
from typing import Any, Final

from matplotlib import font_manager

__all__ = ["clean", "typeface"]

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
    """Return the character, a space for a control or layout character, or □ if no font has it or it means nothing."""
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}:
        return " "
    if category in {"Cn", "Co"}:
        return "□"  # fonts have glyphs for some of them, of which nobody knows what they mean
    return character if any(ord(character) in _glyphs_of(name) for name in _families()) else "□"
