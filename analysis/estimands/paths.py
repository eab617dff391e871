"""What became of the closed firms month by month: event study, wave by wave, honest bounds (E1).

Time is counted from each firm's own closure: firms of one wave stand beside those they are compared with in that wave,
so a firm that is not closed stands once in each wave in which it could have been.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.effects import att_gt
from analysis.errors import DesignError
from analysis.estimands.design import Design, attempt, clusters, marked, pick
from analysis.estimands.direct import by_student, compared_within, in_per_cent, matched
from analysis.honest import Bounds, honest_bounds
from analysis.inference import Bools, Estimate, Floats, simultaneous_factor
from analysis.testing import romano_wolf

if TYPE_CHECKING:
    from analysis.group_time import GroupTime
    from analysis.market import Truth
    from analysis.panel import Panel

Where = Literal["all", "home"]
Ints = npt.NDArray[np.int64]
ROUNDING = 1e-12  # errors below it, in logs or as a share of mean sales, are what is left where there should be zero
NO_ERROR = "waves of closed firms of one cluster, or that sold nothing, have no error; without comparison no estimate"


@dataclass(frozen=True, eq=False)
class Stack:
    """Closed firms beside those they are compared with, a row per firm and wave.

    Attributes
    ----------
    firm, wave : int64[row]
        Position of the firm in the panel, and month (position) of the wave.
    closed : bool[row]
    y : float64[row, month]
        Sales from `base_months` before the closure to `post_to` months after it, or to the last the last wave has.
    cluster, within : array[row]
        Unit of independent draws, and what firms are compared within: wave and strata of the design.
    """

    firm: Ints
    wave: Ints
    closed: Bools
    y: Floats
    cluster: Any
    within: Any

    def of(self, rows: Bools) -> Stack:
        """Return some of the rows."""
        return Stack(*(getattr(self, name)[rows] for name in ("firm", "wave", "closed", "y", "cluster", "within")))


def stack(panel: Panel, design: Design, *, where: Where = "all") -> Stack:
    """Put the firms of :func:`analysis.estimands.effect_on_closed` in months since the closure.

    A firm "not_yet_closed" is compared with a wave only if it stays open until `anticipation` months after the last
    month that is looked at. Rows with a missing month are left out.

    Raises
    ------
    DesignError
        If the design picks nobody, or closed firms are in fewer than two clusters.
    """
    picked, first = pick(panel, design), panel.closures(cut=design.cut)
    sales = panel.total() if where == "all" else panel.platform(panel.platforms[0])
    firm, wave = matched(panel, design, picked, sales[:, picked.before].mean(axis=1))
    closed = np.asarray(first[firm] == wave)
    end = min(design.post_to, len(panel.months) - 1 - int(wave.max()))
    y = sales[firm[:, np.newaxis], wave[:, np.newaxis] + np.arange(-design.base_months, end + 1)]
    within = np.char.add(compared_within(panel, design)[firm].astype(str), np.char.add("\0", wave.astype(str)))
    open_ = closed | (first[firm] > wave + end + design.anticipation)
    kept = open_ & ~np.isnan(y).any(axis=1)
    found = Stack(firm, wave, closed, y, clusters(panel, design)[firm], within).of(kept)
    if (count := len(np.unique(found.cluster[found.closed]))) < 2:
        raise DesignError(
            f"effects on closed firms by month were asked for; found {int(found.closed.sum())} closed firms in {count} "
            f"clusters by {design.cluster}; two are the fewest: use ranks among comparison firms instead"
        )
    return found


@dataclass(frozen=True)
class Pretrend:
    """The largest absolute t statistic before the reference, and how often chance alone gives one as large.

    Unlike a Wald test it does not invert the covariance, which few closed firms cannot carry. Months without error are
    in neither; where no other is left both are NaN.
    """

    largest_t: float
    p_value: float


def event_study(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate the effect on closed firms' sales by month since their closure.

    The reference is the last month before an effect is allowed for, ``-1 - anticipation``.

    Parameters
    ----------
    panel, design
        Firms and months as :func:`stack` puts them; `design.scale` is that of the effects.
    where : {"all", "home"}
        Sales on all platforms or on the home platform.

    Returns
    -------
    Estimate
        Log points (on the level scale the panel's money), a term per month such as ``"-4"`` or ``"0"``, with a band
        that covers all months at once in `band_low`, `band_high`; `n` is the number of closed firms. Intervals and band
        are Student's, with a degree of freedom less than there are clusters of closed firms. ``details``:
        ``pretrend`` (:class:`Pretrend`), ``reference``, ``where``, and ``closed``, a frame of the closed firms and
        their waves (positions).

    Raises
    ------
    DesignError
        As :func:`stack`, and if fewer than two months lie before the reference.
    """
    if design.base_months < design.anticipation + 3:
        raise DesignError(
            f"an event study of {design.base_months} months before closure was asked for; {design.anticipation} are of "
            "anticipation and one is the reference, so fewer than two are left to judge the paths by; give base_months "
            f"= {design.anticipation + 3} or more"
        )
    rows = stack(panel, design, where=where)
    found = _group_time(rows, design)
    n, closed_clusters = int(rows.closed.sum()), len(np.unique(rows.cluster[rows.closed]))
    dynamic = by_student(found.aggregate("dynamic", draws=1), closed_clusters - 1)
    dynamic = _band(dynamic, closed_clusters - 1)
    closed = pd.DataFrame({"firm": panel.firms.index[rows.firm[rows.closed]], "wave": rows.wave[rows.closed]})
    details = {
        "reference": -1 - design.anticipation,
        "where": where,
        "closed": closed,
    }
    made = replace(
        dynamic,
        estimand=f"{_name(design, where)} by month since closure",
        unit=found.unit if design.scale == "ratio" else f"{panel.unit} a firm and month",
        rows=dynamic.rows.assign(n=n),
        details={**details, "pretrend": _pretrend(dynamic, design, 1.0 if found.scale == "ratio" else rows.y.mean())},
    )
    return marked(made, panel, design)


