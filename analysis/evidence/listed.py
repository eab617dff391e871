"""Listed sellers: what their shares did at the closures, and what their revenue did after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import facts
from analysis.errors import DataError, DesignError
from analysis.inference import Estimate
from analysis.returns import Window, abnormal_returns, market_rank
from analysis.synthetic import Method, permutation_did, synthetic_did

HALF_DIGIT = 5e-5  # daily returns are published with four decimals


def _matrix() -> tuple[pd.DataFrame, pd.Series]:
    """Return of each listed seller by firm and day, and of the market by day."""
    market = facts.load("market_stock_returns").set_index("date")["market_return"]
    shares = facts.load("seller_stock_returns")
    return shares.pivot(index="firm", columns="date", values="daily_return").reindex(columns=market.index), market


def _columns(days: pd.Index, first: str, last: str) -> Window:
    inside = np.flatnonzero((days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last)))
    if not len(inside):
        raise DesignError(f"a window from {first} to {last} was asked for; no trading day lies in it; move it")
    return int(inside[0]), int(inside[-1]) + 1


def short_name(firm: str) -> str:
    """Return the name of the seller where the file gives the listed owner first: "Owner / Seller (brand)"."""
    return firm.rsplit(" / ", maxsplit=1)[-1].split(" (", maxsplit=1)[0]


def share_prices(estimation_first: str, estimation_last: str, *, level: float) -> Estimate:
    """Return abnormal returns of all listed sellers in every window whose market ranks are known.

    Parameters
    ----------
    estimation_first, estimation_last : str
        Days of the estimation window; windows that begin before its end are left out.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Estimate
        Rows as :func:`analysis.returns.abnormal_returns`, in per cent, with `exposed`, `first_day`, `last_day`,
        `rank_low`, `rank_high` and `n_stocks` in the market.
    """
    shares, market = _matrix()
    ranks = facts.load("market_car_ranks")
    windows = ranks.drop_duplicates("window").set_index("window")
    windows = windows[windows["first_day"] > pd.Timestamp(estimation_last)].sort_values("first_day")
    spans = {
        name: _columns(market.index, row["first_day"], row["last_day"])
        for name, row in windows.to_dict("index").items()
    }
    found = abnormal_returns(
        shares.to_numpy(),
        market.to_numpy(),
        estimation=_columns(market.index, estimation_first, estimation_last),
        event=spans,
        firms=list(shares.index),
        level=level,
    )
    exposed = facts.load("seller_stock_returns").drop_duplicates("firm").set_index("firm")["exposed"]
    rows = found.rows.join(windows[["first_day", "last_day", "n_stocks"]], on="window")
    rows = rows.assign(exposed=rows["firm"].map(exposed), seller=rows["firm"].map(short_name))
    rows[["rank_low", "rank_high"]] = [_ranked(row, ranks) for row in rows.to_dict("records")]
    scaled = ["estimate", "std_error", "conf_low", "conf_high"]
    rows[scaled] = 100 * rows[scaled]
    return replace(found, rows=rows, unit="per cent", details={**found.details, "days": market.index, "shares": shares})


def _ranked(row: dict[str, object], ranks: pd.DataFrame) -> tuple[float, float]:
    value = float(row["estimate"])  # type: ignore[arg-type]
    if np.isnan(value):
        return np.nan, np.nan
    known = ranks[ranks["window"] == row["window"]]
    return market_rank(
        value,
        known["rank"].to_numpy(),
        known["cumulative_abnormal_return"].to_numpy(),
        int(known["n_stocks"].iloc[0]),
        rounding=HALF_DIGIT * int(row["n"]),  # type: ignore[call-overload]
    )


def price_paths(found: Estimate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return cumulative abnormal returns around each event: the market's quantiles, and the shares it names.

    Parameters
    ----------
    found : Estimate
        From :func:`share_prices`.

    Returns
    -------
    market : DataFrame
        `event`, `day` (trading days from the event), `quantile`, `value` in per cent.
    shares : DataFrame
        `event`, `day`, `term` (seller), `value` in per cent. An event that names a seller shows that one; the first
        wave, which names no listed one, shows those for which no closure was disclosed.
    """
    paths = facts.load("market_car_paths").rename(columns={"event_day": "day"})
    market = paths.assign(value=100 * paths["cumulative_abnormal_return"])[["event", "day", "quantile", "value"]]
    exposed = found.rows.drop_duplicates("firm").set_index("firm")["exposed"]
    days, firms = found.details["days"], list(found.details["shares"].index)
    parts = []
    for event, group in paths.drop_duplicates(["event", "day"]).groupby("event", sort=False):
        named = [firm for firm in firms if str(event) in firm.lower()]
        for firm in named or [firm for firm in firms if exposed[firm] == "not_closed"]:
            places = days.get_indexer(group["date"])
            path = np.cumsum(found.details["abnormal"][firms.index(firm), places])
            parts.append(
                pd.DataFrame({"event": event, "day": group["day"], "term": short_name(firm), "value": 100 * path})
            )
    return market, pd.concat(parts, ignore_index=True)


