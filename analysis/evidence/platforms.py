"""Where else Chinese sellers sell: totals of the destinations and the mix of single firms."""

from __future__ import annotations

import pandas as pd

from analysis import facts
from analysis.facts.derived import joined

EBAY = "eBay (own filings and releases)"
ALIBABA = "Alibaba (own results)"
FIRST, LAST = "2021Q3", "2023Q2"  # from the first quarter after the closures to eBay's first growth by origin


def by_year(series: facts.Series) -> pd.Series:
    """Return a series by period as a fraction of a year (2021.5 is mid-2021), NaN where one is missing."""
    whole = series.values.resample(series.values.index.freqstr).asfreq()
    starts = (
        whole.index.to_timestamp(how="start") + (whole.index.to_timestamp(how="end") - whole.index.to_timestamp()) / 2
    )
    return whole.set_axis(starts.year + (starts.day_of_year - 1) / 365.25)


def ebay_volume() -> facts.Series:
    """Return eBay's merchandise volume by quarter, million US dollars; 2021 is backed out of the growth of 2022."""
    published = _published_volume()
    earlier = facts.from_growth(published, _reported_growth())
    return joined([earlier, published], published.name, "2021 from the levels and the reported growth of 2022")


def aliexpress_parent_growth() -> facts.Series:
    """Return year-on-year growth of Alibaba's international retail revenue by quarter, per cent.

    AliExpress alone is not published; the segment holds Lazada, Trendyol and Daraz too.
    """
    revenue = facts.series(
        "platform_quarterly",
        platform="Alibaba international",
        series="international_commerce_retail_revenue",
        publisher=ALIBABA,
        definition="as named",
        freq="Q",
    )
    return facts.growth(revenue)


def ebay_china_growth() -> pd.DataFrame:
    """Return growth of eBay's revenue from Chinese sellers and in total, first half of 2023 on 2022, per cent.

    The China line begins with the first half of 2022, so that nothing before the closures can be seen.
    """
    names = {"net_revenue_china_sellers": "from Chinese sellers", "net_revenue": "in total"}
    grown = [
        facts.growth(facts.series("platform_quarterly", platform="eBay", series=name, publisher=EBAY, freq="H"))
        for name in names
    ]
    return pd.DataFrame({"revenue": names.values(), "growth": [one.values["2023H1"] for one in grown]})


def _published_volume() -> facts.Series:
    return facts.series("platform_quarterly", platform="eBay", series="gmv_total", publisher=EBAY, freq="Q")


def _reported_growth() -> facts.Series:
    return facts.series(
        "platform_quarterly",
        platform="eBay",
        series="gmv_growth_yoy",
        publisher=EBAY,
        freq="Q",
        first="2022Q1",
        last="2022Q4",
    )


def destination_readings() -> pd.DataFrame:
    """Return every published growth of the named destinations from the first quarter after the closures on.

    Returns
    -------
    DataFrame
        `destination`, `period`, `growth` in per cent, `provenance`: eBay's volume and Alibaba's international retail
        revenue by quarter, and eBay's revenue from Chinese sellers, as far as that has a year before it
        (:data:`LAST`).
    """
    found = (
        ("eBay: volume", _reported_growth()),
        ("eBay: volume", facts.growth(_published_volume())),
        ("Alibaba: international retail revenue", aliexpress_parent_growth()),
    )
    parts = [
        pd.DataFrame(
            {
                "destination": name,
                "period": series.periods,
                "growth": series.values.to_numpy(),
                "provenance": series.provenance,
            }
        )
        for name, series in found
    ]
    quarters = pd.concat(parts, ignore_index=True)
    own = pd.DataFrame(
        {
            "destination": "eBay: revenue from Chinese sellers",
            "period": f"{LAST[:4]}H1",
            "growth": ebay_china_growth()["growth"].iloc[[0]],
            "provenance": "real",
        }
    )
    return pd.concat([quarters[quarters["period"].between(FIRST, LAST)], own], ignore_index=True)


def amazon_shares() -> pd.DataFrame:
    """Return the published share of revenue made on Amazon of a closed survivor and of a spared firm.

    Returns
    -------
    DataFrame
        `firm`, `role`, `period`, `share` in per cent, `base`, `provenance`, `source`. Sailvan's value of 2023Q1 is
        Amazon revenue over total revenue, from two publishers, and is an estimate for that reason.
    """
    frame = facts.rows("listed_sellers")
    mine = frame[(frame["measure"] == "share_amazon") & frame["firm"].isin(["AuGroup / Aukey", "Sailvan Times"])]
    shown = mine.assign(base=mine["unit"], share=mine["value"], source=mine["publisher"])
    quarter = frame[(frame["firm"] == "Sailvan Times") & (frame["period"] == "2023Q1")].set_index("measure")
    derived = pd.DataFrame(
        {
            "firm": ["Sailvan Times"],
            "period": ["2023Q1"],
            "share": [100 * quarter.loc["revenue_amazon", "value"] / quarter.loc["revenue_total", "value"]],
            "base": ["percent of revenue"],
            "provenance": ["estimate"],
            "source": [
                f"{quarter.loc['revenue_amazon', 'publisher']} over {quarter.loc['revenue_total', 'publisher']}"
            ],
        }
    )
    columns = ["firm", "period", "share", "base", "provenance", "source"]
    both = pd.concat([shown[columns], derived], ignore_index=True).sort_values(["firm", "period"], ignore_index=True)
    return both.assign(role=both["firm"].map({"AuGroup / Aukey": "closed", "Sailvan Times": "not closed"}))


def walmart_new_sellers() -> pd.DataFrame:
    """Return shares of new Walmart sellers based in China: `date`, `value` (per cent), `population`, `source`."""
    frame = facts.rows("platform_shift_evidence")
    mine = frame[frame["measure"].eq("share of new sellers based in China") & frame["platform"].eq("Walmart")]
    kept = mine.assign(source=mine["publisher"])[["date", "value", "population", "source", "source_url"]]
    return kept.sort_values("date", ignore_index=True)


def sources() -> pd.DataFrame:
    """Return the rows behind readings, Walmart's new sellers and the mix: `source_publisher`, `source_url`."""
    quarters = facts.load("platform_quarterly")
    growth = quarters["series"].isin(["gmv_growth_yoy", "net_revenue_china_sellers"]) & quarters["period"].between(
        "2022", "2023Q2"
    )
    firms = facts.load("listed_sellers")
    mix = firms["firm"].isin(["AuGroup / Aukey", "Sailvan Times"]) & firms["measure"].isin(
        ["share_amazon", "revenue_amazon"]
    )
    evidence = facts.load("platform_shift_evidence")
    walmart = evidence["measure"].eq("share of new sellers based in China") & evidence["platform"].eq("Walmart")
    columns = ["source_publisher", "source_url"]
    return pd.concat([quarters.loc[growth, columns], firms.loc[mix, columns], evidence.loc[walmart, columns]])


def mix() -> pd.DataFrame:
    """Return Amazon's share of revenue by year (rows) and firm (columns), per cent; years between are interpolated."""
    shares = amazon_shares()
    named = shares["firm"].map(lambda firm: firm.split(" / ")[-1].split(" ")[0]) + " (" + shares["role"] + ")"
    frame = shares.assign(year=shares["period"].str[:4].astype(int), name=named)
    wide = frame.pivot(index="year", columns="name", values="share")
    return wide.interpolate(method="index", limit_area="inside")
