"""The parameters of the simulated market: each with its unit, allowed range and what it is calibrated to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.errors import DesignError

Ints = npt.NDArray[np.int64]

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
FIRST_MONTH = "2019-01"
MONTHS = 42
FIRST_WAVE = 28  # May 2021: the first month without the accounts closed at the end of April
WAVES = (28, 29, 30, 31)  # end of April, mid-June, July, August 2021 (newschinamag article 6808)


def _known(
    default: Any, unit: str, low: float, high: float, source: str, plausible: tuple[float, float] | None = None
) -> Any:
    known = {"unit": unit, "low": low, "high": high, "plausible": plausible, "source": source}
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class Parameters:
    """One simulated market.

    Every field carries its unit, its allowed range, its source and, where one is stated, the range in which it
    plausibly lies in ``dataclasses.fields(Parameters)[i].metadata``; :meth:`describe` tabulates them. Sources marked
    *assumption* rest on no public figure; *solved* ones are made by ``python -m analysis.market``. Effects "in utility"
    enter the mean utility of a product; "log sales" is the same divided by one minus the nesting parameter, hence free
    of it.

    The confounders of the threat register (``data/facts/threats.csv``), each a parameter: T01 `cn_trend`, T02
    `freight`, T03 `walmart_gate`, T04 `restock`, T05 `tracking`, T06 `managed_payments`, T07 `prime_day`, T08 `vat`,
    T09 `covid_reversal`, T10 `review_case`. They are the same in every world. T04 and T10 are off: no figure says how
    large they were, and no moment of the calibration tells them from zero.

    Raises
    ------
    DesignError
        From :meth:`with_overrides`, for a name that does not exist or a value outside its range.
    """

    # size and scale
    n_firms: int = _known(4000, "firms selling at the start", 40, 1_000_000, "scale")
    n_categories: int = _known(40, "categories", 2, 2000, "scale")
    entrants: float = _known(0.6, "potential entrants per firm", 0, 2, "assumption")
    population: float = _known(2.5e6, "merchants", 1e3, 1e8, "2.3 to 2.8 million active sellers, Marketplace Pulse")
    oversampling: float = _known(0.667, "power of size at which firms are drawn", 0, 0.9, "scale; 0 draws evenly")
    gmv_2019: float = _known(200e9, "sim-$ a year on AMZ", 1e3, 1e15, "Marketplace Pulse, year in review 2020")
    # demand
    sigma: float = _known(0.6, "nesting, 1", 0, 0.9, "assumption", (0.4, 0.8))
    sigma_spread: float = _known(0.05, "nesting of EBY and ALI below AMZ, 1", 0, 0.2, "assumption: not one for all")
    inside: float = _known(0.48, "share of spending on the five platforms in month 0", 0.005, 0.9, "assumption")
    sd_log_sales: float = _known(
        2.2, "log points at full reputation", 0.3, 3, "volume held by 700, 33,000, 300,000", (2.1, 2.6)
    )
    transitory: float = _known(
        0.0385, "transitory share of the variance of log sales", 0, 1, "solved: top 0.4 % retention"
    )
    rho: float = _known(0.97, "persistence a month", 0, 0.999, "rank persistence, Marketplace Pulse seller retention")
    sd_fit: float = _known(0.5, "log sales, fit of firm and platform", 0, 2, "assumption")
    reputation: float = _known(
        0.6, "share of full reputation at the start", 0.05, 1, "assumption; AliExpress RCT: sign"
    )
    cn_share: float = _known(
        0.40, "Chinese share of AMZ sales in month 0", 0.05, 0.9, "shares of top sellers", (0.33, 0.46)
    )
    cn_firms: float = _known(
        0.45, "Chinese share of firms at the start", 0.05, 0.95, "about 1m of 2.3 to 2.8m merchants"
    )
    cn_trend: float = _known(
        -0.008, "log sales a month, Nov 2020 to Mar 2022", -0.025, 0, "turning points; size assumed", (-0.025, 0)
    )
    # category and time paths
    growth: float = _known(0.0124, "log spending a month", -0.05, 0.1, "solved: GMV 200 bn in 2019, 295 in 2020")
    season: float = _known(1.0, "strength of the season", 0, 3, "Census e-commerce shape, assumption")
    walk_sd: float = _known(0.02, "log spending a month, category walk", 0, 0.3, "assumption")
    category_trend: float = _known(0.002, "log spending a month, sd over categories", 0, 0.05, "assumption")
    trend_tie: float = _known(0.3, "correlation of trend and cheating", -1, 1, "assumption: selection on trend")
    covid: float = _known(0.28, "step in April 2020, share", 0, 1, "US e-commerce +44.5 % in 2020Q2")
    covid_reversal: float = _known(0.10, "fall from June 2021, share", 0, 0.9, "US e-commerce +6.6 % in 2021Q3")
    prime_day: float = _known(0.08, "utility of AMZ in its month", 0, 1, "Jul 2019, Oct 2020, Jun 2021; size assumed")
    freight: float = _known(0.03, "utility per log point of freight", 0, 0.5, "FBX 3,885 to 19,182 US$; assumption")
    vat: float = _known(0.25, "fall of EU sales of ALI from July 2021, share", 0, 0.9, "Fonoa; size assumed")
    vat_reach: float = _known(0.5, "EU share of ALI", 0, 1, "assumption")
    tracking: float = _known(0.10, "fall of OWN from June 2021, share", 0, 0.9, "iOS ATT; -37 % if dependent")
    managed_payments: float = _known(0.05, "share of Chinese firms off EBY, Apr to Jul 2021", 0, 0.9, "ecommercebytes")
    walmart_gate: float = _known(0.10, "share of Chinese firms that join WMT", 0, 0.9, "opens March 2021; sevcc.org")
    restock: float = _known(
        0.0, "fall of AMZ from May 2021 where all is stored there, share", 0, 0.9, "T04; size not found, so off"
    )
    review_case: float = _known(
        0.0, "share of fake reviews given up from July 2021 anyway", 0, 1, "T10, UK only; size not found, so off"
    )
    # cheating
    boost: float = _known(
        0.1239, "utility of fake reviews on AMZ", 0, 2, "solved: cheaters' units +27.2 %, Gandhi et al."
    )
    cheat_level: float = _known(-2.798, "log odds", -10, 5, "solved: honest rivals -4.4 %, Gandhi et al.")
    cheat_category: float = _known(1.0, "log odds per sd of the category", 0, 5, "assumption")
    cheat_size: float = _known(0.1, "log odds per sd of size", -2, 2, "assumption")
    cheat_cn: float = _known(0.5, "log odds if Chinese", -5, 5, "assumption")
    # closure
    closed_gmv: float = _known(
        0.03, "share of Chinese AMZ sales closed", 0, 0.6, "US$1bn to 15.4bn a year", (0.0085, 0.13)
    )
    tilt: float = _known(0.65, "log odds per log sales", -2, 2, "3,000 of about 1m firms; no source", (0.2, 0.7))
    by_cheating: float = _known(4.0, "log odds of a cheater", 0, 12, "assumption")
    by_risk: float = _known(1.0, "log odds per unit of suspicion", 0, 12, "assumption: shared reviewers, He et al.")
    by_spurt: float = _known(0.0, "log odds per log point of recent sales", -3, 3, "assumption: closure after a spurt")
    max_groups: int = _known(1_000_000, "brand groups closed at most", 0, 1_000_000, "4 in few_treated, some 4 firms")
    bite: float = _known(1.0, "share of a closed account's sales that stops", 0, 1, "0 is a sham: nobody responds")
    partial: float = _known(0.15, "share of firms closed in part", 0, 1, "Youkeshu 30 % of stores, Sunvalley a third")
    partial_accounts: float = _known(0.33, "share of accounts closed then", 0.05, 0.95, "Youkeshu, Sunvalley")
    group_size: float = _known(1.6, "firms per brand group", 1, 10, "assumption: closures come in groups")
    accounts: float = _known(5.0, "accounts per Chinese firm", 1, 12, "3,000 accounts of 600 brands, Protocol")
    # evasion and relocation
    evasion: float = _known(0.15, "share of closed firms that reopen", 0, 1, "Sunvalley, Aukey", (0, 0.4))
    evasion_delay: float = _known(1.5, "months", 1, 12, "2 to 10 weeks")
    reclosure: float = _known(0.5, "share of the reopened that is closed again", 0, 1, "about two weeks; assumption")
    enter: float = _known(
        0.3, "probability to join another platform", 0, 1, "assumption; solved with effort", (0.1, 0.6)
    )
    effort: float = _known(0.3455, "utility on other platforms", 0, 3, "solved: E1a about -58 %, listed firms")
    speed: float = _known(4.0, "months", 0.5, 24, "Backpage: 75 % back after four months", (2, 8))
    follow: float = _known(0.05, "share of buyers who follow the brand", 0, 0.9, "assumption: diversion is not IIA")
    frozen: float = _known(0.3, "share of cash, six months", 0, 1, "Youkeshu: 130m of > 2bn yuan; assumption")
    # entry and exit
    exit_base: float = _known(0.0256, "hazard a month at no sales", 0, 0.5, "solved: 60 % of joiners since 2017 active")
    exit_size: float = _known(0.15, "power of sales", 0, 2, "assumption")
    exit_closed: float = _known(0.03, "hazard a month, nine months after closure", 0, 0.9, "assumption")
    entry: float = _known(0.7, "share of potential entrants that enter", 0, 1, "scale; leaves room for induced entry")
    entrant_size: float = _known(1.457, "log sales of an entrant", -3, 3, "solved: first-year cohort 10 % of sales")
    # climate
    news_lead: int = _known(0, "months of news before the first wave", 0, 2, "warnings preceded closures")
    chill: float = _known(0.3, "share of fake reviews given up", 0, 1, "upper anchors Gauss, GDPR", (0, 0.6))
    deter: float = _known(0.1, "share of Chinese entry deterred", 0, 1, "GDPR -47 %", (0, 0.3))
    induce: float = _known(0.5, "entry per unit of exposure", 0, 3, "sign: Hui et al.; size assumed")
    hedge: float = _known(0.05, "share of Chinese firms that join another platform", 0, 1, "assumption", (0, 0.15))
    trust: float = _known(0.02, "utility of AMZ, all fakes removed", 0, 1, "fakes harm the platform", (0, 0.05))
    # observation
    noise: float = _known(0.0, "sd of log measured sales", 0, 2, "assumption")
    top_n: int = _known(1_000_000, "firms seen, by base sales on AMZ", 1, 1_000_000, "rankings show the top only")
    covered: int = _known(5, "platforms seen, in the order of PLATFORMS", 1, 5, "a panel of one marketplace")
    by_account: int = _known(0, "1: rows are accounts", 0, 1, "account, firm and brand are three units")
    unlinked: float = _known(0.0, "share of renamed accounts not linked to their firm", 0, 1, "Rav, Vav, Taotronic")
    perimeter: float = _known(0.0, "step of EBY in April 2021, share", -0.9, 2, "eBay GMV -7 and -12 % for one quarter")

    def with_overrides(self, overrides: dict[str, Any]) -> Parameters:
        """Return the same market with some parameters changed; an unknown or impossible one is a DesignError."""
        known = {known.name: known for known in dataclasses.fields(self)}
        for name, value in overrides.items():
            if name not in known:
                raise DesignError(
                    f"parameter {name!r} of the simulated market was asked for; there is none; "
                    f"choose from {', '.join(known)}"
                )
            _within(known[name], value)
        changed = dataclasses.replace(self, **overrides)
        if changed.n_categories > changed.n_firms:
            raise DesignError(
                f"{changed.n_categories} categories were asked for; there are {changed.n_firms} firms to sell in them; "
                "give at least one firm per category"
            )
        return changed

    @classmethod
    def describe(cls) -> list[dict[str, Any]]:
        """Return name, default, unit, low, high, plausible and source of every parameter."""
        return [{"name": known.name, "default": known.default, **known.metadata} for known in dataclasses.fields(cls)]


def plausible(name: str) -> tuple[float, float]:
    """Return the range in which a parameter plausibly lies; where none is stated, that is a DesignError."""
    stated = {known.name: known.metadata["plausible"] for known in dataclasses.fields(Parameters)}
    ends: tuple[float, float] | None = stated.get(name)
    if ends is None:
        raise DesignError(
            f"the plausible range of {name!r} was asked for; none is stated; choose from "
            f"{', '.join(known for known in stated if stated[known])}"
        )
    return ends


def _within(known: dataclasses.Field[Any], value: Any) -> None:
    wanted = (int,) if known.type == "int" else (int, float)
    low, high = known.metadata["low"], known.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
        raise DesignError(
            f"parameter {known.name} = {value!r} was asked for; it is {known.type} in {known.metadata['unit']}; "
            f"give a value from {low:g} to {high:g}"
        )


def from_text(given: dict[str, str]) -> dict[str, Any]:
    """Return overrides typed on a command line as numbers; what is none stays text, and is refused by its range."""
    kinds = {known.name: int if known.type == "int" else float for known in dataclasses.fields(Parameters)}
    numbers: dict[str, Any] = {}
    for name, text in given.items():
        try:
            numbers[name] = kinds.get(name, float)(text)
        except ValueError:
            numbers[name] = text
    return numbers


PRESETS: dict[str, dict[str, Any]] = {
    # closures are dated and change nothing: placebo labels
    "null": {"bite": 0.0, "chill": 0.0, "deter": 0.0, "hedge": 0.0, "trust": 0.0},
    "floor_3k": {"closed_gmv": 0.0085, "tilt": 0.4},
    "mid_3k": {},
    "ceiling_50k": {"closed_gmv": 0.13, "tilt": 0.2},
    "tail_50k": {"closed_gmv": 0.02, "tilt": -0.6},
    "chill": {"closed_gmv": 0.13, "tilt": 0.2, "chill": 0.6, "deter": 0.3},
    "trust": {"closed_gmv": 0.13, "tilt": 0.2, "trust": 0.05},
    "pretrend": {"category_trend": 0.01, "trend_tie": -0.8, "by_spurt": 0.5},
    "few_treated": {"max_groups": 4},
    "stress": {
        "category_trend": 0.01,
        "trend_tie": -0.8,
        "by_spurt": 0.5,
        "partial": 0.3,
        "evasion": 0.4,
        "chill": 0.6,
        "trust": 0.05,
        "news_lead": 1,
        "noise": 0.3,
        "top_n": 2500,
        "unlinked": 0.5,
        "perimeter": -0.07,
    },
}


def chosen(preset: str, overrides: dict[str, Any] | None = None) -> Parameters:
    """Return the parameters of a preset, some overridden; an unknown preset is a DesignError."""
    if preset not in PRESETS:
        raise DesignError(
            f"preset {preset!r} of the simulated market was asked for; there is none, and real firms or brands are "
            f"never simulated by name; choose from {', '.join(PRESETS)}"
        )
    return Parameters().with_overrides(PRESETS[preset] | (overrides or {}))
