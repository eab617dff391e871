"""Effects of interventions that hit few clusters, with honest uncertainty."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

_PLACES = {
    "Estimate": "estimate",
    "att_gt": "frames",
    "etable": "tables",
    "exposure_effects": "frames",
    "honest_bounds": "frames",
    "noninferiority": "testing",
    "permutation_did": "estimators.synthetic",
    "power": "frames",
    "randomization_did": "frames",
    "romano_wolf": "testing",
    "survival": "frames",
    "synthetic_did": "frames",
}
"""Public names and their modules, which are loaded on first use, so that `fewtreated.errors` alone
loads fast.
"""

__all__ = list(_PLACES)
__all__ += ["arrays"]
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    if name == "arrays":
        return import_module("fewtreated.arrays")
    if name == "__version__":
        return version("fewtreated")
    if name not in _PLACES:
        raise AttributeError(
            f"module 'fewtreated' has no attribute {name!r}; choose from {', '.join(__all__)}"
        )
    return getattr(import_module(f"fewtreated.{_PLACES[name]}"), name)
