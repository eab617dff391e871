"""Spillovers by exposure: effects, their equations, and closures drawn again for randomisation."""

from analysis.exposure.draws import leave_own_out, redraw_closures
from analysis.exposure.effects import BINS, exposure_effects

__all__ = ["BINS", "exposure_effects", "leave_own_out", "redraw_closures"]
