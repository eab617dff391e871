"""Audit a panel before estimation: what it contains, and what a design could estimate from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import grades
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import FEWEST_BASE, LATEST, Design
from analysis.estimands.samples import LEFT, USED, sample_flow
from analysis.evidence.verdicts import NOT_GRADED
from analysis.numbers import counted
from analysis.simulated import closures

if TYPE_CHECKING:
    from fewtreated.estimate import Estimate

    from analysis.estimands.design import Sample
    from analysis.panel import Panel

Sections = list[tuple[str, pd.DataFrame]]
BY_PLACEBO = {  # terms of `smallest_effect`
    "fall": "fall detected in four of five draws, by a test calibrated to this panel",
    "fall, usual": "fall detected in four of five draws, by the interval in the reports",
    "size, usual": "false findings of the interval in the reports",
}
QUANTILES = ("least", "quarter", "half", "three quarters", "most")


def sentence(panel: Panel, names: Mapping[str, str] | None = None) -> str:
    """Describe a panel in one sentence.

    `names` maps codes of platforms and origins to the names to print.
    """
    waves = panel.cohorts(cut=Design.cut)
    known_sales = panel.sales[~np.isnan(panel.sales)]
    count = int(waves["firms"].sum())
    if len(waves):
        when = f" in {counted(len(waves), 'month')} from {waves['month'].iloc[0]}"
    else:
        when = ""
    counts = panel.firms["origin"].value_counts()
    words = dict(names or {})
    origins = ", ".join(
        f"{number:,} {words.get(str(code), code)}" for code, number in counts.items()
    )
    platforms = [words.get(code, code) for code in panel.platforms]
    left = panel.dropped[panel.dropped["rule"] == "left out: no known sales in any month"]
    parts = [
        (
            f"{counted(len(panel.firms), 'firm')} ({origins}) on {', '.join(platforms)},"
            f" {panel.months[0]} to {panel.months[-1]}, in {panel.unit}, {panel.provenance}"
        ),
        f"{counted(count, 'firm')} closed{when}",
        (
            f"{_percent(known_sales == 0)} of the known sales of a firm, platform and month are 0, "
            f"{_percent(np.isnan(panel.sales))} are not known"
        ),
        *(
            f"{count:,} firms {rule}"
            for rule, count in zip(left["rule"], left["count"], strict=True)
        ),
    ]
    return "; ".join(parts) + "."


def inventory(panel: Panel) -> Sections:
    """Tabulate a panel's contents."""
    cut = Design.cut
    sales = panel.sales
    firms = panel.firms
    unknown = np.isnan(panel.sales)
    sold = sales.sum(axis=(0, 2), where=~unknown)
    gaps = unknown.any(axis=(1, 2)).sum()
    whole = [
        ("firms", f"{len(firms):,}"),
        *(
            (f"  of origin {name}", f"{number:,}")
            for name, number in firms["origin"].value_counts().items()
        ),
        ("brand groups", f"{firms['brand_group'].nunique():,}"),
        ("categories", f"{firms['category'].nunique():,}"),
        ("firms with a risk", f"{firms['risk'].notna().sum():,}"),
        ("home platform", panel.platforms[0]),
        ("months", f"{len(panel.months)}, {panel.months[0]} to {panel.months[-1]}"),
        (
            "repeated keys (firm or account, platform, month)",
            "none, since a file with any cannot be read",
        ),
        ("months without any row", f"{unknown.all(axis=(0, 1)).sum()}"),
        ("cells (firm, platform, month)", f"{sales.size:,}"),
        ("  zero", f"{(sales == 0).sum():,} ({_percent(sales == 0)})"),
        ("  unknown", f"{unknown.sum():,} ({_percent(unknown)}), in {gaps:,} firms"),
        ("provenance and unit", f"{panel.provenance}, {panel.unit}"),
        ("digest", panel.digest[:16]),
    ]
    platforms = pd.DataFrame(
        {
            "platform": list(panel.platforms),
            "firms that sold": (sales > 0).any(axis=2).sum(axis=0),
            "months covered": [
                f"{np.sum(~gap)} of {len(gap)}" for gap in np.array(unknown.all(axis=0))
            ],
            "% of sales": 100 * sold / sold.sum(),
            "% zeros": 100 * (sales == 0).mean(axis=(0, 2)),
            "unknown": unknown.sum(axis=(0, 2)),
        }
    )
    waves = panel.cohorts(cut=cut)
    dose = firms["dose"].to_numpy(float)
    in_part = (dose < cut) & np.isfinite(panel.first_treated(cut=np.finfo(float).tiny))
    closures = [
        *zip(waves["month"].astype(str), waves["firms"], waves["brand_groups"], strict=True),
        (
            f"in part, a dose below {cut:g}",
            int(in_part.sum()),
            int(firms["brand_group"][in_part].nunique()),
        ),
        ("after the last month: not closed within the panel", panel.censored, np.nan),
    ]
    columns = ["closed", "firms", "brand groups"]
    return [
        ("The panel", pd.DataFrame(whole, columns=["what", "found"])),
        ("Platforms", platforms),
        ("Added up, linked and left out", panel.dropped),
        ("Closures by wave", pd.DataFrame([row for row in closures if row[1]], columns=columns)),
    ]


