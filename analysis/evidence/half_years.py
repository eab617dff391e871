"""Listed sellers' growth by length of period, closed sellers against others.

Periods are a year, nine months, a half-year and a quarter.

A yearly comparison cannot say when a gap opened. Half-years and quarters can: most closures came
after June 2021, so that the first half of 2021 shows how far the sellers had parted before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from fewtreated.errors import DataError, DesignError
from fewtreated.estimators.synthetic import permutation_did

from analysis import data, series
from analysis.estimate import Estimate
from analysis.evidence import listed

YEAR = "year"
HALF_YEAR = "half-year"
NINE_MONTHS = "nine months"
QUARTER = "quarter"
SPANS = (YEAR, HALF_YEAR, NINE_MONTHS, QUARTER)

# What is computed from figures that are cumulative from January: the end of a period, less what had
# been sold before.
STEPS: dict[str, dict[str, tuple[str, str]]] = {
    YEAR: {"": ("year", "")},
    HALF_YEAR: {"H1": ("H1", ""), "H2": ("year", "H1")},
    NINE_MONTHS: {"Q1-Q3": ("Q1-Q3", "")},
    QUARTER: {"Q1": ("Q1", ""), "Q2": ("H1", "Q1"), "Q3": ("Q1-Q3", "H1"), "Q4": ("year", "Q1-Q3")},
}
# Sunvalley's owner also makes hardware, whose revenue it publishes by year
OWNER = "Xinghui (SACA) / Sunvalley (Zebao)"
CUMULATIVE = r"(?P<year>\d{4})(?P<end>Q1|H1|Q1-Q3)?"


def declared_series() -> pd.DataFrame:
    """Return the series of each seller for periods below a year.

    Sellers that have none are returned with the reason for it.

    The columns are those of ``half_year_series.csv``.
    """
    return data.load("half_year_series")


def published_rows() -> pd.DataFrame:
    """Return the rows of listed_sellers.csv behind the comparisons.

    The column `name` is the short name of the seller.
    """
    firms = listed.design().set_index("name")["firm"]
    wanted = (
        declared_series()
        .dropna(subset="measure")
        .assign(firm=lambda frame: frame["name"].map(firms))
    )
    keys = ["firm", "measure", "publisher"]
    return series.qualified_rows("listed_sellers").merge(wanted[["name", *keys]], on=keys)


def stand_alone(cumulative: pd.Series, span: str) -> pd.Series:
    """Turn figures that are cumulative from January into figures of each period.

    With ``C(e)`` the sum from January to the end ``e`` of a period, a period that begins after the
    end ``b`` has ``C(e) - C(b)``. The second half-year is the year less the first half, and the
    second quarter the first half less the first quarter.

    Parameters
    ----------
    cumulative : float64[period]
        Periods are written as 2021Q1, 2021H1, 2021Q1-Q3 and 2021. All other periods are left out.
    span : {"year", "half-year", "nine months", "quarter"}
        The length of the periods wanted.

    Returns
    -------
    float64[period]
        In the unit of `cumulative`, by period in order; a period is left out if one of its two ends
        is not published.

    Raises
    ------
    DesignError
        If the span is none of these.
    DataError
        If a later sum is smaller than an earlier one.

    Examples
    --------
    >>> stand_alone(pd.Series({"2021H1": 3.0, "2021": 10.0}), "half-year").to_dict()
    {'2021H1': 3.0, '2021H2': 7.0}
    """
    if span not in SPANS:
        raise DesignError(f"Cannot compare periods of {span!r}; choose from {', '.join(SPANS)}")
    matched = [
        (re.fullmatch(CUMULATIVE, str(period)), value) for period, value in cumulative.items()
    ]
    known = {
        (found["year"], found["end"] or "year"): float(value) for found, value in matched if found
    }
    apart = {}
    for year in sorted({year for year, _ in known}):
        for name, (end, begin) in STEPS[span].items():
            if (year, end) not in known or (begin and (year, begin) not in known):
                continue
            value = known[year, end] - (known[year, begin] if begin else 0.0)
            if value < 0:
                wrong = f"the sum to the end of {year}{name} is smaller than the sum before it"
                raise DataError(
                    f"Cannot compute revenue of {year}{name}: {wrong}; correct listed_sellers.csv"
                )
            apart[f"{year}{name}"] = value
    return pd.Series(apart, dtype=float)


def revenue_by_period(span: str) -> pd.DataFrame:
    """Return each seller's revenue by period, in millions of its own currency.

    The frame is float64[period, seller].

    Sellers are in the order of the design, closed ones first. Figures that are not published are
    NaN. Years are those of :func:`analysis.evidence.listed.revenues`, which has more sellers, and
    the sellers rather than their owners. Raises DesignError if the span is unknown.
    """
    if span == YEAR:
        yearly = listed.revenues()
        return yearly.set_axis(yearly.index.astype(str)).rename_axis("period")
    published = published_rows()
    wide = {
        name: stand_alone(mine.set_index("period")["value"], span)
        for name, mine in published.groupby("name", sort=False)
    }
    order = [name for name in listed.design()["name"] if name in wide and not wide[name].empty]
    return pd.DataFrame({name: wide[name] for name in order}).sort_index().rename_axis("period")


def log_growth(span: str) -> pd.DataFrame:
    """Return the change in log revenue on the same period of the year before.

    The frame is float64[period, seller].

    ``g(i, t) = log R(i, t) - log R(i, t - 1 year)``, NaN where one of the two is not published.
    Periods without any figure are left out.
    """
    level = np.log(revenue_by_period(span))
    before = level.set_axis([f"{int(period[:4]) + 1}{period[4:]}" for period in level.index])
    return (level - before.reindex(level.index)).dropna(how="all")


def growth_by_period(span: str) -> pd.DataFrame:
    """Return growth on the same period of the year before, in per cent, float64[period, seller]."""
    return 100 * np.expm1(log_growth(span))


def compare(
    span: str,
    period: str,
    *,
    since: str = "",
    closed: Sequence[str] = (),
    against: Sequence[str] = (),
    level: float,
) -> Estimate:
    r"""Compare the growth of closed sellers with that of others in one period.

    The test is an exact permutation test.

    .. math::

        \hat\tau(t) = \frac{1}{N_1} \sum_{i \in closed} g(i, t)
        - \frac{1}{N_0} \sum_{i \in others} g(i, t)

    with ``g`` from :func:`log_growth`. With `since`, ``g(i, t) - g(i, since)`` replaces
    ``g(i, t)``: how far the gap widened between two periods. The test compares the estimate with
    that of every other choice of as many sellers. With one closed seller of N, no p-value below 1 /
    N is possible.

    Parameters
    ----------
    span : {"year", "half-year", "nine months", "quarter"}
        Length of the periods.
    period, since : str
        Periods, for example 2021H2; sellers without growth for them are left out.
    closed : sequence of str, optional
        Sellers that count as closed; by default those of the design.
    against : sequence of str, optional
        The others; by default every seller that disclosed no closure and does not count as closed.
    level : float
        Coverage of the permutation interval.

    Returns
    -------
    Estimate
        Row ``did`` in log points, with `rank` (1 = furthest behind), `p_lower` and `p_smallest`;
        ``details["changes"]`` has `firm`, `change` and `closed`, sorted by `change`.

    Raises
    ------
    DesignError
        If no seller has growth for a period, or none of one of the two groups has.

    References
    ----------
    MacKinnon, J. G. and Webb, M. D. (2020), Journal of Econometrics 218, 435-450.
    """
    grown = log_growth(span)
    for wanted in filter(None, (period, since)):
        if wanted not in grown.index:
            there = ", ".join(grown.index)
            raise DesignError(
                f"Cannot compare growth in {wanted}: no seller has it; choose from {there}"
            )
    hit, others = _groups(closed, against)
    change = grown.loc[period] - (grown.loc[since] if since else 0.0)
    seen = change[change.index.isin([*hit, *others])].dropna()
    is_closed = seen.index.isin(hit)
    groups = (("closed", hit, is_closed), ("other", others, ~is_closed))
    for group, names, inside in groups:
        if not inside.any():
            missing = f"no {group} seller ({', '.join(names)}) has growth for {period}"
            raise DesignError(
                f"Cannot compare growth in {period}: {missing}; choose another period or other"
                " sellers"
            )
    comparison = permutation_did(seen.to_numpy(), is_closed, level=level, unit="log points")
    changes = pd.DataFrame({"firm": seen.index, "change": seen.to_numpy(), "closed": is_closed})
    details = {**comparison.details, "changes": changes.sort_values("change", ignore_index=True)}
    return Estimate.of(comparison, estimand="E1a", details=details)


def _groups(closed: Sequence[str], against: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the sellers that count as closed, and those to compare them with."""
    hit = [*(closed or listed.closed_names())]
    undisclosed = listed.design().query("role == 'not_closed'")["name"]
    return hit, [*(against or [name for name in undisclosed if name not in hit])]


