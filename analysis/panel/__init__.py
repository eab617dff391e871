"""The panel of firms by platform and month, and its reader for researchers' files."""

from analysis.panel.panel import Panel
from analysis.panel.read import read_panel

__all__ = ["Panel", "read_panel"]
__dir__ = __all__.copy
