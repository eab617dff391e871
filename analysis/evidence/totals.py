"""Bounds on the closures' effect on Chinese sellers' growth, from published totals and shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Floats
from scipy import optimize, stats

from analysis import data, series
from analysis.estimate import Estimate
from analysis.numbers import day
from analysis.series import Series

AMAZON = "Amazon (own filings)"
# definitions
SALES_OR_TOP = (
    r"sales on |market share|top (?:[\d,]+ sellers|merchants|sellers, (?:mean of the US|number))"
)
FOUR_SITES = "mean of four sites"
TERMS = {
    "top sellers, mean of the US, British, German and Japanese sites": FOUR_SITES,
    "top 10,000 sellers on amazon.com": "10,000 on amazon.com",
    "top 10,000 sellers, site not stated": "10,000, no site named",
    "top 50,000 sellers on amazon.com": "50,000 and 100,000",
    "top 100,000 sellers on amazon.com": "50,000 and 100,000",
    "top merchants, number not stated": "“top merchants”",
    "top sellers, number not stated": "“top sellers”",
    "market share, not defined": "“market share”",
}
"""Definitions of the share of top sellers, in words that fit beside a line."""
BEFORE = ("2019-12", "2021-01")  # months of a share that no closure can have changed
FLOOR = "US dollars of yearly GMV (more than)"
ASSERTED = "yuan of losses (more than)"
TOP = "sellers suspended with over US$1m of sales a month"
SOURCE = ["source_publisher", "source_url"]
BOUNDS = {"at most": -np.inf, "at least": np.inf}  # open ends of readings that are bounds

DRAWS = 100_000

Range = tuple[float, float]


def _services() -> Series:
    name = "third_party_seller_services"
    return series.published(
        "platform_quarterly", platform="Amazon", publisher=AMAZON, freq="Q", series=name
    )


def rest_of_year(first: str) -> float:
    """Return the share of a year's sales made from a given day onwards.

    It is based on Amazon's quarterly revenue from third-party seller services.
    """
    return sold_between(first, f"{first[:4]}-12-31")


def sold_between(first: str, last: str) -> float:
    """Return the share of a year's sales made from one day to another, both included.

    It is based on Amazon's quarterly revenue from third-party seller services, spread evenly within
    a quarter.
    """
    start = pd.Timestamp(first)
    end = pd.Timestamp(last) + pd.Timedelta(days=1)
    quarters = _services().values[first[:4]]
    inside = []
    for quarter in quarters.index:
        quarter_end = (quarter + 1).start_time
        overlap = min(end, quarter_end) - max(start, quarter.start_time)
        inside.append(max(overlap / (quarter_end - quarter.start_time), 0.0))
    return float(quarters @ inside / quarters.sum())


def third_party_sales() -> Series:
    """Return Marketplace Pulse's estimates of yearly third-party sales on Amazon.

    They are in billion US dollars.
    """
    return _third_party("third-party GMV (estimate)")


def third_party_growth() -> Series:
    """Return the yearly growth of third-party sales as stated by Marketplace Pulse, in per cent.

    The totals may come from different vintages, so growth computed from them can differ from the
    growth stated.
    """
    return _third_party("yoy growth of third-party GMV (estimate)")


def _third_party(measure: str) -> Series:
    """Return a yearly measure for Amazon from the publisher of its 2020 third-party sales."""
    file = "platform_shift_evidence"
    sales = series.qualified_rows(file).query(
        "measure == 'third-party GMV (estimate)' and date == '2020'"
    )
    publisher = sales["publisher"].iloc[0]
    return series.published(file, measure=measure, platform="Amazon", publisher=publisher, freq="A")


def closed_sales(yuan_per_dollar: float) -> Range:
    """Return the range of closed accounts' yearly sales, in billion US dollars.

    The lower end is Marketplace Pulse's figure for the first suspended sellers (a floor for any
    count). The upper end is the loss that the trade group asserted ("more than"), converted from
    yuan.
    """
    events = data.load("events").set_index("unit")["quantity"]
    return events.loc[[FLOOR]].item() / 1e9, events.loc[[ASSERTED]].item() / 1e9 / yuan_per_dollar


def top_suspended() -> float:
    """Return a lower bound on the largest suspended sellers' yearly sales, in billion US dollars.

    These sold over $1 million a month.
    """
    return float(data.load("events").set_index("unit")["quantity"][TOP] * 12 / 1000)


def relative_change(before: pd.Series, after: pd.Series) -> pd.Series:
    """Return changes of shares in per cent of the share before.

    In this unit changes of shares with different bases can be compared: 2 points of 40 are 5 per
    cent, 1.8 of 9.8 are 18.
    """
    return 100 * (after / before - 1)


def share_changes() -> pd.DataFrame:
    """Return Chinese shares published before and after the closures on one page.

    Both have the same definition.

    Returns
    -------
    DataFrame
        `definition`, `marketplace`, `publisher`, `source_url`, `first`, `before`, `last`, `after`
        (per cent), `change` (points) and `relative` (per cent of the share before): every share of
        sales or of top sellers of December 2020 or January 2021 with one of September to December
        2021.
    """
    keys = ["definition", "marketplace", "publisher", "source_url"]
    frame = _sales_or_top()[[*keys, "date", "value"]]
    early = frame[frame["date"].between("2020-12", "2021-01")].rename(
        columns={"date": "first", "value": "before"}
    )
    late = frame[frame["date"].between("2021-09", "2021-12")].rename(
        columns={"date": "last", "value": "after"}
    )
    both = early.merge(late, on=keys)
    return both.assign(
        change=both["after"] - both["before"],
        relative=relative_change(both["before"], both["after"]),
    )


def published_shares() -> pd.DataFrame:
    """Return every published Chinese share of sales or of top sellers from before the closures.

    Shares of later months are left out, since the closures may have changed them. So are shares of
    new or of active sellers, who may sell little, and shares on one European site.

    Returns
    -------
    DataFrame
        `share` (0 to 1), `value` (per cent), `date`, `definition`, `evidence` and the source, by
        share; pages that print the same number under the same definition count once.
    """
    frame = _sales_or_top()
    columns = ["share", "value", "date", "definition", "evidence", "source_publisher", "source_url"]
    month = frame["date"].where(
        frame["date"].str.len() > len("2020"), frame["date"] + "-12"
    )  # a year ends with its last
    shares = frame[month.between(*BEFORE)].assign(share=frame["value"] / 100)[columns]
    return shares.drop_duplicates(["value", "definition"]).sort_values(
        ["value", "date"], ignore_index=True
    )


def shares_over_time() -> pd.DataFrame:
    """Return every published Chinese share of top sellers, of any month, and the one undefined.

    A year without a month stands in its middle. Pages that print the same number for the same month
    under the same definition count once. Shares on one European site are left out.

    Returns
    -------
    DataFrame
        `month`, `year` (with its fraction), `value` (per cent), `definition`, `term` (the same in a
        few words), `bound` and the source, by month.
    """
    frame = _sales_or_top().drop_duplicates(["date", "definition", "value"])
    frame = frame[frame["definition"].isin(TERMS) & frame["measure"].str.contains("Chin")]
    month = frame["date"].where(frame["date"].str.len() > len("2020"), frame["date"] + "-07")
    months = pd.PeriodIndex(month, freq="M")
    dated = frame.assign(
        month=months,
        year=months.year + (months.month - 1) / 12,
        term=frame["definition"].map(TERMS),
    )
    columns = ["month", "year", "value", "definition", "term", "bound", *SOURCE]
    return dated[columns].sort_values(["month", "value"], ignore_index=True)


def _sales_or_top() -> pd.DataFrame:
    """Return the published Chinese shares of sales or of top sellers, of any month."""
    frame = series.qualified_rows("origin_shares").query("unit == 'percent'")
    american = frame["measure"].str.contains("based in the US", regex=False)
    return frame[frame["definition"].str.match(SALES_OR_TOP) & ~american]


def stated_change() -> float:
    """Return the change in the Chinese share of sales as stated by Amazon, in percentage points."""
    stated = data.load("origin_shares").query("unit == 'percentage points, as stated'")
    return float(stated["value"].iloc[0])


def published_growth() -> pd.DataFrame:
    """Return every published reading of Chinese sellers' growth on Amazon in 2021, in per cent.

    Returns
    -------
    DataFrame
        `reading`, `dates` (2020 to 2021, or December 2020 to December 2021), `growth`, `provenance`
        ("real" as published, "estimate" as share times sales), `source`, `of` (sales or number of
        sellers), `bound` ("at least" for a lower bound), `low` and `high` (infinite where a bound
        leaves one side open). A share yields no reading if no sales are published for the same
        months.
    """
    year = float(third_party_growth().values["2021"])
    december = float(
        series.growth(_services()).values["2021Q4"]
    )  # of services, a proxy for sales in December
    by = f"Amazon's statement, times growth by {third_party_growth().publisher}"
    named = f"share of sales changed by {stated_change():g}, times sales"
    products = [(named, year, by, "sales, as stated", "2020 to 2021")]
    for row in share_changes().query("first == '2020-12' and last == '2021-12'").itertuples():
        counted = row.definition.partition(",")[0]
        if counted == "market share":
            share = counted
        else:
            share = f"share of {counted}"
        named = f"{share}, {row.before:g} to {row.after:g} %, times sellers' fees"
        growth = row.after / row.before * (100 + december) - 100
        of = "sales, by another share"
        products.append((named, growth, row.publisher, of, "December 2020 to December 2021"))
    derived = pd.DataFrame(products, columns=["reading", "growth", "source", "of", "dates"])
    names = {"measure": "reading", "value": "growth", "publisher": "source"}
    stated = (
        series.qualified_rows("origin_shares").query("unit == 'percent yoy'").rename(columns=names)
    )
    stated = stated.assign(provenance="real", of="number of sellers", dates="2020 to 2021")
    stated["bound"] = stated["bound"].replace({"lower": "at least", "upper": "at most"})
    columns = ["reading", "dates", "growth", "provenance", "source", "of", "bound"]
    readings = pd.concat(
        [derived.assign(provenance="estimate", bound="")[columns], stated[columns]],
        ignore_index=True,
    )
    low, high = (
        readings["growth"].where(readings["bound"] != bound, end) for bound, end in BOUNDS.items()
    )
    return readings.assign(low=low, high=high)


def amount_sources() -> pd.DataFrame:
    """Return the events that put a figure on the sales of closed accounts."""
    return data.load("events").query("unit in [@FLOOR, @ASSERTED]")


def growth_sources() -> pd.DataFrame:
    """Return the rows behind the shares, the growth readings and the sales of closed accounts.

    The column `source_url` contains their sources.
    """
    frame = data.load("origin_shares")
    used = frame["source_url"].isin(share_changes()["source_url"]) & frame["date"].between(
        "2020-12", "2021-12"
    )
    used |= frame["unit"].isin(["percent yoy", "percentage points, as stated"])
    return pd.concat([frame[used], amount_sources()], ignore_index=True)


@dataclass(frozen=True)
class Totals:
    """Quantities that determine the effect of the closures on growth (E3g).

    It is the growth of Chinese sellers on Amazon.

    Attributes
    ----------
    base : float
        Third-party sales in the base year, in any currency.
    share : (low, high)
        Chinese share of these sales, in (0, 1].
    closed : (low, high)
        Yearly sales of closed accounts, in the same currency.
    recapture : (low, high)
        Share of these sales that Chinese rivals on Amazon took over, in [0, 1].
    common : (low, high)
        Effect common to all Chinese sellers (trust, chilling, entry), in percentage points.
    left : float
        Share of the year's sales made after the closures, in (0, 1].

    Raises
    ------
    DesignError
        If a range is out of bounds or reversed.
    """

    base: float
    share: Range
    closed: Range
    recapture: Range = (0.0, 1.0)
    common: Range = (0.0, 0.0)
    left: float = 1.0

    def __post_init__(self) -> None:
        """Raise DesignError if a range is out of bounds or reversed."""
        ranges = {
            "share": ("the Chinese share", 1e-9, 1.0),
            "closed": ("closed accounts' sales", 0.0, np.inf),
        }
        ranges |= {
            "recapture": ("recapture", 0.0, 1.0),
            "common": ("the common part", -np.inf, np.inf),
        }
        for field, (name, low, high) in (
            ranges | {"left": ("the part of the year", 1e-9, 1.0)}
        ).items():
            first, last = (self.left, self.left) if field == "left" else getattr(self, field)
            if not low <= first <= last <= high:
                limits = f"it must lie within [{low}, {high}], with the lower end first"
                if field in ("left", "closed"):
                    do = "correct it"
                else:
                    do = f"change {field}_low or {field}_high"
                raise DesignError(
                    f"Cannot use {first} to {last} as the range of {name}: {limits}; {do}"
                )

    def lost(self, closed: Any, share: Any, left: Any) -> Any:
        """Return the sales lost by closed accounts, in points of Chinese sellers' growth.

        These are percentage points.

        The arguments may be arrays.
        """
        return 100 * left / self.base * closed / share

    @property
    def own(self) -> Range:
        """Range of :meth:`lost`, in percentage points of Chinese sellers' growth.

        Both ends are positive.
        """
        return self.lost(self.closed[0], self.share[1], self.left), self.lost(
            self.closed[1], self.share[0], self.left
        )

    def bounds(self, spared: float = 0.0) -> Range:
        """Bound the effect on growth over all ranges, in percentage points.

        The effect is ``-100 closed (1 - recapture) left / (base * share) + common``. If rivals may
        also have lost sales by the closures, `spared` is the least effect of this over a whole
        year, negative; only the part of the year left counts, as for closed accounts.
        """
        low, high = self.own
        lowest = min(self.left * spared - high * (1 - self.recapture[0]), 0.0)
        return lowest + self.common[0], -low * (1 - self.recapture[1]) + self.common[1]


def choices(
    known: Totals,
    share: float,
    *,
    falls: Sequence[float],
    days: tuple[str, str],
    marks: Mapping[float, str],
) -> pd.DataFrame:
    """Return the data for an HTML page that computes the effect at values chosen by the reader.

    Parameters
    ----------
    share : float
        Initial Chinese share.
    falls : sequence of float
        Falls in growth at which to draw the frontier, percentage points; the second one is the
        margin.
    days : (str, str)
        First and last mean date of closure.
    marks : mapping of float to str
        Label of each value: :func:`top_suspended` and both ends of :func:`closed_sales`.

    Returns
    -------
    DataFrame
        `what`, `name`, `value`, `low`, `high`, `label`, `description`, `source_publisher`,
        `source_url`: an "input" has an initial value and a range, a "mark" is a published value of
        an input, and a "number" is a constant (services by first day of a quarter).
    """
    events = data.load("events").set_index("unit")
    shares = published_shares().drop_duplicates("value")
    dated = shares["definition"] + ", " + shares["date"].map(day)
    low = 0.1 * np.floor(shares["value"].min() / 10)
    high = 0.1 * np.ceil(shares["value"].max() / 10)
    sold = (known.closed[0], min(marks), 10 * np.ceil(max(marks) / 10))
    ranges: dict[str, tuple[Any, ...]] = {
        "closed": sold,
        "share": (share, low, high),
        "recapture": (0, 0, 1),
    }
    ranges |= {"day": (days[0], *days), "common": (0, *known.common)}
    quarters = _services().values[days[0][:4]]
    base = third_party_sales().sources.query("period == '2020'")
    shown = [
        pd.DataFrame(ranges, index=["value", "low", "high"])
        .T.rename_axis("name")
        .reset_index()
        .assign(what="input"),
        events.loc[[TOP, FLOOR, ASSERTED]].assign(
            what="mark", name="closed", value=[*marks], label=[*marks.values()]
        ),
        shares.assign(what="mark", name="share", value=shares["share"], description=dated),
        base.assign(
            what="number", name="base", value=known.base, description="third-party sales in 2020"
        ),
        pd.DataFrame(
            {
                "what": "number",
                "name": quarters.index.start_time.strftime("%Y-%m-%d"),
                "value": [*quarters],
            }
        ),
        pd.DataFrame({"what": "number", "name": "fall", "value": falls}),
    ]
    columns = ["what", "name", "value", "low", "high", "label", "description", *SOURCE]
    return pd.concat(shown, ignore_index=True)[columns]


def bounds_by_assumption(known: Totals, *, share: float, spared: float, since: str) -> Estimate:
    """Bound the effect on growth (E3g) under successively stronger assumptions.

    In the first rung rivals that were not closed may have lost as much as household purchases
    allow, or gained all that closed accounts lost, and the common part takes its whole range. Each
    later rung keeps all assumptions above it, so its set lies inside.

    Parameters
    ----------
    known : Totals
        Ranges of all factors; its recapture is assumed from the fourth rung onwards.
    share : float
        Chinese share of sales assumed from the fourth rung onwards.
    spared : float
        Least growth through rivals that were not closed, over a whole year, percentage points.
    since : str
        Day of the first closure, as printed.

    Returns
    -------
    Estimate
        Rows with `term` (the step), `assumption`, `conf_low`, `conf_high` in percentage points of
        the base year; `estimate` is always NaN, since a set has no point estimate.

    Raises
    ------
    DesignError
        If `share` lies outside the range of shares.

    References
    ----------
    Manski, C. F. (2011), Policy analysis with incredible certitude, Economic Journal 121,
    F261-F289. Manski, C. F. and Pepper, J. V. (2000), Monotone instrumental variables, Econometrica
    68, 997-1010.
    """
    low, high = known.share
    closed = known.closed
    taken = known.recapture
    if not low <= share <= high:
        raise DesignError(
            f"Cannot assume a Chinese share of {share}: it is not between {low} and {high};"
            " correct it"
        )
    free = replace(known, recapture=(0.0, 1.0))
    narrow = replace(known, share=(share, share))
    rungs = {
        "whole year": (
            (
                f"Closed accounts lost {closed[0]:.1f} to {closed[1]:.1f} billion dollars of sales"
                f" in 2021; the Chinese share was {100 * low:g} to {100 * high:g} per cent"
            ),
            replace(free, left=1.0).bounds(spared),
        ),
        "purchases": (f"or sold that much a year, and lost it from {since}", free.bounds(spared)),
        "monotone": ("and Chinese rivals did not lose, fear and trust apart", free.bounds()),
        "recapture": (
            (
                f"and the Chinese share was {100 * share:g} per cent, and these rivals took over"
                f" {100 * taken[0]:g} to {100 * taken[1]:g} per cent of the closed accounts' sales"
            ),
            narrow.bounds(),
        ),
        "no common part": (
            "and fear or trust changed nothing",
            replace(narrow, common=(0.0, 0.0)).bounds(),
        ),
    }
    texts, sets = zip(*rungs.values(), strict=True)
    return Estimate(
        estimand="E3g",
        unit="percentage points",
        terms=tuple(rungs),
        value=np.full(len(rungs), np.nan),
        limits=np.array(sets).T,
        n=1,
        columns={"assumption": texts},
        interval="bounds",
        reason="sets from totals: there is no sample, hence no standard error",
    )


def steps(known: Totals, spared: float) -> pd.DataFrame:
    """Take the effect on growth from what closed accounts lost to all that may have followed.

    Each step keeps those before it, so that the last one has the bounds of `known`, with rivals
    that took over nothing to all.

    Parameters
    ----------
    spared : float
        Least growth through rivals that were not closed, over a whole year, percentage points.

    Returns
    -------
    DataFrame
        `step`, and `worst` and `best` so far, in percentage points.
    """
    free = replace(known, recapture=(0.0, 1.0))
    sets = {
        "closed accounts’ own sales": replace(
            known, recapture=(0.0, 0.0), common=(0.0, 0.0)
        ).bounds(),
        "rivals": replace(free, common=(0.0, 0.0)).bounds(spared),
        "fear or trust": free.bounds(spared),
    }
    rows = [(name, *ends) for name, ends in sets.items()]
    return pd.DataFrame(rows, columns=["step", "worst", "best"])


def by_prior(
    known: Totals, *, dates: tuple[str, str], fall: float, shares: Floats | None = None
) -> list[float]:
    """Compute the probability of a fall in growth under two priors, in per cent.

    The priors are for unmeasured quantities.

    The Chinese share, recapture in [0, 1], the common part and the mean date of closure are uniform
    in their ranges; the sales of closed accounts are uniform in logs (first result) or in their
    range (second).

    Parameters
    ----------
    dates : (str, str)
        First and last day of the range of mean dates.
    fall : float
        Fall in growth, percentage points; the result is the probability that the true fall is
        larger.
    shares : float64[draw], optional
        `DRAWS` draws of the Chinese share, in place of a uniform one in its range.
    """
    rng = np.random.default_rng(0)
    between = (
        known.share,
        (0.0, 1.0),
        (rest_of_year(dates[1]), rest_of_year(dates[0])),
        known.common,
        known.closed,
    )
    share, recapture, left, common, uniform = (
        rng.uniform(low, high, DRAWS) for low, high in between
    )
    logs = rng.uniform(np.log(known.closed[0]), np.log(known.closed[1]), DRAWS)
    if shares is not None:
        share = shares
    effects = (
        known.lost(closed, share, left) * (recapture - 1) + common
        for closed in (np.exp(logs), uniform)
    )
    return [float(100 * np.mean(effect < -fall)) for effect in effects]


def closed_share(accounts: float, population: float, *, sd_log_sales: float, tilt: float) -> float:
    """Return the closed accounts' share of sales if closure depends on size, in [0, 1].

    Sales S are log-normal and an account closes with probability ``min(1, c S^tilt)``, where c
    solves ``E[min(1, c S^tilt)] = accounts / population``. The share is
    ``E[S min(1, c S^tilt)] / E[S]``, from the moments of a truncated log-normal. As long as hardly
    any account is certain to close, it is close to ``accounts / population * exp(tilt sd²)``; it
    never exceeds the share of the very largest accounts.

    Parameters
    ----------
    accounts, population : float
        Numbers of closed accounts and of all accounts.
    sd_log_sales : float
        Standard deviation of log sales.
    tilt : float
        0 closes accounts at random, 1 in proportion to sales, up to certainty.

    Raises
    ------
    DesignError
        If none or all of the accounts are closed.
    """
    if not 0 < accounts < population:
        raise DesignError(
            f"Cannot close {accounts} of {population} accounts; close at least one but not all"
        )
    # log probability per standard deviation of log S
    fraction = accounts / population
    slope = tilt * sd_log_sales
    if slope == 0:
        return fraction

    def certain_and_below(minus_log_c: float, shift: float) -> float:
        """Return the mean probability of closure, with accounts weighted by ``exp(shift z)``."""
        kink = minus_log_c / slope - shift
        below = slope**2 / 2 + slope * shift - minus_log_c + stats.norm.logcdf(kink - slope)
        return float(stats.norm.sf(kink) + np.exp(below))

    # The root lies between closing only the largest, for certain, and no cap at all; 1 more at each
    # end for rounding.
    ends = slope * stats.norm.isf(fraction) - 1, slope**2 / 2 - np.log(fraction) + 1
    cutoff = optimize.brentq(lambda u: certain_and_below(u, 0.0) - fraction, *ends, xtol=1e-13)
    return certain_and_below(cutoff, sd_log_sales)


def held(
    accounts: float, population: float, sd_log_sales: float, tilts: Sequence[float] = (0.0, 1.0)
) -> list[float]:
    """Return closed accounts' share of sales, in per cent, for each tilt."""
    return [
        100 * closed_share(accounts, population, sd_log_sales=sd_log_sales, tilt=tilt)
        for tilt in tilts
    ]
