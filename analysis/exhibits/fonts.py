"""Fonts of pages, and the characters that they cover."""

from __future__ import annotations

from functools import lru_cache

from analysis.provenance import ROOT
from analysis.untrusted import MISSING_SIGN, is_printable

LAYOUT = ROOT / "reports"
FONTS = {
    400: "NotoSansCJKsc-Regular-subset.otf",
    700: "NotoSansCJKsc-Bold-subset.otf",
}  # for all pages, by weight
TYPST = (
    *(
        (0xA0, 0x377),
        (0x391, 0x3A1),
        (0x3A3, 0x4FF),
        (0x1E00, 0x1EFF),
        (0x2010, 0x2027),
        (0x2030, 0x205E),
    ),
    *((0x2074, 0x208E), (0x20A0, 0x20C0), (0x2100, 0x214F), (0x2190, 0x23FF), (0x2460, 0x262F)),
)
"""Ranges of code points that typst's own fonts cover and ours do not."""


class _Signs(dict[int, str]):
    """Printed form of each character, by code point: the character itself, or a square."""

    def __missing__(self, code: int) -> str:
        there = code in _codes() or any(first <= code <= last for first, last in TYPST)
        if there and (chr(code) in "\n\t" or is_printable(chr(code))):
            self[code] = chr(code)
        else:
            self[code] = MISSING_SIGN
        return self[code]


_SIGNS = _Signs()


@lru_cache(maxsize=1)
def _codes() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(LAYOUT / "fonts" / FONTS[400], lazy=True) as font:
        return frozenset({10, 9, *font.getBestCmap()})


def printable(text: str) -> str:
    """Replace each character that cannot be printed, such as an emoji, with a square.

    Such characters are invisible, or in none of the page's fonts.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_SIGNS)
