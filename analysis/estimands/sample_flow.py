"""Which firms each estimand uses, and why it leaves out the others: counted, and nothing of it is an effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.estimands.closed_firms import GAP, SMALLEST, Wave, strata, waves
from analysis.estimands.design import Design, Sample, attempt
from analysis.estimands.event_study import leads_design, stack
from analysis.estimands.growth import PARTS
from analysis.estimands.rivals import HIGH_RISK
from analysis.estimate import Bools, Estimate, Floats

if TYPE_CHECKING:
    from analysis.panel import Panel

USED = {
    "closed": "closed by the end of the window",
    "asked about": "not closed by then: exposed, suspect, of the origin, or new",
    "compared": "what they are held against",
}
LEFT = {
    "in part": "closed with a dose below the smallest that counts",
    "later": "closed after the window",
    "shut": "closed, where only firms not closed are asked about",
    "origin": "of an origin that is not asked about, or of which no closed firm is left",
    "category": "of an origin and category in which no closed firm is left",
    "exposed": "not closed, but closed rivals held much of the category",
    "unknown": "a month that is needed, the exposure or the risk is not known",
    "none before": "sold nothing in the earlier months that are compared: entered later",
    "too small": "not closed, and smaller than nine of ten closed firms",
    "stopped": "sold nothing in the month from which it is followed, or in the window",
    "not new": "no entrant of these months",
}
"""Columns of :func:`sample_flow` and what they say."""
Masks = dict[str, Bools]
Row = tuple[Sequence[str], Masks]
"""Ids of estimands, and firms bool[firm] by a name of `USED` or `LEFT`; of a firm the first one counts."""


def sample_flow(panel: Panel, design: Design) -> pd.DataFrame:
    """Count the firms that each estimand uses and leaves out, and why, whether or not it can be estimated with them.

    Parameters
    ----------
    panel, design
        Of a panel that can carry the design; the comparison is of low exposure.

    Returns
    -------
    DataFrame
        `estimands`, as E5a_* where three or more differ in what follows; a column for each of `USED`, and those of
        `LEFT` that occur. Every row adds up to all firms.
    """
    rows = []
    for ids, masks in _rows(panel, design):
        if not ids:  # none of a platform that the panel has not
            continue
        order = [name for name in (*USED, *LEFT) if name in masks]
        place = np.select([masks[name] for name in order], range(len(order)))
        counts = np.bincount(place, minlength=len(order)).tolist()
        rows.append({"estimands": _short(ids), **dict(zip(order, counts, strict=True))})
    table = pd.DataFrame(rows, columns=["estimands", *USED, *LEFT]).fillna(0)
    kept = [*USED, *(name for name in LEFT if table[name].any())]
    return table[["estimands", *kept]].astype(dict.fromkeys(kept, int))


def _short(ids: Sequence[str]) -> str:
    stems = [name[: name.find("_") + 1] or name.rstrip("1234567") for name in ids]
    many = Counter(stem for name, stem in zip(ids, stems, strict=True) if name != stem)
    return " ".join(
        dict.fromkeys(f"{stem}*" if many[stem] > 2 else name for name, stem in zip(ids, stems, strict=True))
    )


def _rows(panel: Panel, design: Design) -> Iterator[Row]:
    sample, away, origin = design.sample(panel), panel.platforms[1:], design.origin
    same = replace(design, comparison="spared_same_category").sample(panel)
    yield ["E1a", "E1e"], _closed(sample, len(panel.platforms))
    yield ["E1b"], _closed(sample, 1)
    yield ["E1c"], _closed(same, len(panel.platforms))
    yield ["E1d"], _alive(sample)
    yield ["E2a_slope", "E2a"], _rivals(sample, sample.is_own)
    yield ["E2b_slope", "E2b"], _rivals(sample, ~sample.is_own)
    own = ["E3g_seen", "E3_seen", *(f"E3k_{part}" for part in PARTS)]
    yield own, _changes(sample, 1, sample.is_own)
    yield ["E3g_common", "E3g"], _triple(sample)
    home = ["E3s_seen", *(f"{name}_{side}" for name in ("E4b", "E4e") for side in (origin, "other"))]
    everyone = np.ones_like(sample.closed)
    yield home, _changes(sample, 1, everyone)
    moved = [*(f"E4a_{code}" for code in away), "E4a_sales", *(f"d{number}" for number in range(1, 8))]
    yield moved, _changes(sample, len(panel.platforms), everyone)
    yield [f"E4d_{code}" for code in panel.platforms], _mixed(sample, sample.sums.sum(axis=2) > 0)
    present = (panel.sales[:, :, sample.before] > 0).any(axis=(1, 2))
    yield ["E4a_presence"], _mixed(sample, np.array([present, everyone]))
    yield from _leads(panel, design)
    yield ["E5b"], _chilled(sample)
    yield [f"E5c_{code}" for code in away], _hedged(sample)
    yield ["E5d_slope", "E5d"], _entrants(sample)


def _others(sample: Sample) -> Masks:
    """Return firms that no estimand on closed firms uses, unless it says so."""
    partly = (sample.panel.firms["dose"] < sample.design.cut).to_numpy()
    exposed = sample.never_closed & ~sample.comparison & np.isfinite(sample.exposure)
    later = ~(sample.closed | partly | sample.never_closed)
    return {"in part": partly, "later": later, "exposed": exposed, "stopped": np.ones_like(sample.closed)}


def _known(sums: Floats) -> Bools:
    return np.asarray(np.isfinite(sums).all(axis=(0, 2)))


def _by_wave(sample: Sample, matched: Iterable[Wave], unknown: Bools, before: Floats | None = None) -> Masks:
    """Return the closed firms of waves, and others of their origin, or origin and category, as one in their wave."""
    within, reason = strata(sample), "category" if sample.design.comparison == "spared_same_category" else "origin"
    closed, compared = np.zeros_like(sample.closed), np.zeros_like(sample.closed)
    for wave in matched:
        closed[wave.closed] = True
        compared[wave.others[np.isin(within[wave.others], within[wave.closed])]] = True
    found = _others(sample) | {"closed": closed, "compared": compared, "unknown": unknown}
    found[reason] = ~np.isin(within, within[closed]) & ~sample.closed
    return found if before is None else found | {"none before": before <= 0}


def _closed(sample: Sample, width: int) -> Masks:
    """Return the firms of :func:`analysis.estimands.closed_firms.effect_on_closed` on the first `width` platforms."""
    sums = sample.sums[:, :, :width]
    known, before = _known(sums), sums[0].sum(axis=1)
    matched = [wave.of(known) for wave in waves(sample, before)]
    return _by_wave(sample, matched, ~known | ~np.isfinite(sample.exposure), before)


def _alive(sample: Sample) -> Masks:
    """Return the firms of :func:`analysis.estimands.closed_firms.survival_of_closed`, as far as it can follow them."""
    total = sample.panel.total()
    sold, size = total > 0, np.nansum(total[:, sample.base], axis=1)
    small = size < np.quantile(size[sample.closed], SMALLEST)
    months, matched = np.unique(sample.first[sample.closed]).astype(int).tolist(), []
    for month in months:
        seen = np.isfinite(total[:, month : month + GAP]).sum(axis=1) == GAP
        ours = (sample.first == month) & sold[:, month - 1] & seen
        theirs = sample.comparison & ~small & sold[:, month] & sold[:, month - GAP : month].any(axis=1) & seen
        matched.append(Wave(month, np.flatnonzero(ours), np.flatnonzero(theirs)))
    unknown = np.asarray(np.isnan(total[:, months[0] - 1 : months[-1] + GAP]).any(axis=1))
    return _by_wave(sample, matched, unknown) | {"too small": sample.comparison & small}


def _rivals(sample: Sample, asked: Bools) -> Masks:
    """Return the firms of :func:`analysis.estimands.rivals.spillover`: the less exposed are compared."""
    first, last = (sample.home[:, month] for month in (sample.base.start, sample.base.stop - 1))
    known = _known(sample.sums[:, :, :1]) & np.isfinite(sample.exposure)
    used = sample.never_closed & asked & known & ~(first <= 0) & ~(last <= 0)
    found = _others(sample) | {"asked about": used & ~sample.comparison, "compared": used & sample.comparison}
    del found["exposed"]
    return found | {"shut": sample.closed, "origin": ~asked, "unknown": ~known, "none before": first <= 0}


def _changes(sample: Sample, width: int, asked: Bools) -> Masks:
    """Return the firms of :func:`analysis.estimands.changes.estimated` on the first `width` platforms."""
    sums, sales = sample.sums[:, :, :width], sample.panel.sales[:, :width]
    known = asked & _known(sums)
    sold = (sums[0] != 0).any(axis=1)
    eve = np.where(sample.closed, sample.first - 1, 0).astype(int)[:, np.newaxis, np.newaxis]
    sold_last = (np.take_along_axis(sales, eve, axis=2) != 0).any(axis=(1, 2))
    closed = sample.closed & known & sold & sold_last
    asked_about, pool = ~sample.closed & ~sample.comparison & known, sample.comparison & known
    used = np.isin(sample.origin, sample.origin[closed | asked_about])
    found = {"closed": closed, "asked about": asked_about, "compared": pool & used, "origin": ~asked | (pool & ~used)}
    return found | {"unknown": ~known, "none before": ~sold, "stopped": np.ones_like(sold)}


def _triple(sample: Sample) -> Masks:
    """Return the firms of :func:`analysis.estimands.growth.against_others`."""
    found, start = _changes(sample, 1, np.ones_like(sample.closed)), sample.before.start - 12
    early = np.isfinite(sample.home[:, max(start, 0) : sample.before.stop - 12].sum(axis=1))
    compared = sample.comparison & _known(sample.sums[:, :, :1]) & early
    mine = {name: found[name] & sample.is_own for name in ("closed", "asked about")}
    found |= mine | {"compared": compared, "origin": ~sample.is_own & ~sample.comparison}
    return found | {"unknown": found["unknown"] | ~early}


def _mixed(sample: Sample, sells: Bools) -> Masks:
    """Return the firms of a mean over firms of a change on platforms; `sells`, bool[2, firm]: before, in the window."""
    known, found = _known(sample.sums), _others(sample)
    used = known & np.isin(sample.origin, sample.origin[known & sample.closed]) & sells.all(axis=0)
    used &= ~sample.stopped[:, int(sample.first[sample.closed].min()) - 1]
    found |= {"closed": used & sample.closed, "compared": used & sample.comparison}
    origin = ~np.isin(sample.origin, sample.origin[known & sample.closed]) & ~sample.closed
    return found | {"origin": origin, "unknown": ~known | ~np.isfinite(sample.exposure), "none before": ~sells[0]}


def _leads(panel: Panel, design: Design) -> Iterator[Row]:
    """Yield the firms of :func:`analysis.estimands.event_study.anticipation`, if it has any."""
    early = leads_design(design)
    rows = attempt(stack, panel, early, where="home")
    if isinstance(rows, Estimate):
        return
    sample, months = rows.sample, [wave.month for wave in rows.waves]
    needed = sample.home[:, min(months) - early.base_months : max(months) + rows.end + 1]
    unknown = np.isnan(needed).any(axis=1) | ~np.isfinite(sample.exposure)
    found = _by_wave(sample, rows.waves, unknown, sample.sums[0, :, 0])
    yield [f"E5a_{lead}" for lead in range(-early.anticipation, 0)], found


def _chilled(sample: Sample) -> Masks:
    """Return the firms of :func:`analysis.estimands.rivals.chilling`: the suspect ones, and those compared."""
    risk, found = sample.panel.firms["risk"].to_numpy(float), _others(sample)
    low = sample.never_closed & (np.nan_to_num(sample.exposure, nan=np.inf) < sample.design.low)
    known = _known(sample.sums[:, :, :1]) & ~np.isnan(risk) & np.isfinite(sample.exposure)
    sold = sample.sums[0, :, 0] > 0
    used = low & known & sold & (sample.home[:, sample.base.stop - 1] > 0)
    both = np.ones_like(used)
    for side in (risk > HIGH_RISK, ~(risk > HIGH_RISK)):
        both &= np.isin(sample.origin, sample.origin[used & side])
    found |= {"asked about": used & both & (risk > HIGH_RISK), "compared": used & both & ~(risk > HIGH_RISK)}
    found["exposed"] = sample.never_closed & ~low & np.isfinite(sample.exposure)
    return found | {"shut": sample.closed, "origin": ~both, "unknown": ~known, "none before": ~sold}


def _hedged(sample: Sample) -> Masks:
    """Return the firms of :func:`analysis.estimands.displacement.hedging`: of the origin, and of others to compare."""
    sells, known = np.asarray((sample.sums > 0).any(axis=2)), _known(sample.sums)
    used = known & sample.never_closed & sells.all(axis=0)
    found = _others(sample) | {"asked about": used & sample.is_own, "compared": used & ~sample.is_own}
    del found["exposed"]
    return found | {"shut": sample.closed, "unknown": ~known, "none before": ~sells[0]}


def _entrants(sample: Sample) -> Masks:
    """Return the firms of :func:`analysis.estimands.growth.entry_by_exposure`, known to have sold nothing before."""
    total, wave = sample.panel.total(), sample.base.stop
    sold = total > 0
    first = np.where(sold.any(axis=1) & sample.is_own, sold.argmax(axis=1), -1)
    first[total[np.arange(len(total)), first - 1] != 0] = -1
    new = ((first >= wave - 12) & (first < sample.after.stop - 12)) | ((first >= wave) & (first < sample.after.stop))
    return {"asked about": new, "origin": ~sample.is_own, "not new": np.ones_like(new)}
