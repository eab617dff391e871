"""Figure style, and conversion of figures to SVG.

A figure of a simulated market cannot be mistaken for one of the real market, even if it is cut out:
it is purple instead of dark blue, and the title inside the picture begins with "Simulated". No mark
covers the data. Lines and fonts are set in ``reports/figures.mplstyle``.
"""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fewtreated.errors import DesignError

from analysis.exhibits.fonts import FONTS, LAYOUT, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#222222"
# main group, the closed firms if there are any; its comparison
MAIN = "C0"
REST = "C1"
# leader lines and inner bands; margins and outer bands
FAINT = "C2"
BAND = "C3"
KINDS = ("real", "estimate", "simulated")
PALETTE = dict.fromkeys(KINDS, ("#17375e", "#656e78", "#b9c1cb", "#dfe4e9"))
PALETTE["simulated"] = ("#6a3d9a", "#7b7190", "#c6b8da", "#e7dff1")
"""Colours C0 to C3 by kind of numbers, distinct in grey and for colour-blind readers; text uses the
first two.
"""
FAMILY = "Noto Sans CJK SC"
LETTERS = frozenset(map(chr, range(32, 127))) | frozenset("“”‘’–−…×≥≤")
# inches: the text width of the page, and of a figure beside the answer
WIDTH = 6.4
BESIDE = 3.65


@dataclass
class Look:
    """Settings for all subsequent exhibits: kind of numbers, source, and folder of the report."""

    provenance: str = ""
    source: Any = ""
    folder: str = ""

    @property
    def simulated(self) -> bool:
        """True if the numbers come from a simulated market."""
        return self.provenance == "simulated"


LOOK = Look()


def use(provenance: str = "real", source: Any = "", *, folder: str = "") -> None:
    """Set the style and the kind of numbers for all subsequent exhibits.

    Call this function in the set-up cell of a notebook.

    Parameters
    ----------
    provenance : {"real", "estimate", "simulated"}
        Kind of numbers; the default mark of tables and figures.
    source : str or DataFrame
        Default source of exhibits, such as the file of the panel.
    folder : str
        Folder of the report in a release, if its event has one.

    Raises
    ------
    DesignError
        If the kind is unknown.
    """
    import matplotlib.style
    from cycler import cycler
    from matplotlib import font_manager

    if provenance not in KINDS:
        raise DesignError(
            f"Cannot set the style: the provenance is {provenance!r}; choose one of"
            f" {', '.join(KINDS)}"
        )
    LOOK.provenance = provenance
    LOOK.source = source
    LOOK.folder = folder
    for file in sorted(LAYOUT.glob("fonts/*.otf")):
        font_manager.fontManager.addfont(str(file))
    look = {"axes.prop_cycle": cycler(color=PALETTE[provenance])}
    matplotlib.style.use(["default", LAYOUT / "figures.mplstyle", look])


def kind_of_numbers(named: str = "") -> str:
    """Return the given kind of numbers, or by default the kind set in the style.

    Raises DesignError if there is neither. Estimates from a simulated market are simulated; in a
    simulated style only "real" marks real numbers.
    """
    if not (named or LOOK.provenance):
        problem = f"Cannot show an exhibit: the kind of its numbers is not set ({', '.join(KINDS)})"
        raise DesignError(f"{problem}; call style.use first")
    if not named or (LOOK.simulated and named != "real"):
        return LOOK.provenance
    return named


def framed(figure: Figure, title: str) -> None:
    """Write a title above a figure, and enlarge the figure to fit it."""
    from textwrap import wrap

    if over := wrap(title, int(16 * figure.get_figwidth())):
        figure.set_figheight(figure.get_figheight() + 0.16 * len(over))
        stamp: dict[str, Any] = {"color": MAIN, "gid": "simulated"} if LOOK.simulated else {}
        figure.suptitle("\n".join(over), fontsize=8.5, weight="bold", x=0.005, ha="left", **stamp)


def to_svg(figure: Figure, source: str = "", *, titled: bool = False) -> str:
    """Convert a figure to a data URL of an SVG image, and close it.

    The source is stored in the metadata of the image. If it is yet to be `titled`, it has the
    letters of a title in bold.
    """
    from matplotlib import pyplot as plt

    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a square replaces it below
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Source": source or None}
        )
    plt.close(figure)
    drawn = printable(buffer.getvalue())
    weights = [
        weight for weight in FONTS if titled or weight == 400 or f"font-weight: {weight}" in drawn
    ]
    faces = "".join(_face(weight, frozenset(drawn) | LETTERS) for weight in weights)
    drawn = drawn.replace("<defs>", f"<defs><style>{faces}</style>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode("ascii")


@lru_cache(maxsize=8)
def _face(weight: int, letters: frozenset[str]) -> str:
    """Return CSS that embeds one weight of the font, reduced to the given letters.

    With an embedded font, text has the same width in every browser.
    """
    from fontTools import subset

    options = subset.Options(hinting=False, notdef_outline=True, layout_features=["kern"])
    with (
        subset.load_font(str(LAYOUT / "fonts" / FONTS[weight]), options) as font,
        io.BytesIO() as file,
    ):
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=map(ord, letters))
        subsetter.subset(font)
        subset.save_font(font, file, options)
        data = base64.b64encode(file.getvalue()).decode("ascii")
    source = f"url(data:font/otf;base64,{data})"
    return f'@font-face{{font-family:"{FAMILY}";font-weight:{weight};src:{source}}}'
