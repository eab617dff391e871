"""Plot an event study with the intervals of single periods and of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fewtreated.display import intervals
from fewtreated.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__dir__ = ["event_study"].copy  # for tab completion


def event_study(study: Estimate, reference: int, *, ax: Axes | None = None) -> Axes:
    """Draw effects by period since treatment with two intervals each, and the reference period.

    Thick lines are the intervals of single periods, thin ones the joint band of all. The hollow
    point at zero is the reference, from which changes are counted.
    """
    axes = intervals(
        study.rows,
        title=study.estimand,
        unit=study.unit,
        xlabel="periods since treatment",
        reason=study.reason,
        ax=ax,
    )
    known = study.std_error > 0
    if known.any():
        single, points = axes.collections[-2:]
        single.set(linewidth=3, alpha=0.5, label=f"{study.level:.0%} interval of one period")
        points.set(sizes=[20], zorder=4)
        number = [int(term) for term in study.terms]
        axes.vlines(
            number, *study.sup_t_band(), lw=1, label=f"{study.level:.0%} band of all periods"
        )
        look: Any = {"facecolors": "white", "edgecolors": "C0", "s": 20, "zorder": 4}
        axes.scatter([reference], [0.0], **look, label="reference period")
        axes.legend(
            frameon=False, fontsize="small", ncols=3, loc="upper left", bbox_to_anchor=(0, -0.2)
        )
    return axes
