"""Drawings. They take tidy frames, compute nothing, label lines directly and always draw the uncertainty.

Colours come from :func:`analysis.exhibits.style.look` when a chart is drawn, so that what is simulated looks so.
"""

from analysis.exhibits.charts.audit import cells, mde_curve, rejections, zip_plot
from analysis.exhibits.charts.axes import event_lines
from analysis.exhibits.charts.estimates import counts, draws, intervals
from analysis.exhibits.charts.exposure import against_benchmark, dose_response, drawn_again
from analysis.exhibits.charts.growth import against_margin, waterfall
from analysis.exhibits.charts.paths import alive, event_study
from analysis.exhibits.charts.scenarios import quantile_paths, tornado, two_knobs
from analysis.exhibits.charts.series import fans, lines, timeline
from analysis.exhibits.charts.shift import by_group

__all__ = [
    "against_benchmark",
    "against_margin",
    "alive",
    "by_group",
    "cells",
    "counts",
    "dose_response",
    "drawn_again",
    "draws",
    "event_lines",
    "event_study",
    "fans",
    "intervals",
    "lines",
    "mde_curve",
    "quantile_paths",
    "rejections",
    "timeline",
    "tornado",
    "two_knobs",
    "waterfall",
    "zip_plot",
]
