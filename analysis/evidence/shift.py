"""Chinese sellers beyond Amazon: eBay by seller location, AliExpress's group, Walmart, and two firms' mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import data, series
from analysis.errors import DataError
from analysis.estimate import Estimate
from analysis.evidence.totals import SOURCE, sets_of
from analysis.numbers import number, percent_change
from analysis.series import Series

EBAY = "eBay (own filings and releases)"
UNIT = "per cent"  # change in the ratio of two revenues
REST = "rest of the world"  # includes China, which no yearly table shows separately
LINES = {"US": "us", "UK": "uk", "Germany": "germany", REST: "rest_of_world_incl_china"}
HALVES = ("2022H1", "2023H1")  # the only ones that show China separately
CHINA_APART = {"China": "china", "US": "us", "UK": "uk", "Germany": "germany", "other countries": "rest_of_world"}
WITH_OTHERS, MARKETPLACE = "incl. StubHub and Classifieds", "marketplace"
# Growth is within one definition; each has its perimeter and years. The last one's 2019 is from an earlier filing.
TABLES = (
    (WITH_OTHERS, WITH_OTHERS, ("2016", "2017", "2018", "2019")),
    ("Korea apart", MARKETPLACE, ("2018", "2019")),
    ("as named", MARKETPLACE, ("2019", "2020", "2021", "2022")),
)
BEFORE, CLOSURES, AFTER = "before", "year of the closures", "after"
ROLES = {"2021": CLOSURES, "2022": AFTER}
AREAS = ("us", "international")  # areas of merchandise volume
UNPLACED = {"rates": "net_revenue_exchange_rate_effect", "hedges": "net_revenue_hedging_gain"}  # without location
LAST = "2023Q2"  # last quarter of eBay's figures that is used
# Firms that publish Amazon's share of their revenue, with a label that says whether they were closed.
MIXED = {"AuGroup / Aukey": "Aukey (closed)", "Sailvan Times": "Sailvan (not closed)"}
NEW_SELLERS = "share of new sellers based in China"


def _ebay(name: str, freq: str, **where: Any) -> Series:
    return series.published("platform_quarterly", platform="eBay", series=name, publisher=EBAY, freq=freq, **where)


def _figures(names: Mapping[str, str], periods: Sequence[str], definition: str = "as named") -> pd.DataFrame:
    """Return several eBay series side by side, one row per period; raise DataError if a figure is missing."""
    freq = "H" if "H" in periods[0] else "A"
    values = {label: _ebay(name, freq, definition=definition).points["value"] for label, name in names.items()}
    frame = pd.DataFrame(values).reindex(periods)
    for row, column in np.argwhere(frame.isna()):
        figure = f"eBay's {names[frame.columns[column]]} ({definition}) of {', '.join(periods)}"
        gap = f"platform_quarterly.csv has none for {frame.index[row]}"
        raise DataError(f"Cannot read {figure}: {gap}; add the row with its source")
    return frame


def revenue(lines: Mapping[str, str], periods: Sequence[str], definition: str = "as named") -> pd.DataFrame:
    """Return eBay's net revenue by seller location, million US dollars, by period and area."""
    return _figures({area: f"net_revenue_{name}_sellers" for area, name in lines.items()}, periods, definition)


def log_growth(lines: Mapping[str, str], periods: Sequence[str], definition: str = "as named") -> pd.DataFrame:
    """Return growth of :func:`revenue` over the previous period, in log points, from the second period on."""
    return np.log(revenue(lines, periods, definition)).diff().iloc[1:]


def leads() -> pd.DataFrame:
    """Return the growth lead of eBay's revenue from the rest of the world over that from each other area, by year.

    Returns
    -------
    DataFrame
        `year`, `perimeter` (:data:`MARKETPLACE`, or with businesses since sold), `role` (before, during or after the
        year of the closures) and the lead over US, UK and German sellers: growth in the ratio of the two
        revenues, per cent.
    """
    tables = []
    for definition, perimeter, years in TABLES:
        grown = log_growth(LINES, years, definition)
        lead = percent_change(grown.drop(columns=REST).rsub(grown[REST], axis=0)).rename_axis("year").reset_index()
        lead.insert(1, "perimeter", perimeter)
        tables.append(lead)
    frame = pd.concat(tables, ignore_index=True)
    frame.insert(2, "role", frame["year"].map(ROLES).fillna(BEFORE))
    return frame


def lead(leads: pd.DataFrame) -> float:
    """Return the lead over American sellers in the year after the closures."""
    return float(leads.query("role == @AFTER")["US"].iloc[0])


def rank(leads: pd.DataFrame, *, with_others: bool = False) -> tuple[int, int]:
    """Return the rank of the year after the closures among earlier years, 1 for the highest lead, and their number.

    `with_others` also counts years in which the marketplace is not shown alone.
    """
    years = leads.query("role != @CLOSURES and (@with_others or perimeter == @MARKETPLACE)")
    leading = years.drop_duplicates("year", keep="last")["US"]  # prefer the table of the marketplace
    return int((leading >= lead(leads)).sum()), len(leading)


