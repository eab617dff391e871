"""Every estimand that can be asked of a panel, in one table, with the reason where it has no answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.anticipation import LEADS, anticipation, chilling
from analysis.estimands.closed_firms import damage_multiple, effect_on_closed, months_alive, own_closure
from analysis.estimands.design import Design, attempt
from analysis.estimands.displacement import (
    displacement,
    excess_recapture,
    hedging,
    platform_mix,
    recapture,
    relocation,
    toward_destinations,
)
from analysis.estimands.growth import (
    PARTS,
    effect_in_parts,
    effect_on_growth,
    effect_on_sales,
    effect_on_share,
    entry_by_exposure,
)
from analysis.estimands.rivals import spillover
from analysis.estimands.table import COLUMNS, as_rows
from analysis.estimate import Estimate

if TYPE_CHECKING:
    from analysis.panel import Panel

Terms = Mapping[str, tuple[str, str]]


def questions(panel: Panel, design: Design) -> list[tuple[Callable[[Panel, Design], Estimate], Terms]]:
    """Return every verb that can be put to a panel, and by its terms the id of each estimand and its label.

    The id is also its name in the truth of a simulated market.
    """
    own, there, away = design.origin, " and ".join(design.destinations), panel.platforms[1:]
    grown = ("growth: closed firms", "growth: spared incumbents", "growth: spared that stopped", "growth: entrants")
    first, second = [*design.destinations, "a second destination"][:2]
    displaced = (
        f"recaptured at home by {own} rivals",
        "recaptured at home by other origins",
        f"moved with the firm to {first}",
        f"moved with the firm to {second}",
        "moved with the firm elsewhere",
        "other firms' change away from home",
        "left over: bought elsewhere or not at all",
    )
    of_rivals = ("E2a", "rivals of the origin"), ("E2b", "rivals of other origins")
    return [
        (effect_on_closed, {"simple": ("E1a", "closed firms' sales, all platforms")}),
        (partial(effect_on_closed, where="home"), {"simple": ("E1b", "closed firms' sales at home")}),
        (own_closure, {"simple": ("E1c", "own closure, rivals' closures given")}),
        (months_alive, {"difference": ("E1d", "months alive of the twelve after closure")}),
        (damage_multiple, {"damage multiple": ("E1e", "loss over the mechanical loss")}),
        (spillover, {"slope": ("E2a_slope", f"{of_rivals[0][1]}, per 10 pp"), "average": of_rivals[0]}),
        (
            partial(spillover, own_origin=False),
            {"slope": ("E2b_slope", f"{of_rivals[1][1]}, per 10 pp"), "average": ("E2b", "of other origins")},
        ),
        (effect_on_growth, {"seen": ("E3g", "growth of the origin at home")}),
        (effect_on_sales, {"seen": ("E3", "sales of the origin at home")}),
        (effect_on_share, {"seen": ("E3s", "share of the origin in home sales")}),
        (effect_in_parts, {name: (f"E3k_{name}", words) for name, words in zip(PARTS, grown, strict=True)}),
        (
            entry_by_exposure,
            {
                "slope": ("E5d_slope", "entrants of the origin, per 10 pp"),
                "level": ("E5d", "entrants of the origin, in all categories"),
            },
        ),
        (relocation, {name: (f"E4a_{name}", f"relocation to {name}") for name in away}),
        (
            toward_destinations,
            {"presence": ("E4a_presence", f"presence on {there}"), "sales": ("E4a_sales", f"relocation to {there}")},
        ),
        (
            recapture,
            {"own": (f"E4b_{own}", "recaptured by the origin"), "other": ("E4b_other", "recaptured by other origins")},
        ),
        (
            excess_recapture,
            {
                "own": (f"E4e_{own}", "recaptured by the origin, beyond its size"),
                "other": ("E4e_other", "by other origins, beyond their size"),
            },
        ),
        (
            anticipation,
            {f"-{k}": (f"E5a_-{k}", f"closed firms at home, month {k} before closure") for k in range(LEADS, 0, -1)},
        ),
        (chilling, {"chilling": ("E5b", "suspect firms that were spared")}),
        (hedging, {name: (f"E5c_{name}", f"spared firms of the origin on {name}") for name in away}),
        (platform_mix, {name: (f"E4d_{name}", f"share of {name} in closed firms' sales") for name in panel.platforms}),
        (displacement, {f"d{k}": (f"d{k}", label) for k, label in enumerate(displaced, start=1)}),
    ]


class Answers(dict[str, Estimate]):
    """Estimates of one term each, by id; what the panel cannot carry is one without a value, and with the reason."""

    def __init__(self, found: Mapping[str, Estimate], labels: Mapping[str, str]) -> None:
        """Take estimates and, by the same ids, what they are called in print."""
        super().__init__(found)
        self.labels = labels

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per estimand, as :func:`analysis.estimands.table.as_rows`.

        `mde` is the smallest effect seen with a power of 80 per cent; `reason` says why there is no estimate.
        """
        rows = [as_rows(found, {found.terms[0]: (name, self.labels[name])}) for name, found in self.items()]
        return pd.DataFrame([row for part in rows for row in part.to_dict("records")], columns=COLUMNS)

    def require(self) -> None:
        """Stop where there is no estimate at all: a DesignError with the reasons."""
        if all(found.refused for found in self.values()):
            why = "; ".join(dict.fromkeys(found.reason for found in self.values()))
            raise DesignError(
                f"{', '.join(self)} were asked for; none is estimable with this data ({why}); bring a "
                "panel that can carry one"
            )


def estimate_all(panel: Panel, design: Design, names: Collection[str] = ()) -> Answers:
    """Ask a panel for estimands, such as "E1a", by their ids; all where none is given.

    Raises
    ------
    DesignError
        If a name is unknown. What the panel cannot carry is no error: see :class:`Answers`.
    """
    known = questions(panel, design)
    if unknown := set(names) - {name for _, terms in known for name, _ in terms.values()}:
        there = ", ".join(name for _, terms in known for name, _ in terms.values())
        raise DesignError(f"{', '.join(sorted(unknown))} was asked for; there are {there}; name one of these")
    found: dict[str, Estimate] = {}
    labels: dict[str, str] = {}
    for make, terms in known:
        asked = {term: pair for term, pair in terms.items() if not names or pair[0] in names}
        whole = attempt(make, panel, design) if asked else None
        for term, (name, label) in asked.items():
            assert whole is not None
            labels[name] = label
            found[name] = whole if whole.refused else whole[term]
    return Answers(found, labels)