def by_wave(panel: Panel, design: Design, *, where: Where = "all") -> Estimate:
    """Estimate the effect from closure to `post_to` months after it for each wave, and for all of them together.

    Returns
    -------
    Estimate
        Per cent of the sales without closure, total over total: a term per month of closure, such as ``"2021-05"``,
        then ``"all waves"``. `n` is the number of closed firms. Waves share comparison firms. ``details``: ``closed``
        as in :func:`event_study`, and ``end``, the last month since closure.

    Raises
    ------
    DesignError
        As :func:`stack`, and on the level scale, on which waves of firms of unlike size are no one effect.
    """
    if design.scale != "ratio":
        raise DesignError("effects by wave on the level scale were asked for; they are per cents; use scale='ratio'")
    rows = stack(panel, design, where=where)
    parts = {str(panel.months[wave]): rows.of(rows.wave == wave) for wave in np.unique(rows.wave[rows.closed])}
    table = pd.concat([_wave(part, design, name) for name, part in (parts | {"all waves": rows}).items()])
    closed = pd.DataFrame({"firm": panel.firms.index[rows.firm[rows.closed]], "wave": rows.wave[rows.closed]})
    made = Estimate(
        estimand=f"{_name(design, where)} by wave",
        unit="per cent",
        rows=table.reset_index(drop=True),
        level=design.level,
        counts={"closed": len(closed), "waves": len(parts)},
        reason=NO_ERROR if table["std_error"].isna().any() else "",
        details={"closed": closed, "where": where, "end": rows.y.shape[1] - design.base_months - 1},
    )
    return marked(made, panel, design)


def honest(study: Estimate, *, sensitivity: tuple[float, ...] = (0.0, 0.5, 1.0)) -> Bounds:
    """Bound the mean effect of the window's months since closure when the paths may have parted anyway.

    Relative magnitudes on an :func:`event_study`: months of anticipation come after the reference and have no weight;
    months `post_from` to `post_to` since closure, so far as they are there, have the same.

    Raises
    ------
    DesignError
        If fewer than two months lie before the reference, or none in the window.
    """
    design, month = study.design, study.rows["term"].astype(int).to_numpy()
    inside = (month >= design.post_from) & (month <= design.post_to)
    if not inside.any():
        raise DesignError(
            f"months {design.post_from} to {design.post_to} since closure were asked for; the event study ends in "
            f"month {month.max()}; begin the window earlier"
        )
    return drifted(study, inside, sensitivity=sensitivity)


def drifted(study: Estimate, months: Bools, *, sensitivity: tuple[float, ...]) -> Bounds:
    """Bound the mean effect of some months of an :func:`event_study`, bool[term], under drifts of relative magnitude.

    Raises
    ------
    DesignError
        If fewer than two months lie before the reference.
    """
    assert study.covariance is not None
    after = study.rows["term"].astype(int).to_numpy() > study.details["reference"]
    return honest_bounds(
        study.rows["estimate"].to_numpy(float),
        study.covariance,
        int((~after).sum()),
        int(after.sum()),
        sensitivity=sensitivity,
        target=months[after] / months.sum(),
        level=study.level,
    )


