"""The firm x platform x month panel, and reading it from a researcher's file."""

from analysis.config import Map, read_map
from analysis.panel.panel import Panel
from analysis.panel.read import read_panel

__all__ = ["Map", "Panel", "read_map", "read_panel"]