def by_year(panel: Panel) -> Sections:
    """Tabulate home sales by year, to reveal wrong exchange rates and incomplete files."""
    home = np.nansum(panel.sales[:, 0], axis=0) / 1e6
    year = panel.months.year
    rows = pd.DataFrame({"year": year.astype(str), "months": 1, f"million {panel.unit}": home})
    return [(f"Sales on {panel.platforms[0]} by year", rows.groupby("year").sum().reset_index())]


def window(panel: Panel, design: Design) -> Sections:
    """Tabulate the windows that a panel allows, including the one nearest to the design's.

    Return no table if no firm is closed.
    """
    closures = panel.first_treated(cut=design.cut)
    if not np.isfinite(closures).any():
        return []
    wave = int(closures.min())
    fitted = design.fitted(panel)
    first = max(0, 12 - wave)
    last = min(LATEST, len(panel.months) - 1 - wave)
    if first <= last:
        allowed = f"{first} to {last}"
    else:
        allowed = "none: each needs one a year earlier"
    rows = [
        (
            "first wave",
            (
                f"{panel.months[wave]}, after {counted(wave, 'month')}; {len(panel.months) - wave}"
                " since then"
            ),
        ),
        (
            "base_months can be",
            f"{FEWEST_BASE} to {wave}" if wave >= FEWEST_BASE else "none: too few before the wave",
        ),
        ("months of the window can be", allowed),
        ("requested", design.given),
        ("nearest that fits", fitted.given if fitted else "none"),
    ]
    return [("Window", pd.DataFrame(rows, columns=["what", "found"]))]


