"""The estimands E1 to E4 of a panel under a design, so that a notebook reads as a sentence.

Each function takes a `Panel` and a `Design`, chooses arrays and calls one estimator; nothing is computed twice. The
result carries the `design` and the `digest` of the panel: another design is ``replace(design, ...)``, and the estimate
is made again.
"""

from analysis.estimands.design import Design, Picked, pick
from analysis.estimands.direct import damage_multiple, effect_on_closed, effect_on_closed_at_home
from analysis.estimands.indirect import (
    displacement,
    effect_on_growth,
    growth,
    platform_mix,
    platform_shift,
    relocation,
    spillover,
)

__all__ = [
    "Design",
    "Picked",
    "damage_multiple",
    "displacement",
    "effect_on_closed",
    "effect_on_closed_at_home",
    "effect_on_growth",
    "growth",
    "pick",
    "platform_mix",
    "platform_shift",
    "relocation",
    "spillover",
]
