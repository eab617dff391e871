"""The look of figures: colours, fonts, and the one place where a figure is saved."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL = "#17375e"  # dark blue: what a figure is about, measured
REST = "#8b939c"  # grey: what it is compared with
FAINT = "#d5d9de"
BAND = "#e9ecef"
INK = "#222222"
FONTS = Path(__file__).parents[2] / "reports" / "fonts"
WIDTH = 6.4  # inches, the text width of the page


def use() -> None:
    """Set the project's look for all figures that follow; call it once, in the setup cell."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib import font_manager

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
            "axes.edgecolor": REST,
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
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "exhibit",  # same figure, same bytes
            "svg.fonttype": "path",
        }
    )


def to_svg(figure: Figure) -> str:
    """Return a figure as the address of an embedded SVG picture, and close it."""
    from matplotlib import pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