def estimable(panel: Panel, design: Design) -> Sections:
    """Tabulate the firms that a design uses, their exposure and the smallest detectable effects.

    No estimate is included. For each estimand: whether it can be estimated or why not, the smallest
    effect detected with a power of 80 per cent (from its standard error; for E1a also from placebo
    closures of firms not closed), the firms used and those left out, with reasons, and the grade of
    its method. Raise DesignError if no firm is closed, or if the panel is too short for the design.
    """
    sample = design.sample(panel)
    placebos = smallest_effect(panel, design)  # first, since it needs the most memory
    rows = estimate_all(panel, design).rows
    able = np.isfinite(rows["std_error"].to_numpy(float))
    number, whys = pd.factorize(
        rows["reason"].replace("", "no standard error can be computed").mask(able)
    )
    effects = pd.DataFrame(
        {
            "estimand": rows["label"],
            "firms": rows["n"].map("{:,.0f}".format).where(able, ""),
            "smallest effect seen": rows["mde"],
            "unit": rows["unit"],
            "estimable": [f"no ({why})" if why else "estimable" for why in number + 1],
            "id": rows["id"],
        }
    )
    compared = [
        ("closed by the end of the window", int(sample.closed.sum())),
        *(
            [("still open when the window begins, so it has no grade", sample.still_open)]
            if sample.still_open
            else []
        ),
        (f"compared with them ({design.comparison})", int(sample.comparison.sum())),
        ("not closed, not even in part", int(sample.never_closed.sum())),
        ("base months, for shares and exposure", sample.months(sample.base)),
        ("months before", sample.year_ago),
        ("window", sample.window),
        *([("years with missing months", sample.in_part)] if sample.in_part else []),
    ]
    used = sample_flow(panel, design)
    closed = panel.count_closed(cut=design.cut)
    words = [(name, meaning) for name, meaning in (USED | LEFT).items() if name in used]
    return [
        ("Firms and months compared", pd.DataFrame(compared, columns=["what", "found"])),
        (
            "Exposure of firms that were not closed, per cent of their category",
            _exposed(panel, sample, design),
        ),
        ("What can be estimated", effects),
        (
            "By what errors are clustered",
            rows[able].groupby("interval")["id"].agg(", ".join).reset_index(),
        ),
        (
            "Why not",
            pd.DataFrame({"no": [f"({why})" for why in range(1, len(whys) + 1)], "reason": whys}),
        ),
        ("Firms used and left out, each once", used),
        (
            "What these columns count: the first three are used",
            pd.DataFrame(words, columns=["column", "firms"]),
        ),
        (
            "Smallest effect on closed firms (E1a), from placebo closures of other firms",
            _smallest(placebos),
        ),
        (
            "Grade of each method, the worst in panels like this one",
            _graded(rows[able], closed, sample),
        ),
    ]


def _exposed(panel: Panel, sample: Sample, design: Design) -> pd.DataFrame:
    percent = pd.Series(100 * sample.exposure[sample.never_closed])
    by_origin = percent.groupby(panel.firms["origin"][sample.never_closed].to_numpy(), sort=False)
    low = {f"below {100 * design.low:g}": lambda exposure: (exposure < 100 * design.low).sum()}
    quantiles = {
        name: by_origin.quantile(at)
        for name, at in zip(QUANTILES, np.linspace(0, 1, 5), strict=True)
    }
    return (
        by_origin.agg(firms="count", **low).assign(**quantiles).rename_axis("origin").reset_index()
    )


def _smallest(placebos: Estimate) -> pd.DataFrame:
    if placebos.refused:
        return pd.DataFrame({"what": ["not estimable"], "found": [placebos.reason]})
    rows = placebos[[*BY_PLACEBO]].rows
    return pd.DataFrame(
        {
            "what": BY_PLACEBO.values(),
            "per cent": rows["estimate"],
            "Monte Carlo error": rows["std_error"],
            "placebo closures": (
                f"{placebos.counts['draws']} draws, within {placebos.details['within']}"
            ),
        }
    )


def _graded(rows: pd.DataFrame, closed: int, sample: Sample) -> pd.DataFrame:
    audited = grades.worst("", closed).reindex(rows["id"])
    early = grades.too_early(rows, sample).to_numpy()
    return pd.DataFrame(
        {
            "estimand": rows["label"].to_numpy(),
            "grade": audited["grade"].fillna(NOT_GRADED).mask(early, grades.TOO_EARLY),
            "worst in": audited["preset"].mask(early).map(closures, "ignore").fillna(""),
            "id": audited.index,
        }
    )


def printed(sections: Sections) -> str:
    """Format sections as text, with a title above each table.

    Text is left-aligned and numbers are right-aligned.
    """
    return "\n\n".join(f"{title}\n{_table(frame)}" for title, frame in sections)


def _table(frame: pd.DataFrame) -> str:
    columns = []
    for name in frame:
        cells = [str(name), *map(_cell, frame[name])]
        if pd.api.types.is_numeric_dtype(frame[name]):
            justify = str.rjust
        else:
            justify = str.ljust
        columns.append([justify(cell, max(map(len, cells))) for cell in cells])
    if len(frame):
        return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
    return "none"


def _cell(value: object) -> str:
    if isinstance(value, float):
        if np.isnan(value):
            return ""
        return f"{value:,.1f}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)


def _percent(marked: np.ndarray) -> str:
    return f"{100 * marked.mean():.1f} %"
