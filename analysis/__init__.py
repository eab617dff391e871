"""Closure effects, spillovers and displacement on online marketplaces."""

from importlib import import_module
from typing import Any

_PLACES = {
    "Design": "estimands.design",
    "att_gt": "frames",
    "estimate_all": "estimands.catalogue",
    "exposure_effects": "frames",
    "honest_bounds": "frames",
    "load_estimates": "exhibits.payload",
    "margins": "frames",
    "noninferiority": "testing",
    "permutation_did": "estimators.synthetic",
    "read_panel": "panel",
    "romano_wolf": "testing",
    "synthetic_did": "frames",
}
"""Public names and their modules, which are loaded on first use to keep the command line fast."""

__all__ = list(_PLACES)
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; choose from {', '.join(_PLACES)}")
    return getattr(import_module(f"analysis.{_PLACES[name]}"), name)
