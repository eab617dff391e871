"""Make the two font subsets of the reports from Debian's fonts-noto-cjk.

``python make.py FOLDER`` reads ``NotoSansCJK-Regular.ttc`` and ``NotoSansCJK-Bold.ttc``
in FOLDER and writes the subsets next to this file; README.md says where FOLDER comes
from. Same input and same fonttools, same bytes.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

SIMPLIFIED_CHINESE = 2  # index of the SC face inside the .ttc collections
EM = 1000
BEARING = 60  # white on each side of a narrowed symbol, in units of 1/1000 em
BIG_BEARING = 30  # arrows and filled shapes carry their own white
CIRCLES = {*map(ord, "●◐○◑◒◓")}  # marks of provenance: one width, so that numbers align before them
CIRCLE_WIDTH = 960

LATIN = [
    *range(0x20, 0x7F),  # Basic Latin
    *range(0xA0, 0x180),  # Latin-1, Latin Extended-A
    *range(0x370, 0x400),  # Greek
    *range(0x2010, 0x2028),  # dashes, quotes, daggers, bullet, ellipsis
    *map(ord, "‰′″‹›⁄"),
    *map(ord, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉"),
    *map(ord, "$¢£¥€№™"),
    *range(0x2190, 0x219A),  # arrows
    *map(ord, "⇐⇒⇔"),
    *map(ord, "−±×÷∓≤≥≪≫≈≃≡≠∈∉∞√∑∏∂∇∫∝∀∃∅∆∩∪⊂⊆∧∨"),
    *map(ord, "●◐○◑◒◓▲△▼▽■□◆◇★☆✓"),
]
CHINESE = [
    *map(ord, "　、。〈〉《》「」『』【】！（），：；？～"),
    *(
        ord(bytes([row + 160, cell + 160]).decode("gb2312"))
        for row in range(16, 55)
        for cell in range(1, 95)
    ),
    *(
        ord(bytes([55 + 160, cell + 160]).decode("gb2312")) for cell in range(1, 90)
    ),  # row 55 ends at 89
]
# In the Chinese face the ellipsis hangs at mid-height; without it the text font's own is taken.
LEFT_OUT = {ord("…"), ord("‥")}


def cut(source: Path, codepoints: list[int]) -> TTFont:
    """Open the SC face of a collection and keep the given code points."""
    options = subset.Options(
        font_number=SIMPLIFIED_CHINESE,
        layout_features=["kern", "liga", "ccmp", "mark"],
        hinting=False,
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14],
        name_languages=[0x409],
        notdef_outline=True,
        drop_tables=["DSIG", "BASE", "VORG", "vhea", "vmtx"],
    )
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=set(codepoints) - LEFT_OUT)
    subsetter.subset(font)
    return font


def narrow(font: TTFont) -> None:
    """Give symbols that stand in a full em their own width.

    A Chinese face sets quotes, ±, ×, ≤ and the like one em wide, which tears Latin
    text and columns of numbers apart.
    """
    glyphs = font.getGlyphSet()
    top = font["CFF "].cff.topDictIndex[0]
    for code, name in sorted(font.getBestCmap().items()):
        if code >= 0x3000 or font["hmtx"][name][0] != EM:
            continue
        bounds = BoundsPen(glyphs)
        glyphs[name].draw(bounds)
        if bounds.bounds is None:
            continue
        left, _, right, _ = bounds.bounds
        if 0x2190 <= code < 0x2200 or code >= 0x25A0:
            bearing = BIG_BEARING
        else:
            bearing = BEARING
        if code in CIRCLES:
            width = CIRCLE_WIDTH
        else:
            width = round(right - left) + 2 * bearing
        shift = round((width - right - left) / 2)
        private = top.FDArray[top.FDSelect[font.getGlyphID(name)]].Private
        pen = T2CharStringPen(width - private.nominalWidthX, glyphs)
        glyphs[name].draw(TransformPen(pen, (1, 0, 0, 1, shift, 0)))
        top.CharStrings[name] = pen.getCharString(private, top.GlobalSubrs)
        font["hmtx"][name] = (width, round(left) + shift)


def main(folder: Path) -> None:
    """Write both subsets beside this file."""
    here = Path(__file__).parent
    for weight, codepoints in (("Regular", LATIN + CHINESE), ("Bold", LATIN)):
        font = cut(folder / f"NotoSansCJK-{weight}.ttc", codepoints)
        narrow(font)
        font.recalcTimestamp = False
        font.save(here / f"NotoSansCJKsc-{weight}-subset.otf")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
