"""Closure effects, spillovers and displacement on online marketplaces."""

from importlib import import_module
from typing import Any

_PLACES = {
    "load_estimates": "report.takeaway",
}
"""What a user calls, and the module that has it: loaded when asked for, so that the command line starts at once."""

__all__ = list(_PLACES)
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; there are {', '.join(_PLACES)}")
    return getattr(import_module(f"analysis.{_PLACES[name]}"), name)
