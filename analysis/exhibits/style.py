"""The look of figures: colours, fonts, and the one place where a figure is saved.

A simulated market has a look of its own, so that no page, cut-out or slide can be taken for the real one:
purple instead of dark blue, dashed lines, hatched bars, and a pale SIMULATED across every plot. Charts ask
for colours with :func:`look` when they draw; what they cannot forget is put there by :func:`to_svg`.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import DesignError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#222222"
FONTS = Path(__file__).parents[2] / "reports" / "fonts"
WIDTH = 6.4  # inches, the text width of the page
STAMP = "SIMULATED"
HATCH = "////"
MONEY = re.compile(r"(?<!sim-)(?:US\$|USD\b|US dollars?\b|\$(?!\w))")
MATHS = re.compile(r"\$[^$]+\$")


@dataclass(frozen=True)
class Look:
    """Colours of what is drawn, by the kind of its numbers.

    Attributes
    ----------
    provenance : {"real", "estimate", "simulated"}
        Kind of the numbers in the exhibits that follow, where they do not name another.
    main : str
        What a figure is about.
    rest : str
        What it is compared with.
    faint, band : str
        Leaders and inner bands; margins and outer bands.
    line : str
        Style of lines.
    market : str
        The simulated market, such as ``"mid_3k, seed 1"``; empty where none was named.
    """

    provenance: str
    main: str = "#17375e"  # dark blue
    rest: str = "#8b939c"  # grey
    faint: str = "#d5d9de"
    band: str = "#e9ecef"
    line: str = "-"
    market: str = ""

    @property
    def simulated(self) -> bool:
        """Whether the numbers come from a simulated market."""
        return self.provenance == "simulated"


LOOKS = {
    "real": Look("real"),
    "estimate": Look("estimate"),
    "simulated": Look("simulated", main="#6a3d9a", rest="#7a6f8f", faint="#d9cfe6", band="#efe9f5", line="--"),
}
_chosen = {"look": LOOKS["real"]}


def look() -> Look:
    """Return the look that :func:`use` has set: real, unless another was chosen."""
    return _chosen["look"]


def kind(named: str = "") -> str:
    """Return the kind of numbers that are named so, or not named: that of the look.

    What is estimated from a simulated market is simulated; only "real" names real numbers in a simulated look.
    """
    return look().provenance if not named or (look().simulated and named != "real") else named


def use(provenance: str = "real", market: str = "") -> None:
    """Set the look, and the kind of numbers, of all exhibits that follow; call it in the setup cell.

    Parameters
    ----------
    provenance : {"real", "estimate", "simulated"}
        The kind of what is drawn. It is also the mark of tables and figures that name none.
    market : str
        What was simulated, for boxes that say "If the market were as simulated (...), then:".

    Raises
    ------
    DesignError
        For another kind.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib import font_manager

    if provenance not in LOOKS:
        raise DesignError(f"a look was asked for; its provenance is {provenance!r}; use one of {', '.join(LOOKS)}")
    _chosen["look"] = replace(LOOKS[provenance], market=market)
    for file in sorted(FONTS.glob("*.otf")):
        font_manager.fontManager.addfont(str(file))
    sns.set_theme(style="ticks", context="paper")
    mpl.rcParams.update(
        {
            "font.family": ["Noto Sans CJK SC", "DejaVu Sans"],
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 8,
            "axes.labelcolor": INK,
            "axes.edgecolor": look().rest,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.labelsize": 7.5,
            "ytick.labelsize": 7.5,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.major.size": 3,
            "ytick.major.size": 3,
            "text.color": INK,
            "lines.linewidth": 1.6,
            "lines.linestyle": look().line,
            "hatch.color": "white",
            "hatch.linewidth": 0.6,
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "exhibit",  # same figure, same bytes
            "svg.fonttype": "path",
        }
    )


def to_svg(figure: Figure) -> str:
    """Return a figure as the address of an embedded SVG picture, and close it.

    Where the look is simulated, bars are hatched and each plot gets its stamp here.

    Raises
    ------
    DesignError
        If it was drawn in the colours of another look than the one it is saved in, or, where it is simulated,
        an axis names a real currency.
    """
    from matplotlib import pyplot as plt

    if look().simulated:
        for axes in figure.axes:
            refuse_money(axes.get_xlabel(), axes.get_ylabel())
            if axes.get_label() != "<colorbar>":  # it lies beside its plot, which has the stamp
                _stamp(axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    _refuse_colours(buffer.getvalue())
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _stamp(axes: Axes) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patheffects import withStroke

    for container in axes.containers:
        for bar in getattr(container, "patches", ()):
            bar.set_hatch(HATCH)
    width = axes.get_window_extent().width / axes.figure.dpi * 72  # points
    axes.text(
        0.5,
        0.5,
        STAMP,
        transform=axes.transAxes,
        ha="center",
        va="center",
        rotation=20,
        fontsize=min(20, width / 8),  # eight times as wide as its type is high
        weight="bold",
        color=to_rgba(look().main, 0.13),
        path_effects=[withStroke(linewidth=1, foreground=to_rgba("white", 0.4))],  # seen on bands too
        zorder=1.4,  # over bands and fields, which would hide it, and under lines and points, which it would hide
        in_layout=False,
    ).set_gid("simulated")


def refuse_money(*labels: str) -> None:
    """Raise `DesignError` if the label of an axis or a column of simulated numbers names a real currency."""
    for label in labels:
        if found := MONEY.search(MATHS.sub("", label)):
            raise DesignError(
                f"a simulated exhibit was asked for; {label!r} says {found[0]!r}; write the unit of the panel, sim-$"
            )


def _refuse_colours(svg: bytes) -> None:
    for other in LOOKS.values():
        if other.main != look().main and other.main.encode() in svg:
            raise DesignError(
                f"a figure in the look {look().provenance!r} was asked for; it was drawn in {other.main}, the colour "
                f"of {other.provenance!r}; draw it after exhibits.use({look().provenance!r}), with the colours of "
                "exhibits.look()"
            )
