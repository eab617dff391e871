"""Listed sellers' revenue: what happened to closed firms against spared ones, and what they disclosed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import facts
from analysis.errors import DataError
from analysis.estimate import Estimate
from analysis.estimators.synthetic import Method, permutation_did, synthetic_did
from analysis.verdicts import SAME_COUNT


def short_name(firm: str) -> str:
    """Return the name of the seller where the file gives the listed owner first: "Owner / Seller (brand)"."""
    return firm.rsplit(" / ", maxsplit=1)[-1].split(" (", maxsplit=1)[0]


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


def year_before() -> int:
    """Return the last year before the first closure of the design."""
    return min(int(day[:4]) for day in design()["closed_on"].dropna()) - 1


def indexed(base: int, first: int, last: int) -> pd.DataFrame:
    """Return yearly revenue from `first` to `last` with the year `base` = 100, float64[year, firm]."""
    wide, _ = revenues()
    return 100 * wide.loc[first:last] / wide.loc[base]


def reasons(role: str) -> str:
    """Return the firms of a role (closed, not_closed, left_out) in the design, each with what is said of it."""
    rows = design().query("role == @role")
    return "; ".join(f"{name} ({reason})" for name, reason in zip(rows["name"], rows["reason"], strict=True))


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
        if changes["closed"].sum() == 1 and changes["closed"].iloc[place]:
            continue  # without the only closed firm there is nothing to compare
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


def frozen_on_record(firm: str) -> tuple[float, bool]:
    """Return the frozen funds a firm disclosed, million yuan, and whether they bear out the founding article's sum.

    They do within ten per cent, the rule of counts: the article says more than, the notice about.
    """
    events = facts.load("events")
    named = events.loc[events["seed"] & events["unit"].eq("yuan frozen (more than)"), "quantity"]
    if len(named) != 1:
        raise DataError(
            f"events.csv: one frozen sum of the founding article was asked for; found {len(named)}; keep one"
        )
    told = disclosed().query("firm == @firm and measure == 'funds_frozen'")["value"]
    filed, claimed = float(told.iloc[0]), float(named.iloc[0]) / 1e6
    return filed, abs(filed / claimed - 1) <= SAME_COUNT


def stacked(found: Iterable[Estimate]) -> pd.DataFrame:
    """Put the rows of several estimates below each other."""
    return pd.concat([one.rows for one in found], ignore_index=True)
