"""What the published sums of closed accounts' sales can mean.

There is a floor from several sources, and a check of a loss.
"""

from __future__ import annotations

import pandas as pd
from fewtreated.errors import DesignError

from analysis import data
from analysis.evidence.totals import sold_between, third_party_sales

FIRST_ACCOUNTS = "E017"  # more than US$1bn a year, by mid-May
FIRST_SEEN = "E016"  # the day by which these accounts were closed
CLAIMED_FOR = (
    "2021-05-01",
    "2021-06-30",
)  # of the trade group's loss: about two months since May, event E053
SUNVALLEY = {"sales": "E004", "part": "E035", "closed": "E034", "all closed": "E099"}
YOUKESHU = {"sales": "E003", "part": "E045", "closed": "E044"}


def floor_from_below(yuan_per_dollar: float) -> pd.DataFrame:
    """Add up what is published of closed accounts' yearly sales on Amazon.

    No account is counted twice.

    The first accounts were closed by mid-May 2021. Sunvalley's and Youkeshu's closed later, so they
    are not among them. The same sum was published again in July, for nearly 300 accounts that
    include Sunvalley's: it is not added.

    Parameters
    ----------
    yuan_per_dollar : float
        Exchange rate for Youkeshu's sales.

    Returns
    -------
    DataFrame
        `seller`, `closed` (day of closure), `low` and `high` in billion US dollars a year, `events`
        and `note`. The sum of `low` is a floor. In `high` all of Sunvalley's sales count, since all
        of its six brands were barred in 2021.

    Raises
    ------
    DesignError
        If Sunvalley or Youkeshu closed no later than the first accounts, and may be among them.
    """
    events = data.load("events").set_index("event_id")
    amount = events["quantity"]
    first_seen = events.loc[FIRST_SEEN, "date"]
    for seller in (SUNVALLEY, YOUKESHU):
        if (closed := events.loc[seller["closed"], "date"]) <= first_seen:
            raise DesignError(
                f"Cannot add event {seller['sales']} to the first accounts: it closed on {closed},"
                f" and these by {first_seen}, so it may be counted twice; leave it out"
            )
    sunvalley = amount[SUNVALLEY["sales"]] / 1e9
    youkeshu = amount[YOUKESHU["sales"]] / 1e9 / yuan_per_dollar * amount[YOUKESHU["part"]] / 100
    first = amount[FIRST_ACCOUNTS] / 1e9
    rows = [
        ("first accounts", first_seen, first, first, [FIRST_ACCOUNTS, FIRST_SEEN], "more than"),
        (
            "Sunvalley",
            events.loc[SUNVALLEY["closed"], "date"],
            sunvalley * amount[SUNVALLEY["part"]] / 100,
            sunvalley,
            [*SUNVALLEY.values()],
            "low: the products hit in June, about a third; high: all six brands",
        ),
        (
            "Youkeshu",
            events.loc[YOUKESHU["closed"], "date"],
            youkeshu,
            youkeshu,
            [*YOUKESHU.values()],
            "the closed part of its sites, taken for a part of its sales",
        ),
    ]
    return pd.DataFrame(rows, columns=["seller", "closed", "low", "high", "events", "note"])


def against_all_sales(loss: float, share: float, first: str, last: str) -> dict[str, float]:
    """Compare a loss with all that Chinese sellers sold on Amazon.

    The comparison is over some days and over the year.

    Parameters
    ----------
    loss : float
        Sales said to be lost between these days, billion US dollars.
    share : float
        Chinese share of third-party sales, in (0, 1].
    first, last : str
        First and last day, in one year.

    Returns
    -------
    dict of str to float
        `sold` between these days, billion US dollars, the loss as a share of it, `part`, and as a
        share of the year's sales, `part of year`, both in per cent.
    """
    year = float(third_party_sales().values[first[:4]]) * share
    sold = year * sold_between(first, last)
    return {"sold": sold, "part": 100 * loss / sold, "part of year": 100 * loss / year}