def design() -> pd.DataFrame:
    """Return which listed firms enter the revenue comparison, in which role, and why."""
    return facts.load("listed_design")


def revenues() -> tuple[pd.DataFrame, dict[str, facts.Series]]:
    """Return yearly revenue of the firms in the design.

    Returns
    -------
    wide : DataFrame of float64[year, firm]
        Million yuan, NaN where a year is not published; columns are short names, closed firms first.
    series : dict of str to Series
        By short name: sources and derivation.
    """
    used = design().query("role != 'left_out'")
    series = {
        row["name"]: facts.splice(row["series"])
        if row["source"] == "splice"
        else facts.series("listed_sellers", firm=row["firm"], measure=row["series"], freq="A")
        for row in used.to_dict("records")
    }
    wide = pd.DataFrame({name: one.values.set_axis(one.values.index.year) for name, one in series.items()})
    return wide.sort_index(), series


def closed_names() -> list[str]:
    """Return the short names of closed firms in the design."""
    return list(design().query("role == 'closed'")["name"])


def revenue_change(before: int, after: int, *, level: float) -> Estimate:
    """Return the exact-permutation comparison of log revenue changes of closed and spared firms.

    Parameters
    ----------
    before, after : int
        Years; firms without both are left out and named in ``details["absent"]``.
    level : float
        Coverage of the permutation interval.

    Returns
    -------
    Estimate
        Row ``did`` in log points; ``details["changes"]``: `firm`, `change`, `closed`, lowest first.
    """
    wide, _ = revenues()
    change = np.log(wide.loc[after] / wide.loc[before])
    seen = change.dropna()
    closed = seen.index.isin(closed_names())
    found = permutation_did(seen.to_numpy(), closed, level=level, unit="log points")
    changes = pd.DataFrame({"firm": seen.index, "change": seen.to_numpy(), "closed": closed})
    absent = sorted(set(change.index) - set(seen.index))
    details = {**found.details, "changes": changes.sort_values("change", ignore_index=True), "absent": absent}
    return replace(found, estimand="E1a", details=details)


def leave_one_out(before: int, after: int, *, level: float) -> pd.DataFrame:
    """Return the difference again with each firm left out in turn: `left_out`, `estimate`, `rank`, `assignments`."""
    changes = revenue_change(before, after, level=level).details["changes"]
    rows = []
    for place, name in enumerate(changes["firm"]):
        rest = changes.drop(index=place)
        found = permutation_did(rest["change"].to_numpy(), rest["closed"].to_numpy(), level=level)
        row = found.rows.iloc[0]
        rows.append(
            {
                "left_out": name,
                "estimate": row["estimate"],
                "rank": row["rank"],
                "assignments": found.counts["assignments"],
            }
        )
    return pd.DataFrame(rows)


def synthetic(firm: str, first_post: int, method: Method, *, level: float) -> Estimate:
    """Return synthetic difference-in-differences of one closed firm's log revenue against the spared firms.

    Only years that the firm and at least two spared firms have are used; spared firms without all of these are left
    out. ``details["donors"]`` names them with their weights, ``details["years"]`` lists the years.
    """
    wide, _ = revenues()
    years = wide.index[wide[firm].notna()]
    donors = [name for name in wide.columns if name not in closed_names() and wide.loc[years, name].notna().all()]
    panel = np.log(wide.loc[years, [firm, *donors]].to_numpy().T)
    treated = np.arange(len(donors) + 1) == 0
    found = synthetic_did(
        panel, treated, int(np.searchsorted(years, first_post)), method=method, level=level, unit="log points"
    )
    weights = pd.Series(found.details["unit_weights"], index=donors)
    return replace(found, details={**found.details, "donors": weights, "years": list(years)})