def comparisons_by_period(
    span: str, *, closed: Sequence[str] = (), against: Sequence[str] = (), level: float
) -> pd.DataFrame:
    """Compare closed sellers with others in every period in which both have figures.

    Parameters
    ----------
    span : {"year", "half-year", "nine months", "quarter"}
        Length of the periods.
    closed, against : sequence of str, optional
        As in :func:`compare`.
    level : float
        Coverage of the permutation intervals.

    Returns
    -------
    DataFrame
        By `period`: `closed` and `others`, the mean growth of each group (geometric, per cent);
        `gap`, the one against the other (per cent); `firms`, how many sellers of both groups;
        `rank` among `assignments`; `p_lower`, one-sided towards a fall; and `p_smallest`, the
        smallest that so few sellers allow.
    """
    found = []
    hit, others = _groups(closed, against)
    for period, grown in log_growth(span).iterrows():
        has_growth = set(grown.dropna().index)
        if not (has_growth & {*hit} and has_growth & {*others}):
            continue
        estimate = compare(span, str(period), closed=closed, against=against, level=level)
        row = estimate.row("did")
        changes = estimate.details["changes"]
        mean = changes.groupby("closed")["change"].mean()
        found.append(
            {
                "period": period,
                "closed": 100 * np.expm1(mean[True]),
                "others": 100 * np.expm1(mean[False]),
                "gap": 100 * np.expm1(row["estimate"]),
                "firms": len(changes),
                "rank": row["rank"],
                "assignments": estimate.counts["assignments"],
                "p_lower": row["p_lower"],
                "p_smallest": row["p_smallest"],
            }
        )
    return pd.DataFrame(found).set_index("period")