def since_china_apart() -> pd.DataFrame:
    """Return growth from the first half of 2022 to the first half of 2023, by area: `place`, `growth` in per cent."""
    return percent_change(log_growth(CHINA_APART, HALVES).iloc[0]).rename_axis("place").reset_index(name="growth")


def china_alone() -> pd.DataFrame:
    """Return China's own lead under several assumptions on growth in the other countries.

    Returns
    -------
    DataFrame
        `others` (in words), `others_growth`, `china_growth`, `lead` of China over American sellers, as in
        :func:`leads`; all in per cent. China's share of the rest of the world in 2021 is assumed to be
        that of the first half of 2022; in the last row its lead is zero. With a smaller share, a lead above that of the
        rest of the world is larger, and one below it smaller.
    """
    grown, later = percent_change(log_growth(LINES, TABLES[-1][-1][-2:]).iloc[0]), since_china_apart()
    share, whole, us = china_share(), grown[REST], grown["US"]
    later = later.set_index("place")["growth"]["other countries"]
    rows = [("as American sellers in 2022", us), ("as they did to the first half of 2023", later)]
    rows += [("so that China has no lead", (whole - share * us) / (1 - share))]
    frame = pd.DataFrame(rows, columns=["others", "others_growth"])
    china = (whole - (1 - share) * frame["others_growth"]) / share
    return frame.assign(china_growth=china, lead=100 * ((100 + china) / (100 + us) - 1))


def china_share() -> float:
    """Return China's share of the rest of the world in the first half of 2022, between 0 and 1."""
    first = revenue(CHINA_APART, HALVES).iloc[0]
    return float(first["China"] / (first["China"] + first["other countries"]))


def bounds() -> Estimate:
    """Bound the lead over American sellers that remains if another factor explains as much as it can, or nothing.

    Take rate: volume is published for the US and abroad. Either the whole rise abroad was in the rest of the world's
    take, from the same level, and none in that of British and German sellers; or its take did not rise. Exchange rates,
    hedges: their whole effect on eBay's revenue fell on the rest of the world, or none. Recovery: the whole loss to
    American sellers in 2020 and 2021 was regained, or none. Together: each at the same end.

    Returns
    -------
    Estimate
        Rows with `term`, `assumption`, `alone` (what would explain the whole lead), `conf_low`, `conf_high`;
        `estimate` is NaN throughout: a set has no point.
    """
    start, *_, before, now = TABLES[-1][-1]
    sales, years = revenue(LINES, TABLES[-1][-1]), [before, now]
    at_home, abroad = (yearly_volume(area, years) for area in AREAS)
    unplaced = _figures(UNPLACED, years)
    rates, hedges = unplaced["rates"], unplaced["hedges"]
    us, rest, others = sales["US"], sales.loc[years, REST], sales.loc[years, ["UK", "Germany"]].sum(axis=1)

    def grown(values: pd.Series) -> float:
        return float(np.log(values[now] / values[before]))

    pace, take = grown(us), (rest + others) / abroad
    observed = grown(rest) - pace
    own_volume = abroad - others / take[before]  # with the take of all abroad before, and theirs unchanged after
    lost = float(np.log(us[before] / us[start] * sales.loc[start, REST] / rest[before]))
    ends = {
        "take rate": (grown(own_volume) - grown(at_home), grown(rest) - grown(at_home)),
        "exchange rates": (observed, grown(rest - rates * [0, 1]) - pace),
        "hedges": (grown(rest - hedges) - pace, observed),
        "recovery": (observed - lost, observed),
    }
    limits = np.sort(np.array(list(ends.values())), axis=1)
    limits = np.vstack([limits, observed + (limits - observed).sum(axis=0)])
    factor, back = us[now] / us[before], percent_change(lost)
    gain, unhedged = rest[now] - rest[before] * factor, hedges[now] - hedges[before] * factor
    rise, at_home_too, all_of_it = map(percent_change, (grown(take), pace - grown(at_home), ends["take rate"][1]))
    texts = [
        f"take rose by {rise:.1f} per cent abroad and {at_home_too:.1f} in the US",
        f"changed eBay's revenue by {number(rates[now], 0)} million dollars",
        f"brought {number(hedges[before], 0)}, then {number(hedges[now], 0)} million dollars",
        f"{back:.1f} per cent would make up for what was lost from {start} to {before}",
        "all four at the same end",
    ]
    alone = [f"a rise of {all_of_it:.1f} per cent", f"{number(gain, 0, signed=True)} million"]
    alone += [f"{gain / unhedged:.0%} of them", f"{percent_change(observed) / back:.0%} of them", "–"]
    columns = {"assumption": texts, "alone": alone}
    estimand = "lead in growth on eBay, sellers outside the US, UK and Germany over American ones"
    return sets_of(estimand, UNIT, (*ends, "together"), percent_change(limits.T), columns)


