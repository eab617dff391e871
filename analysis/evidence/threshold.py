"""What closed accounts must have sold for a given fall in growth.

It is given by Chinese share, date of closure and horizon.

This is no bound: each threshold holds for one share, one mean date and one horizon, none of which
is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd
from fewtreated.errors import DesignError

from analysis import data
from analysis.evidence.totals import published_shares, sold_between
from analysis.numbers import points


def claim_day() -> str:
    """Return the day on which Amazon said that the closures did no harm to growth."""
    return str(data.load("claims").set_index("claim_id").loc["C01", "date"])


def thresholds(
    base: float,
    falls: Sequence[float],
    *,
    days: Sequence[str],
    shares: Sequence[float],
    until: Sequence[str],
) -> pd.DataFrame:
    """Tabulate the yearly sales of closed accounts that would lower growth by so many points.

    The sales are net of recapture.

    Growth is that of January to the last day of the horizon, on the same days of the year before.
    There is no effect common to all sellers. The threshold is about
    ``fall / 100 * base * elapsed * share / remaining``, where `elapsed` is the part of the base
    year up to the same day, and `remaining` the part of the year between closure and that day.

    Parameters
    ----------
    base : float
        Third-party sales in the year before, in any currency.
    falls : sequence of float
        Falls in growth, percentage points.
    days : sequence of str
        Mean dates of closure.
    shares : sequence of float
        Chinese shares of sales, in (0, 1].
    until : sequence of str
        Last days of the horizon: 31 December for the calendar year, or an earlier day.

    Returns
    -------
    DataFrame
        `day`, `until`, `share`, and one column for each fall, in the currency of `base` a year.

    Raises
    ------
    DesignError
        If an account closes after the horizon.

    References
    ----------
    Masten, M. A. and Poirier, A. (2020), Inference on breakdown frontiers, Quantitative Economics
    11, 41-111.
    """
    table = pd.DataFrame(product(days, until, shares), columns=["day", "until", "share"])
    if late := [f"{day} after {last}" for day, last in product(days, until) if day > last]:
        raise DesignError(
            f"Cannot compute a threshold for accounts closed on {late[0]}; choose an earlier date"
        )
    for fall in falls:
        table[fall] = [
            fall
            / 100
            * base
            * row.share
            * _part_of_year_before(row.until)
            / sold_between(row.day, row.until)
            for row in table.itertuples()
        ]
    return table


def mean_dates(first: str) -> list[str]:
    """Return mean dates of closure.

    They are the first closure, and each first of a month from there to the claim.
    """
    months = pd.date_range(first, claim_day(), freq="MS")
    return sorted({first, *months.strftime("%Y-%m-%d")})


def by_published_share(
    base: float, fall: float, *, days: Sequence[str], shares: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Tabulate the threshold for every published share, over two horizons.

    They are the calendar year, and the year up to the day of the claim. A mean date after the day
    of the claim has the calendar year alone. Other `shares`, in the same columns, may take the
    place of the published ones.

    Returns
    -------
    DataFrame
        The columns of :func:`analysis.evidence.totals.published_shares`, `day`, `until`, and
        `needed`: closed sales a year, net of recapture, in the currency of `base`.
    """
    if shares is None:
        shares = published_shares()
    parts = []
    for until in (f"{days[0][:4]}-12-31", claim_day()):
        within = [day for day in days if day <= until]
        parts.append(
            thresholds(
                base, [fall], days=within, shares=shares["share"].unique().tolist(), until=[until]
            )
        )
    table = pd.concat(parts, ignore_index=True).rename(columns={fall: "needed"})
    return shares.merge(table, on="share")


def as_estimates(needed: pd.DataFrame, fall: float) -> pd.DataFrame:
    """Return the table of :func:`by_published_share` as rows for the file of estimates."""
    labels = [
        f"Chinese share {row.value:g} per cent ({row.definition}, {row.date}), accounts closed on"
        f" {row.day}"
        for row in needed.itertuples()
    ]
    return needed.assign(
        estimand=f"closed sales that a fall of {points(fall)} needs",
        label=labels,
        estimate=needed["needed"],
        unit="billion US dollars a year",
        window=[f"growth from January to {until}" for until in needed["until"]],
        provenance="estimate",
        reason="one share, one mean date and one horizon: no bound and no interval",
    )


def _part_of_year_before(last: str) -> float:
    """Return the share of the sales of the year before that was made up to the same day."""
    year = int(last[:4]) - 1
    return sold_between(f"{year}-01-01", f"{year}{last[4:]}")
