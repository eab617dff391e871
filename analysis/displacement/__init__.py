"""Where the lost sales of closed firms went, and how their platform mix moved.

Each firm is one row of sums, platforms x (before, after). A set of firms is compared with what it would have sold on
each platform had it grown as the comparison firms of its origin did; every part is a ratio of such differences. So one
matrix of influence values, cluster x (set, origin, platform), gives the joint error of everything here.

- `changes` makes these differences and their influence values.
- `displacement` shares the lost home sales out: d1 to d7, which add up to 100.
- `platform_shift` says what closed, exposed and unexposed firms did: relocation, shares, concentration, presence.
"""

from analysis.displacement.changes import Changes, changes
from analysis.displacement.parts import displacement
from analysis.displacement.ratios import fieller
from analysis.displacement.shift import platform_shift

__all__ = ["Changes", "changes", "displacement", "fieller", "platform_shift"]
