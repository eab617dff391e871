"""Where firms sell through time, group against group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt

from analysis.exhibits.charts.axes import axis_numbers
from analysis.exhibits.style import INK, WIDTH, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
WIDTHS = {0: 2.0, 1: 1.2, 2: 1.2}  # points, by the order of the groups
STYLES = {0: None, 1: (0, (4, 1.5)), 2: (0, (1, 1.5))}  # so that groups differ in grey and in print too


def by_group(
    paths: pd.DataFrame, panels: Mapping[str, tuple[str, str]], *, waves: Sequence[pd.Period], ylabel: str
) -> Figure:
    """Draw one measure a panel, a line per group, months with closures shaded.

    `paths` has `month` (Period), `group`, `measure`, `platform`, `value`; `panels` gives measure and platform by title.
    The first group is what the figure is about.
    """
    rows = -(-len(panels) // COLUMNS)
    drawing, grid = plt.subplots(rows, COLUMNS, figsize=(WIDTH, 0.4 + 1.65 * rows), sharex=True, squeeze=False)
    first, last = (month.year + (month.month - 1) / 12 for month in (waves[0], waves[-1] + 1))
    for axes, (title, (measure, platform)) in zip(grid.flat, panels.items(), strict=False):
        mine = paths[(paths["measure"] == measure) & (paths["platform"] == platform)]
        for place, (group, line) in enumerate(mine.groupby("group", sort=False)):
            years = line["month"].dt.year + (line["month"].dt.month - 1) / 12
            colour = look().main if place == 0 else INK if place == 1 else look().rest
            axes.plot(
                years, line["value"], color=colour, lw=WIDTHS[place], ls=STYLES[place] or look().line, label=group
            )
        axes.axvspan(first, last, color=look().band, zorder=0, lw=0)
        axes.set_title(fill(title, 30))
        axes.set_ylim(bottom=0)
        axes.set_xticks(range(int(years.min()), int(years.max()) + 1))
        axis_numbers(axes)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)
    return drawing
