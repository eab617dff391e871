"""Identities that add up exactly: growth and its effect in parts, and where the lost sales of closed firms went.

- `growth_set`, `assumption_ladder`, `closed_share`: what public totals alone can say.
- `decompose_growth`, `decompose_effect`: growth, and the effect on it, by what became of each firm.
- `displacement`, `platform_shift`: shares of the lost sales, and platform mix. Each firm is one row of sums, platforms
  x (before, after); a set of firms is compared with what it would have sold on each platform had it grown as the
  comparison firms of its origin did (`changes`). So one matrix of influence values, cluster x (set, origin, platform),
  gives the joint error of everything here.
"""

from analysis.accounting.bounds import assumption_ladder, closed_share, growth_set
from analysis.accounting.changes import Changes, changes
from analysis.accounting.growth import decompose_effect, decompose_growth
from analysis.accounting.parts import displacement
from analysis.accounting.shift import platform_shift

__all__ = [
    "Changes",
    "assumption_ladder",
    "changes",
    "closed_share",
    "decompose_effect",
    "decompose_growth",
    "displacement",
    "growth_set",
    "platform_shift",
]