def damage(firm: str, share_closed: float, *, level: float) -> pd.DataFrame:
    """Compare mechanical with actual damage in the year of closure (E1e).

    Mechanical: the closed part's share of revenue times the part of the year after the closure. Actual: the raw
    change of revenue, and the change against the mean log change of the spared firms.

    Parameters
    ----------
    firm : str
        Short name in the design, with its day of closure.
    share_closed : float
        Share of the firm's revenue in what was closed, in (0, 1].
    level : float
        Carried to the comparison.

    Returns
    -------
    DataFrame
        `measure`, `change` in per cent, `multiple` of the mechanical loss.
    """
    row = design().set_index("name").loc[firm]
    closed = pd.Timestamp(row["closed_on"])
    left = (pd.Timestamp(closed.year, 12, 31) - closed).days + 1
    mechanical = -100 * share_closed * left / (366 if closed.is_leap_year else 365)
    changes = revenue_change(closed.year - 1, closed.year, level=level).details["changes"].set_index("firm")
    own = float(changes.loc[firm, "change"])
    spared = float(changes.loc[~changes["closed"], "change"].mean())
    rows = [
        ("mechanical: share closed times days closed", mechanical),
        ("actual: raw change of revenue", 100 * np.expm1(own)),
        ("actual: against the mean of spared firms", 100 * np.expm1(own - spared)),
    ]
    return pd.DataFrame(
        {
            "measure": [name for name, _ in rows],
            "change": [value for _, value in rows],
            "multiple": [value / mechanical for _, value in rows],
        }
    )


def disclosed() -> pd.DataFrame:
    """Return what closed firms disclosed: stores closed and funds frozen, one row per figure with its source."""
    frame = facts.rows("listed_sellers")
    mine = frame[frame["measure"].isin(["shops_closed", "funds_frozen"])]
    columns = ["firm", "measure", "value", "unit", "period", "note", "source_publisher", "source_url"]
    return mine.assign(firm=mine["firm"].map(short_name))[columns].reset_index(drop=True)


def on_record(names: list[str]) -> pd.DataFrame:
    """Return for each named brand or firm what documents its closure: a disclosure, or reports by two publishers.

    Returns
    -------
    DataFrame
        `name`, `disclosures`, `reports` (publishers of dated closures that name it), `documented`.
    """
    told = disclosed()
    filings = facts.load("listed_sellers").drop_duplicates("firm")
    events = facts.load("events").query("event_type == 'brand_closure'")
    rows = []
    for name in names:
        ours = filings[
            filings["firm"].str.contains(name, case=False) | filings["exposed"].str.contains(name, case=False)
        ]
        disclosures = int(told["firm"].str.contains(name, case=False).sum() > 0) + int(
            ours["exposed"].str.startswith("closed").any()
        )
        naming = events[(events["actor"] + events["description"]).str.contains(name, case=False)]
        reports = naming["source_publisher"].nunique()
        rows.append((name, disclosures, reports, disclosures > 0 or reports >= 2))
    return pd.DataFrame(rows, columns=["name", "disclosures", "reports", "documented"])


def frozen_claim() -> float:
    """Return the sum of frozen funds that the founding article names, million yuan (a lower bound in its words)."""
    events = facts.load("events")
    named = events.loc[events["seed"] & events["unit"].eq("yuan frozen (more than)"), "quantity"]
    if len(named) != 1:
        raise DataError(
            f"events.csv: one frozen sum of the founding article was asked for; found {len(named)}; keep one"
        )
    return float(named.iloc[0]) / 1e6


def for_print(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange rows of :func:`share_prices` for a table: window, seller, group, CAR with interval, rank, own past."""
    ranks = [
        f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"
        for low, high in zip(rows["rank_low"], rows["rank_high"], strict=True)
    ]
    spans = [f"{low:.1f} to {high:.1f}" for low, high in zip(rows["conf_low"], rows["conf_high"], strict=True)]
    days = [f"{a.day}–{b.day} {b:%b}" for a, b in zip(rows["first_day"], rows["last_day"], strict=True)]
    return pd.DataFrame(
        {
            "Window": days,
            "Owner of": rows["seller"],
            "Group": rows["exposed"].str.replace("_", " "),
            "CAR, %": rows["estimate"],
            "Interval": [span.replace("-", "−") for span in spans],
            "Rank": ranks,
            "Of": rows["n_stocks"].map(lambda n: f"{n:,}"),
            "Own past": rows["p_own"],
        }
    )


def stacked(found: Iterable[Estimate]) -> pd.DataFrame:
    """Put the rows of several estimates below each other."""
    return pd.concat([one.rows for one in found], ignore_index=True)
