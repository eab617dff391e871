"""Estimate all estimands for a panel and tabulate the results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import pandas as pd
from fewtreated.display import Shown
from fewtreated.errors import DesignError

from analysis import data
from analysis.estimands import closed_firms, displacement, growth
from analysis.estimands.design import Design, in_rows
from analysis.estimands.event_study import anticipation
from analysis.estimands.rivals import chilling, effect_on_rivals
from analysis.estimands.samples import LEADS
from analysis.estimate import Estimate
from analysis.numbers import MARKS
from analysis.panel import Panel

VERBS: list[tuple[Any, dict[str, str]]] = [
    (closed_firms.effect_on_closed, {"simple": "E1a"}),
    (partial(closed_firms.effect_on_closed, where="home"), {"simple": "E1b"}),
    (closed_firms.own_closure, {"simple": "E1c"}),
    (closed_firms.months_alive, {"difference": "E1d"}),
    (closed_firms.damage_multiple, {"damage multiple": "E1e"}),
    (effect_on_rivals, {"recentred slope": "E2a_slope", "average": "E2a"}),
    (
        partial(effect_on_rivals, own_origin=False),
        {"recentred slope": "E2b_slope", "average": "E2b"},
    ),
    (growth.effect_on_growth, {"seen": "E3g_seen"}),
    (growth.effect_on_sales, {"seen": "E3_seen"}),
    (growth.effect_on_share, {"seen": "E3s_seen"}),
    (growth.against_others, {"common": "E3g_common", "total": "E3g"}),
    (growth.effect_in_parts, {name: f"E3k_{name}" for name in growth.PARTS}),
    (displacement.relocation, {"{away}": "E4a_{away}"}),
    (displacement.toward_destinations, {"presence": "E4a_presence", "sales": "E4a_sales"}),
    (displacement.recapture, {"own": "E4b_{origin}", "other": "E4b_other"}),
    (displacement.excess_recapture, {"own": "E4e_{origin}", "other": "E4e_other"}),
    (anticipation, {"-{lead}": "E5a_-{lead}"}),
    (chilling, {"chilling": "E5b"}),
    (displacement.platform_mix, {"{platform}": "E4d_{platform}"}),
    (displacement.displacement, {f"d{number}": f"d{number}" for number in range(1, 8)}),
]
"""Functions of (panel, design) that return an Estimate, with the ids of their terms in
``data/estimands.csv``.

The id is also the name of the true value in a simulated market.
"""


def filled(template: str, platforms: tuple[str, ...], design: Design) -> list[dict[str, str]]:
    """Return a mapping of placeholders to values for each id that a template covers."""
    first, second = [*design.destinations, "a second destination"][:2]
    names = {"origin": design.origin, "home": platforms[0]}
    names |= {"destinations": " and ".join(design.destinations), "first": first, "second": second}
    many = {
        "away": platforms[1:],
        "platform": platforms,
        "lead": tuple(map(str, range(LEADS, 0, -1))),
    }
    for name, values in many.items():
        if f"{{{name}}}" in template:
            return [names | {name: value} for value in values]
    return [names]


def catalogue(platforms: tuple[str, ...], design: Design) -> dict[str, dict[str, str]]:
    """Return the rows of ``data/estimands.csv`` by id, with labels filled in for the design."""
    rows = data.load("estimands").fillna("").to_dict("records")
    return {
        row["id"].format(**names): {**row, "label": row["label"].format(**names)}
        for row in rows
        for names in filled(row["id"], platforms, design)
    }


class Answers(Shown, dict[str, Estimate]):
    """Mapping of ids to one-term estimates.

    A refused estimate states its reason.
    """

    def __init__(self, effects: Mapping[str, Estimate], labels: Mapping[str, str]) -> None:
        """Store estimates and their printed labels by id."""
        super().__init__(effects)
        self.labels = labels

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Table of the estimates, with one row per estimand.

        The columns include `id`, `label`, `estimate`, `std_error`, `conf_low`, `conf_high`, `unit`
        and `n`. `mde` is the smallest effect detected with a power of 80 per cent; `reason`
        explains a missing estimate.
        """
        return in_rows([(name, self.labels[name], effect) for name, effect in self.items()])

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        signs = " ".join(
            sorted({MARKS[effect.provenance] for effect in self.values() if not effect.refused})
        )
        shown = self.rows[["id", "estimate", "conf_low", "conf_high", "unit", "reason"]]
        return f"{len(self)} of the estimands {signs}", shown, []

    def require(self) -> Answers:
        """Return the answers; raise DesignError if every estimate is refused."""
        if all(effect.refused for effect in self.values()):
            why = "; ".join(dict.fromkeys(effect.reason for effect in self.values()))
            raise DesignError(f"cannot estimate {', '.join(self)} from this panel: {why}")
        return self


def estimate_all(panel: Panel, design: Design, names: str | Collection[str] = ()) -> Answers:
    """Estimate all or selected estimands for a panel.

    Parameters
    ----------
    panel : Panel
        As read by :func:`analysis.read_panel`.
    design : Design
        Firms and months to compare.
    names : str or sequence of str
        Ids such as ``"E1a"``, explained in the glossary; all by default.

    Returns
    -------
    Answers
        One-term Estimates by id, and a table `rows`. An estimand that the panel does not support
        has a reason instead of a value.

    Raises
    ------
    DesignError
        If a name is unknown, or `panel` is not a Panel.

    Examples
    --------
    >>> from analysis import Design, estimate_all, read_panel
    >>> panel = read_panel("data/examples/tidy.csv", map="data/examples/tidy.map.yml")
    >>> estimate_all(panel, Design(), ["E1a"])
    1 of the estimands ○
     id  estimate  conf_low  conf_high     unit reason
    E1a    -30.44    -67.31      48.02 per cent
    """
    if not isinstance(panel, Panel):
        raise DesignError(
            f"expected a Panel, found {type(panel).__name__}; read one with analysis.read_panel"
        )
    if isinstance(names, str):
        names = [names]
    verbs = _verbs_by_id(panel, design)
    if unknown := set(names) - set(verbs):
        raise DesignError(
            f"estimands not found: {', '.join(sorted(unknown))}; choose from {', '.join(verbs)}"
        )
    rows = catalogue(panel.platforms, design)
    effects = dict[str, Estimate]()
    for name, (verb, term) in verbs.items():
        if not names or name in names:
            effect = verb(panel, design)[term]
            unit = effect.columns.get("unit", [effect.unit])[0]
            effects[name] = replace(effect.stated, estimand=name, unit=unit)
    return Answers(effects, {name: rows[name]["label"] for name in effects})


def _verbs_by_id(panel: Panel, design: Design) -> dict[str, tuple[Any, str]]:
    """Return the function that estimates each id, with its term."""
    return {
        name.format(**words): (verb, term.format(**words))
        for verb, terms in VERBS
        for term, name in terms.items()
        for words in filled(name, panel.platforms, design)
    }