def otherwise(leads: pd.DataFrame) -> pd.DataFrame:
    """Return the lead in the year after the closures, changing one choice at a time, in the unit of `leads`.

    The rows are the main lead, leads over sellers from other countries, the remainder under all bounds together, that
    of China alone, and other years as placebos.

    Returns
    -------
    DataFrame
        `term` (in words), `estimate` and, for a set, `conf_low`, `conf_high`.
    """
    after, years = leads.query("role == @AFTER").iloc[0], leads.query("role != @AFTER")
    alone = china_alone().iloc[:2]
    left = bounds().row("together")
    terms = years["role"].map({BEFORE: "placebo", CLOSURES: CLOSURES}) + ", " + years["year"]
    sold = years["perimeter"] == WITH_OTHERS
    rows = [
        (f"as asked, over American sellers, {after['year']}", after["US"]),
        ("over British sellers", after["UK"]),
        ("over German sellers", after["Germany"]),
        ("if all else explains what it can, or nothing", np.nan),
        *zip("China alone, if other countries grew " + alone["others"], alone["lead"], strict=True),
        *zip(terms + sold.map({True: ", with businesses since sold", False: ""}), years["US"], strict=True),
    ]
    frame = pd.DataFrame(rows, columns=["term", "estimate"])
    held = frame["estimate"].isna()
    return frame.assign(**{end: np.where(held, left[end], np.nan) for end in ("conf_low", "conf_high")})


def volume(area: str = "total") -> Series:
    """Return eBay's merchandise volume by quarter, million US dollars; 2021 is derived from the growth in 2022.

    `area` is "total", "us" or "international"; the filings do not say whether by buyer or seller.
    """
    published = _ebay(f"gmv_{area}", "Q")
    name = "gmv_growth_yoy" if area == "total" else f"gmv_{area}_growth_yoy"
    earlier = series.from_growth(published, _ebay(name, "Q", first="2022Q1", last="2022Q4"))
    return series.joined([earlier, published], published.name)


def yearly_volume(area: str, years: Sequence[str]) -> pd.Series:
    """Sum the quarters of :func:`volume` by year, million US dollars; a year needs all four."""
    quarters = volume(area).points["value"]
    by_year = quarters.groupby(quarters.index.str[:4])
    if short := [year for year in years if by_year.size().get(year) != 4]:
        failure, gap = (
            f"Cannot sum eBay's {area} volume of {', '.join(years)}",
            f"not all quarters of {', '.join(short)}",
        )
        raise DataError(f"{failure}: platform_quarterly.csv has {gap}; add the missing quarters with their source")
    return by_year.sum().loc[list(years)]


def aliexpress_parent_growth() -> Series:
    """Return year-on-year growth of Alibaba's international retail revenue by quarter, per cent.

    AliExpress alone is not published; the segment also includes Lazada, Trendyol and Daraz.
    """
    where: dict[str, Any] = {"platform": "Alibaba international", "series": "international_commerce_retail_revenue"}
    where |= {"publisher": "Alibaba (own results)", "definition": "as named", "freq": "Q"}
    return series.growth(series.published("platform_quarterly", **where))


def mix() -> pd.DataFrame:
    """Return Amazon's share of revenue by year (rows) and firm (columns), per cent; gaps are interpolated.

    The firms are a closed survivor and one not closed, whose share for 2023Q1 is its Amazon revenue over its total
    revenue, from two publishers.
    """
    frame = data.load("listed_sellers")
    shares = frame[(frame["measure"] == "share_amazon") & frame["firm"].isin([*MIXED])]
    wide = shares.assign(year=shares["period"].str[:4].astype(int)).pivot(index="year", columns="firm", values="value")
    quarter = frame.query("firm == 'Sailvan Times' and period == '2023Q1'").set_index("measure")["value"]
    wide.loc[2023, "Sailvan Times"] = 100 * quarter["revenue_amazon"] / quarter["revenue_total"]
    return wide.rename(columns=MIXED).sort_index().interpolate(method="index", limit_area="inside")


def walmart_new_sellers() -> pd.DataFrame:
    """Return China's share of new Walmart sellers, per cent, in rows of the file by date."""
    rows = data.load("platform_shift_evidence").query("measure == @NEW_SELLERS and platform == 'Walmart'")
    return rows.sort_values("date", ignore_index=True)


def destination_sources() -> pd.DataFrame:
    """Return the rows behind the leads on eBay, Walmart's new sellers and the mix: `source_publisher`, `source_url`."""
    quarters = series.rows("platform_quarterly").query("publisher == @EBAY")
    used = quarters["series"].str.contains(r"_sellers$|growth_yoy$|^gmv_(?:us|international)$|hedging|exchange_rate")
    used &= quarters["period"].between("2016", LAST)
    firms = data.load("listed_sellers")
    mixed = firms["firm"].isin(list(MIXED)) & firms["measure"].isin(["share_amazon", "revenue_amazon"])
    return pd.concat([quarters.loc[used, SOURCE], firms.loc[mixed, SOURCE], walmart_new_sellers()[SOURCE]])
