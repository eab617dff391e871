"""What a panel answers: every estimand asked of it in one table, with the reason where it has no answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.errors import DesignError
from analysis.estimands.design import Design
from analysis.estimands.direct import damage_multiple, effect_on_closed, effect_on_closed_at_home
from analysis.estimands.exits import months_alive
from analysis.estimands.growing import PARTS, effect_in_parts, effect_on_sales, effect_on_share, entry_by_exposure
from analysis.estimands.indirect import displacement, effect_on_growth, platform_mix, relocation, spillover
from analysis.estimands.news import LEADS, anticipation, chilling
from analysis.estimands.rivals import excess_recapture, recapture
from analysis.estimands.shifting import hedging, toward_destinations
from analysis.inference import Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

POWER = 0.8
NONE = (0.0, 0.0)  # common to all firms: what is seen, without a reader's interval
GROWN = ("growth: closed firms", "growth: spared incumbents", "growth: spared that stopped", "growth: entrants")
COLUMNS = ["id", "label", "estimate", "std_error", "conf_low", "conf_high", "unit", "n", "mde", "reason"]


@dataclass(frozen=True)
class Question:
    """Estimands that one call answers.

    Attributes
    ----------
    make : callable
        From (panel, design) to an Estimate.
    terms : mapping of str to (str, str)
        By term of its rows: id of the estimand, which is also its name in the truth of a simulated market, and label.
    """

    make: Callable[[Panel, Design], Estimate]
    terms: Mapping[str, tuple[str, str]]


def _own_closure(panel: Panel, design: Design) -> Estimate:
    return effect_on_closed(panel, replace(design, comparison="spared_same_category"))


def questions(panel: Panel, design: Design) -> list[Question]:
    """Return every question that can be put to a panel: closed firms, rivals, growth, platform shift, the news."""
    own, there = design.origin, " and ".join(design.destinations)
    leads = {f"-{k}": (f"E5a_-{k}", f"closed firms at home, month {k} before closure") for k in range(LEADS, 0, -1)}
    mix = {
        f"share {name}: closed - unexposed": (f"E4d_{name}", f"share of {name} in closed firms' sales")
        for name in panel.platforms
    }
    away = {f"relocation {name}": (f"E4a_{name}", f"relocation to {name}") for name in panel.platforms[1:]}
    return [
        Question(effect_on_closed, {"simple": ("E1a", "closed firms' sales, all platforms")}),
        Question(effect_on_closed_at_home, {"simple": ("E1b", "closed firms' sales at home")}),
        Question(_own_closure, {"simple": ("E1c", "own closure, rivals' closures given")}),
        Question(months_alive, {"difference": ("E1d", "months alive of the twelve after closure")}),
        Question(damage_multiple, {"damage multiple": ("E1e", "loss over the mechanical loss")}),
        Question(
            spillover,
            {"slope": ("E2a_slope", "rivals of the origin, per 10 pp"), "average": ("E2a", "rivals of the origin")},
        ),
        Question(
            partial(spillover, own_origin=False),
            {"slope": ("E2b_slope", "rivals of other origins, per 10 pp"), "average": ("E2b", "of other origins")},
        ),
        Question(partial(effect_on_growth, common=NONE), {"seen": ("E3g", "growth of the origin at home")}),
        Question(partial(effect_on_sales, common=NONE), {"seen": ("E3", "sales of the origin at home")}),
        Question(partial(effect_on_share, common=NONE), {"seen": ("E3s", "share of the origin in home sales")}),
        Question(
            partial(effect_in_parts, common=NONE),
            {name: (f"E3k_{name}", words) for name, words in zip(PARTS, GROWN, strict=True)},
        ),
        Question(
            entry_by_exposure,
            {
                "slope": ("E5d_slope", "entrants of the origin, per 10 pp"),
                "level": ("E5d", "entrants of the origin, in all categories"),
            },
        ),
        Question(relocation, away),
        Question(
            toward_destinations,
            {
                "presence": ("E4a_presence", f"presence on {there}"),
                "sales": ("E4a_sales", f"relocation to {there}"),
            },
        ),
        Question(
            recapture,
            {"own": (f"E4b_{own}", "recaptured by the origin"), "other": ("E4b_other", "recaptured by other origins")},
        ),
        Question(
            excess_recapture,
            {
                "own": (f"E4e_{own}", "recaptured by the origin, beyond its size"),
                "other": ("E4e_other", "by other origins, beyond their size"),
            },
        ),
        Question(anticipation, leads),
        Question(chilling, {"chilling": ("E5b", "suspect firms that were spared")}),
        Question(
            hedging, {name: (f"E5c_{name}", f"spared firms of the origin on {name}") for name in panel.platforms[1:]}
        ),
        Question(platform_mix, mix),
        Question(displacement, {f"d{k}": (f"d{k}", label) for k, label in enumerate(parts(design), start=1)}),
    ]


def parts(design: Design) -> list[str]:
    """Return the seven parts of displacement in words."""
    first, second = [*design.destinations, "a second destination"][:2]
    return [
        f"recaptured at home by {design.origin} rivals",
        "recaptured at home by other origins",
        f"moved with the firm to {first}",
        f"moved with the firm to {second}",
        "moved with the firm elsewhere",
        "other firms' change away from home",
        "left over: bought elsewhere or not at all",
    ]


@dataclass(frozen=True, eq=False)
class Answers:
    """Estimates of many estimands.

    Attributes
    ----------
    rows : DataFrame
        One row per estimand: `id`, `label`, `estimate`, `std_error`, `conf_low`, `conf_high`, `unit`, `n`; `mde`, the
        smallest effect seen with a power of 80 per cent (:func:`detectable`); `reason`, why there is no estimate.
    made : mapping of str to Estimate
        By id, for those that there are.
    """

    rows: pd.DataFrame
    made: Mapping[str, Estimate]

    @property
    def estimable(self) -> bool:
        """Whether there is any estimate."""
        return bool(self.made)

    def require(self) -> None:
        """Stop where there is no estimate at all: a DesignError with the reasons."""
        if not self.estimable:
            why = "; ".join(dict.fromkeys(self.rows["reason"]))
            raise DesignError(
                f"{', '.join(self.rows['id'])} were asked for; none is estimable with this data ({why}); bring a "
                "panel that can carry one"
            )


def answers(panel: Panel, design: Design, names: Collection[str] = ()) -> Answers:
    """Ask a panel for estimands; what it cannot carry becomes a row with the reason, never a number.

    Parameters
    ----------
    panel : Panel
    design : Design
    names : collection of str
        Ids, such as "E1a"; all where none is given.

    Raises
    ------
    DesignError
        If a name is unknown.
    """
    asked = [(q, {t: s for t, s in q.terms.items() if not names or s[0] in names}) for q in questions(panel, design)]
    if unknown := set(names) - {spec[0] for _, terms in asked for spec in terms.values()}:
        known = [spec[0] for q in questions(panel, design) for spec in q.terms.values()]
        raise DesignError(
            f"{', '.join(sorted(unknown))} was asked for; there are {', '.join(known)}; name one of these"
        )
    rows: list[dict[str, Any]] = []
    made: dict[str, Estimate] = {}
    for question, terms in asked:
        if not terms:
            continue
        try:
            found = question.make(panel, design)
        except DesignError as refusal:
            rows += [{"id": name, "label": label, "reason": str(refusal)} for name, label in terms.values()]
            continue
        for term, (name, label) in terms.items():
            rows.append({"id": name, "label": label, "unit": _unit(found, term)} | _numbers(found, term))
            made[name] = found
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["reason"] = table["reason"].fillna("")
    table["mde"] = detectable(table, level=design.level)
    return Answers(table, made)


def by_origin(
    make: Callable[..., Estimate],
    panel: Panel,
    design: Design,
    names: tuple[str, str],
    terms: Mapping[str, str] | None = None,
    *,
    columns: Collection[str] = (),
    **options: Any,
) -> Answers:
    """Ask the same of firms of the design's origin and of all others; a refusal becomes a row with its reason.

    Parameters
    ----------
    make : callable
        From (panel, design, own_origin=...) to an Estimate, such as :func:`analysis.estimands.spillover`.
    panel, design
    names : pair of str
        What firms of the origin, and all others, are called.
    terms : mapping of str to str, optional
        Terms to keep, and what they are called; all where not given.
    columns : collection of str
        Further columns that rows have even if both are refused.
    **options
        Passed on.

    Returns
    -------
    Answers
        `rows` with `origin` (a name) and `term` besides, `id` such as "E2a_slope"; `made` by name.
    """
    tables: list[pd.DataFrame] = []
    made: dict[str, Estimate] = {}
    for name, own in zip(names, (True, False), strict=True):
        try:
            found = make(panel, design, own_origin=own, **options)
        except DesignError as refusal:
            tables.append(pd.DataFrame({"origin": [name], "label": [name], "reason": [str(refusal)]}))
            continue
        kept = found.rows if terms is None else found.rows[found.rows["term"].isin(list(terms))]
        said = name + ": " + kept["term"].map(lambda term: (terms or {}).get(term, term))
        reason = np.where(kept["std_error"].isna(), found.reason, "")
        ids = kept["id"] if "id" in kept else found.estimand + "_" + kept["term"]
        tables.append(kept.assign(id=ids, origin=name, label=said, unit=found.unit, reason=reason))
        made[name] = found
    wanted = dict.fromkeys([*COLUMNS, "origin", "term", *columns, *(name for one in tables for name in one.columns)])
    table = pd.concat([one.reindex(columns=list(wanted)) for one in tables], ignore_index=True)
    table = table.astype(dict.fromkeys(["id", "unit", "term"], object))  # text, even where both are refused
    return Answers(table.assign(mde=detectable(table, level=design.level)), made)


def named(found: Estimate, terms: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Return rows of an estimate as those of :class:`Answers`; `terms` gives each the id and the label it is to have.

    A row without an error is a set, or has none for the estimate's own reason, which stands beside it.
    """
    rows = [
        {"id": name, "label": label, "unit": found.unit} | _numbers(found, term)
        for term, (name, label) in terms.items()
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(mde=detectable(table, level=found.level))


def _unit(found: Estimate, term: str) -> str:
    """Return the unit of one row, its own where rows differ in it."""
    return str(found.row(term).get("unit", found.unit))


def _numbers(found: Estimate, term: str) -> dict[str, Any]:
    row = found.row(term)
    numbers = {name: row[name] for name in ("estimate", "std_error", "conf_low", "conf_high", "n")}
    return numbers | {"reason": found.reason if np.isnan(row["std_error"]) else ""}


def detectable(rows: pd.DataFrame, *, level: float, power: float = POWER) -> Floats:
    """Return the smallest effect that a test of size 1 - level sees with some power, float64[row].

    ``(z(level) + z(power)) std_error``. An effect in per cent is made from log points: there it is the same in log
    points where nothing happened, turned into a fall in per cent, and where few clusters make the interval longer than
    z(level) errors it is as much longer; rows without an interval count as normal.
    """
    z, more = float(stats.norm.ppf((1 + level) / 2)), float(stats.norm.ppf(power))
    error, estimate = rows["std_error"].to_numpy(float), rows["estimate"].to_numpy(float)
    logs = (rows["unit"] == "per cent").to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.log1p(rows.reindex(columns=["conf_low", "conf_high"]).to_numpy(float).T / 100)
        half = np.fmax((high - low) / 2, z * error / np.abs(100 + estimate))
        fall = 100 * -np.expm1(-half * (z + more) / z)
    return np.asarray(np.where(logs, fall, (z + more) * error))
