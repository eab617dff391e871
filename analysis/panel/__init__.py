"""The panel of sales by firm, platform and month, and the function that reads it from a file."""

from analysis.panel.panel import Panel
from analysis.panel.read import read_panel

__all__ = ["Panel", "read_panel"]
__dir__ = __all__.copy