def true_path(truth: Truth | None, study: Estimate) -> Floats:
    """Return the true effect of each month of an event study, in its unit: float64[term], for the same closed firms.

    What they sold (W11) against what they would have sold without the crackdown (W00), which a simulated market knows;
    NaN where there is no truth.
    """
    if truth is None:
        return np.full(len(study.rows), np.nan)
    closed, month = study.details["closed"], study.rows["term"].astype(int).to_numpy()
    what, otherwise = (_sold(truth, world, closed, month, study.details["where"]) for world in ("W11", "W00"))
    if study.design.scale == "level":
        return np.asarray((what - otherwise) / len(closed))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(what / otherwise))


def true_by_wave(truth: Truth | None, waves: Estimate) -> dict[str, float]:
    """Return the true effect of each term of :func:`by_wave`, per cent, for the same closed firms and months.

    Empty where there is no truth.
    """
    if truth is None:
        return {}
    closed, month = waves.details["closed"], np.arange(waves.details["end"] + 1)
    groups = dict(zip(waves.rows["term"], [part for _, part in closed.groupby("wave")] + [closed], strict=True))
    found = {}
    for term, part in groups.items():
        what, otherwise = (_sold(truth, world, part, month, waves.details["where"]).sum() for world in ("W11", "W00"))
        found[term] = float(100 * (what / otherwise - 1))
    return found


def _sold(truth: Truth, world: str, closed: pd.DataFrame, month: Ints, where: Where) -> Floats:
    sales = truth.sales(world)[truth.firms.index.get_indexer(closed["firm"])]
    by_firm = sales[:, 0] if where == "home" else sales.sum(axis=1)
    place = closed["wave"].to_numpy()[:, np.newaxis] + month
    return np.asarray(np.take_along_axis(by_firm, place, axis=1).sum(axis=0))


def _group_time(rows: Stack, design: Design) -> GroupTime:
    return att_gt(
        rows.y,
        np.where(rows.closed, design.base_months, np.inf),
        scale=design.scale,
        anticipation=design.anticipation,
        cluster=rows.cluster,
        strata=rows.within,
        level=design.level,
    )


def _band(dynamic: Estimate, df: int) -> Estimate:
    """Make the band that of a multivariate t, as the intervals are of Student's."""
    assert dynamic.covariance is not None
    wide = simultaneous_factor(dynamic.covariance, dynamic.level, seed=0, df=df) * dynamic.rows["std_error"]
    point = dynamic.rows["estimate"]
    return replace(dynamic, rows=dynamic.rows.assign(band_low=point - wide, band_high=point + wide))


def _wave(rows: Stack, design: Design, name: str) -> pd.DataFrame:
    """Return the row of one wave, or of all; its error is NaN where it would rest on one cluster."""
    lost = not rows.y[rows.closed][:, design.base_months :].any()
    row = {"term": name, "estimate": -100.0, "std_error": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    made, _ = (None, "") if lost else attempt(lambda: _group_time(rows, design).aggregate("simple"))
    groups = len(np.unique(rows.cluster[rows.closed]))
    if made:
        made = in_per_cent(by_student(made, max(groups - 1, 1)))
    found = made.rows if made else pd.DataFrame([row if lost else row | {"estimate": np.nan}])
    if groups < 2:
        found = found.assign(std_error=np.nan, conf_low=np.nan, conf_high=np.nan)
    return found[list(row)].assign(term=name, n=int(rows.closed.sum()))


def _name(design: Design, where: Where) -> str:
    if design.comparison != "low_exposure":
        return f"E1c, {where}"
    return "E1a" if where == "all" else "E1b"


def _pretrend(dynamic: Estimate, design: Design, size: float) -> Pretrend:
    before = (dynamic.rows["term"].astype(int) < -1 - design.anticipation).to_numpy()
    before = before & (dynamic.rows["std_error"].to_numpy() > ROUNDING * size)
    if not before.any():
        return Pretrend(np.nan, np.nan)
    assert dynamic.covariance is not None
    tests = romano_wolf(dynamic.rows["estimate"].to_numpy()[before], covariance=dynamic.covariance[before][:, before])
    return Pretrend(float(tests["t"].abs().max()), float(tests["p_adjusted"].min()))
