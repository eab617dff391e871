"""Closure effects, spillovers and displacement on online marketplaces."""

from importlib import import_module
from typing import Any

import fewtreated

_PLACES = {
    "Design": "estimands.design",
    "estimate_all": "estimands.catalogue",
    "load_estimates": "exhibits.payload",
    "read_panel": "panel",
}
"""Public names and their modules, which are loaded on first use to keep the command line fast."""

__all__ = list(_PLACES)
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    if name in fewtreated.__all__:
        raise ImportError(
            f"cannot import {name!r} from 'analysis': it lives in 'fewtreated'; import it from"
            " there"
        )
    if name not in _PLACES:
        raise AttributeError(
            f"module 'analysis' has no attribute {name!r}; choose from {', '.join(_PLACES)}"
        )
    return getattr(import_module(f"analysis.{_PLACES[name]}"), name)