def without_hardware(year: str, first_half: float | None = None) -> pd.DataFrame:
    """Estimate Sunvalley's half-years by taking the hardware out of its owner's.

    The owner gives hardware by year, and for the first half of the next year with its growth. That
    of the year before is the year's, from its growth, times the part that fell into the first half.

    Parameters
    ----------
    year : str
        The year, for example 2021.
    first_half : float, optional
        Part of the hardware of the year before that was sold in its first half, in [0, 1]; by
        default that of `year`.

    Returns
    -------
    DataFrame
        By half-year ("H1", "H2"): `before`, `after` (million yuan) and `growth` (per cent). All are
        estimates; what is neither hardware nor cross-border counts as cross-border.

    Raises
    ------
    DataError
        If the owner's figures for the year are not published.
    DesignError
        If the part is not between 0 and 1.
    """
    if first_half is not None and not 0 <= first_half <= 1:
        raise DesignError(
            f"Cannot sell {first_half:g} of a year's hardware in its first half; choose 0 to 1"
        )
    own = {"firm": OWNER, "measure": "revenue_hardware"}
    rate = {"firm": OWNER, "measure": "revenue_hardware_yoy"}
    last = str(int(year) - 1)
    following = f"{int(year) + 1}H1"
    one_year = {"freq": "A", "first": year, "last": year}
    next_half = {"freq": "H", "first": following, "last": following}
    whole = series.published("listed_sellers", **own, **one_year)
    whole_rate = series.published("listed_sellers", **rate, **one_year)
    half = series.published("listed_sellers", **own, **next_half)
    half_rate = series.published("listed_sellers", **rate, **next_half)
    hardware = whole.points.loc[year, "value"]
    hardware_before = series.from_growth(whole, whole_rate).points.loc[last, "value"]
    in_first = series.from_growth(half, half_rate).points.loc[f"{year}H1", "value"]
    if first_half is None:
        part = in_first / hardware
    else:
        part = first_half
    group = revenue_by_period(HALF_YEAR)["Sunvalley"]
    before = {
        "H1": group[f"{last}H1"] - part * hardware_before,
        "H2": group[f"{last}H2"] - (1 - part) * hardware_before,
    }
    after = {"H1": group[f"{year}H1"] - in_first, "H2": group[f"{year}H2"] - (hardware - in_first)}
    found = pd.DataFrame({"before": before, "after": after})
    return found.assign(growth=100 * (found["after"] / found["before"] - 1))
