"""What a panel holds, and what a design can learn from it: printed before anything is estimated, so without effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import Design, attempt

if TYPE_CHECKING:
    from analysis.panel import Panel

Sections = list[tuple[str, pd.DataFrame]]

_QUANTILES = {"least": 0.0, "quarter": 0.25, "half": 0.5, "three quarters": 0.75, "most": 1.0}


def inventory(panel: Panel, *, cut: float = Design.cut) -> Sections:
    """Count what a panel holds.

    Parameters
    ----------
    panel : Panel
    cut : float
        Smallest dose that counts as a closure.

    Returns
    -------
    list of (str, DataFrame)
        Title and table: the panel; platforms, with zeros and gaps; what was added up, linked or left out; closures by
        wave.
    """
    return [
        ("The panel", _whole(panel)),
        ("Platforms", _platforms(panel)),
        ("Added up, linked and left out", panel.dropped),
        ("Closures by wave", _closures(panel, cut)),
    ]


def reach(panel: Panel, design: Design) -> Sections:
    """Say which firms a design compares, how exposed they are, and which effects they would show.

    Returns
    -------
    list of (str, DataFrame)
        Title and table: firms compared; exposure of firms never closed, by origin, mean over the window; per estimand
        "estimable" or the reason why not, with the smallest effect seen with a power of 80 per cent, from its standard
        error; and for E1a the same from placebo closures of spared firms.

    Raises
    ------
    DesignError
        If the panel has no closed firm, or cannot carry the design.
    """
    sample = design.sample(panel)
    months = [panel.months[part] for part in (sample.base, sample.before, sample.after)]
    compared = [
        ("closed by the end of the window", int(sample.closed.sum())),
        (f"compared with them ({design.comparison})", int(sample.comparison.sum())),
        ("never closed, in whole or in part", int(sample.never_closed.sum())),
        *((name, f"{part[0]} to {part[-1]}") for name, part in zip(_MONTHS, months, strict=True)),
    ]
    return [
        ("Firms and months compared", pd.DataFrame(compared, columns=["what", "found"])),
        ("Exposure of firms never closed, per cent of their category", _exposure(panel, design)),
        ("What can be estimated", _estimable(panel, design)),
        (
            "Smallest effect on closed firms (E1a), by placebo closures of spared firms",
            _placebos(panel, design),
        ),
    ]


_MONTHS = ("base months, for shares and exposure", "months before", "window")


def sentence(panel: Panel, *, cut: float = Design.cut) -> str:
    """Return the line that a report says about its data."""
    waves = panel.cohorts(cut=cut)
    closed = f"{_count(int(waves['firms'].sum()), 'firm')} closed"
    if len(waves):
        closed += f" in {_count(len(waves), 'month')} from {waves['month'].iloc[0]}"
    known = panel.sales[~np.isnan(panel.sales)]
    left = panel.dropped[panel.dropped["rule"] == "they have no known sales in any month"]
    origins = ", ".join(f"{number:,} {name}" for name, number in panel.firms["origin"].value_counts().items())
    parts = [
        f"{_count(len(panel.firms), 'firm')} ({origins}) on {', '.join(panel.platforms)}, {panel.months[0]} to "
        f"{panel.months[-1]}, in {panel.unit}, {panel.provenance}",
        closed,
        f"{_percent(known == 0)} of the known sales of a firm, platform and month are 0, "
        f"{_percent(np.isnan(panel.sales))} are not known",
        *(f"{count:,} firms left out: {rule}" for rule, count in zip(left["rule"], left["count"], strict=True)),
    ]
    return "; ".join(parts) + "."


def printed(sections: Sections) -> str:
    """Return sections as text: titles, and tables below them."""
    return "\n\n".join(f"{title}\n{_table(frame)}" for title, frame in sections)


def _table(frame: pd.DataFrame) -> str:
    """Return a table as text: words on the left, numbers on the right."""
    if frame.empty:
        return "none"
    cells = {name: [_cell(value) for value in frame[name]] for name in frame}
    numbers = {name for name in frame if pd.api.types.is_numeric_dtype(frame[name])}
    width = {name: max(map(len, [str(name), *texts])) for name, texts in cells.items()}
    rows = [[str(name) for name in frame], *zip(*cells.values(), strict=True)]
    lines = [
        "  ".join(
            text.rjust(width[name]) if name in numbers else text.ljust(width[name])
            for name, text in zip(frame, row, strict=True)
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _percent(marked: np.ndarray) -> str:
    return f"{100 * marked.mean():.1f} %"


def _whole(panel: Panel) -> pd.DataFrame:
    sales, firms = panel.sales, panel.firms
    unknown = np.isnan(sales)
    gaps = f"{unknown.sum():,} ({_percent(unknown)}), in {unknown.any(axis=(1, 2)).sum():,} firms"
    rows = [
        ("firms", f"{len(firms):,}"),
        *((f"  of origin {name}", f"{number:,}") for name, number in firms["origin"].value_counts().items()),
        ("brand groups", f"{firms['brand_group'].nunique():,}"),
        ("categories", f"{firms['category'].nunique():,}"),
        ("firms with a risk", f"{firms['risk'].notna().sum():,}"),
        ("home platform", panel.platforms[0]),
        ("months", f"{len(panel.months)}, {panel.months[0]} to {panel.months[-1]}"),
        ("keys (firm or account, platform, month) that come twice", "none, or the file would have been refused"),
        ("months without any row", f"{unknown.all(axis=(0, 1)).sum()}"),
        ("cells (firm, platform, month)", f"{sales.size:,}"),
        ("  of them 0", f"{(sales == 0).sum():,} ({_percent(sales == 0)})"),
        ("  of them not known", gaps),
        ("provenance and unit", f"{panel.provenance}, {panel.unit}"),
        ("digest", panel.digest[:16]),
    ]
    return pd.DataFrame(rows, columns=["what", "found"])


def _platforms(panel: Panel) -> pd.DataFrame:
    total = np.nansum(panel.sales)
    rows = []
    for name in panel.platforms:
        sales = panel.platform(name)
        covered = np.asarray(~np.isnan(sales).all(axis=0))
        rows.append(
            {
                "platform": name,
                "firms that sold": int((sales > 0).any(axis=1).sum()),
                "months covered": f"{covered.sum()} of {len(covered)}",
                "% of sales": 100 * float(np.nansum(sales)) / float(total),
                "% zeros": 100 * float((sales == 0).mean()),
                "not known": int(np.isnan(sales).sum()),
            }
        )
    return pd.DataFrame(rows)


def _closures(panel: Panel, cut: float) -> pd.DataFrame:
    waves = panel.cohorts(cut=cut)
    dose = panel.firms["dose"].to_numpy(float)
    part = (dose < cut) & np.isfinite(panel.first_treated(cut=np.finfo(float).tiny))
    rows = [
        *zip(waves["month"].astype(str), waves["firms"], waves["brand_groups"], strict=True),
        (f"in part, a dose below {cut:g}", *_firms_and_groups(panel, part)),
        ("after the last month: not closed within the panel", panel.censored, np.nan),
    ]
    return pd.DataFrame([row for row in rows if row[1]], columns=["closed", "firms", "brand groups"])


def _firms_and_groups(panel: Panel, firms: np.ndarray) -> tuple[int, int]:
    return int(firms.sum()), int(panel.firms["brand_group"][firms].nunique())


def _exposure(panel: Panel, design: Design) -> pd.DataFrame:
    sample = design.sample(panel)
    rows = []
    for origin in panel.firms["origin"].unique():
        of_origin = sample.never_closed & (panel.firms["origin"] == origin).to_numpy() & ~np.isnan(sample.exposure)
        exposure = 100 * sample.exposure[of_origin]
        shares = {name: float(np.quantile(exposure, q)) if exposure.size else np.nan for name, q in _QUANTILES.items()}
        low = int((exposure < 100 * design.low).sum())
        rows.append({"origin": origin, "firms": exposure.size, f"below {100 * design.low:g}": low} | shares)
    return pd.DataFrame(rows)


def _estimable(panel: Panel, design: Design) -> pd.DataFrame:
    """Keep of the answers only whether there is one, and the smallest effect that it could have seen."""
    found = estimate_all(panel, design).rows
    able = np.isfinite(found["std_error"].to_numpy(float))
    why = found["reason"].where(found["reason"] != "", "no error can be given")
    return pd.DataFrame(
        {
            "id": found["id"],
            "estimand": found["label"],
            "firms": [f"{number:,.0f}" if able else "" for number, able in zip(found["n"], able, strict=True)],
            "smallest effect seen": found["mde"].to_numpy(float),
            "unit": found["unit"].fillna(""),
            "estimable": np.where(able, "estimable", why),
        }
    )


def _placebos(panel: Panel, design: Design) -> pd.DataFrame:
    """Say from placebo closures how small an effect shows, and how often a normal test is wrong; or why not."""
    found = attempt(smallest_effect, panel, design)
    if found.refused:
        return pd.DataFrame({"what": ["not estimable"], "found": [found.reason]})
    drawn = f"{found.counts['draws']} draws, within {found.details['within']}"
    asked = {
        "fall": "fall seen in four of five draws, by a test that is right on this panel",
        "fall, normal": "fall seen in four of five draws, by the normal test",
        "size, normal": "the normal test finds what is not there",
    }
    rows = [(words, *found.row(term)[["estimate", "std_error"]], drawn) for term, words in asked.items()]
    return pd.DataFrame(rows, columns=["what", "per cent", "Monte Carlo error", "placebo closures"])
