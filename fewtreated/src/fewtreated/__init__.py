"""Effects of interventions that hit few clusters, with honest uncertainty."""

from importlib import import_module
from typing import Any

_PLACES = {
    "Estimate": "estimate",
    "att_gt": "frames",
    "exposure_effects": "frames",
    "honest_bounds": "frames",
    "margins": "frames",
    "noninferiority": "testing",
    "permutation_did": "estimators.synthetic",
    "romano_wolf": "testing",
    "synthetic_did": "frames",
}
"""Public names and their modules, which are loaded on first use, so that `fewtreated.errors` alone
loads fast.
"""

_MODULES = {"arrays": "arrays", "power": "estimators.power", "survival": "estimators.survival"}

__all__ = list(_PLACES | _MODULES)
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"fewtreated.{_MODULES[name]}")
    if name not in _PLACES:
        raise AttributeError(
            f"module 'fewtreated' has no attribute {name!r}; choose from {', '.join(__all__)}"
        )
    return getattr(import_module(f"fewtreated.{_PLACES[name]}"), name)
