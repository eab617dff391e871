"""How long units go on selling anywhere: exit, restricted mean survival and proportional hazards.

statsmodels gives the survival function and the hazard ratio; here are what counts as exit, who is seen for how long,
and the influence of each unit on the mean time alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.errors import DesignError
from analysis.inference import Bools, Estimate, Floats, whole_number

Labels = Sequence[Any] | npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Survival:
    """Exit of treated and comparison units.

    Attributes
    ----------
    units : DataFrame
        Units at risk, indexed by their row: `months` alive since the start, `exited` (False is censored), `treated`,
        `stratum`, `cluster`.
    curves : DataFrame
        Kaplan-Meier by group over all strata: `treated`, `month`, `survival`, `std_error`, `at_risk`, `exits`.
    mean_months : Estimate
        Months alive within the horizon: ``"treated"``, ``"comparison"`` and ``"difference"``.
    hazard : Estimate
        Log hazard ratios: ``"treated"`` and the covariates.
    """

    units: pd.DataFrame
    curves: pd.DataFrame
    mean_months: Estimate
    hazard: Estimate


def exit_survival(
    sales: Floats,
    start: npt.NDArray[Any],
    treated: Bools,
    *,
    gap: int = 3,
    horizon: int = 12,
    strata: Labels | None = None,
    cluster: Labels | None = None,
    covariates: Mapping[str, Floats] | None = None,
    level: float = 0.95,
) -> Survival:
    """Compare how long treated and other units go on selling on any platform.

    A unit exits in the first month of its first `gap` months in a row without a sale. Whether it did in month k can
    be known only `gap` - 1 months later, so every unit is seen up to the last such month and censored after it.

    Parameters
    ----------
    sales : float64[unit, month]
        Over all platforms; zero is no sale, NaN is not known and ends what is seen.
    start : float64[unit]
        Column in which the clock starts, such as the month of closure; for a comparison unit that of those it is
        compared with. Units that are never followed have inf, and are left out.
    treated : bool[unit]
    gap : int
        Months in a row without a sale that count as exit.
    horizon : int
        Months over which time alive is counted.
    strata : sequence, optional
        Differences are made within these and averaged over the treated; the hazard model has a baseline for each.
    cluster : sequence, optional
        Such as the brand group; each unit its own where not given.
    covariates : mapping of str to float64[unit], optional
        For the hazard ratio alone.
    level : float
        Coverage of intervals.

    Returns
    -------
    Survival
        Counts say who was left out: ``not_followed`` (no start, or nothing seen after it), ``not_selling`` (no sale in
        the `gap` months before it), and who ``returned`` after an exit.

    Raises
    ------
    DesignError
        If shapes disagree, a group is empty, nobody is seen for the whole horizon, or nobody exits.

    Notes
    -----
    Time alive is the sum of S(0) to S(horizon - 1), months in which a unit is alive. Its variance is Greenwood's: the
    sum of squared influence values equals it exactly. Hazard: Cox with Efron's ties. Clustered errors of the hazard
    ratio use statsmodels' score residuals, which take ties as Breslow does.

    References
    ----------
    Efron, B. (1977), The efficiency of Cox's likelihood function for censored data, JASA 72, 557-565. Royston, P. and
    Parmar, M. K. B. (2013), Restricted mean survival time, BMC Medical Research Methodology 13, 152.
    """
    units, counts = _at_risk(sales, start, treated, gap, strata, cluster, covariates or {})
    _check_groups(units, whole_number("horizon", horizon))
    return Survival(
        units=units.drop(columns=["seen", *(covariates or {})]),
        curves=pd.concat([_curve(units[units["treated"] == group], group) for group in (True, False)]),
        mean_months=_mean_months(units, horizon, level, counts),
        hazard=_hazard(units, list(covariates or {}), strata is not None, cluster is not None, level, counts),
    )


def _at_risk(
    sales: Floats,
    start: npt.NDArray[Any],
    treated: Bools,
    gap: int,
    strata: Labels | None,
    cluster: Labels | None,
    covariates: Mapping[str, Floats],
) -> tuple[pd.DataFrame, dict[str, int]]:
    sales, start, treated = np.asarray(sales, dtype=float), np.asarray(start, dtype=float), np.asarray(treated)
    n = len(sales)
    labels = [np.zeros(n, dtype=np.int64) if strata is None else np.asarray(strata)]
    labels.append(np.arange(n) if cluster is None else np.asarray(cluster))
    if sales.ndim != 2 or treated.dtype != bool or any(len(part) != n for part in (start, treated, *labels)):
        raise DesignError(
            f"sales[unit, month] with a start, a True or False and labels per unit were asked for; found shape "
            f"{sales.shape}, {len(start)} starts, treated of {treated.dtype}, {[len(part) for part in labels]} labels; "
            "match them"
        )
    if whole_number("gap", gap) < 1 or np.isnan(start).any() or (start < 1).any():
        raise DesignError(
            f"a gap and a start of at least 1 month were asked for; found {gap}, and {int((~(start >= 1)).sum())} "
            "starts below 1 or missing; give the month before as well, or inf for a unit that is not followed"
        )
    numbers = [np.asarray(values, dtype=float) for values in covariates.values()]
    lacking = [int(pd.isna(part).sum()) for part in (*labels, *numbers)]
    if (sales < 0).any() or any(lacking):
        raise DesignError(
            f"sales of at least 0 and a stratum, cluster and covariates of each unit were asked for; found "
            f"{(sales < 0).sum()} negative sales, and {lacking} missing; correct them, or leave these units out"
        )
    start = np.minimum(start, sales.shape[1])  # inf starts after the last month: not followed
    first_silent, last_known = _silence(sales, start, gap)
    seen = last_known - gap - start + 1  # months after the start in which an exit would be known
    followed = seen >= 0
    selling = _sold_before(sales, start, gap)
    kept = np.flatnonzero(followed & selling)
    exited = first_silent <= start + seen
    frame = pd.DataFrame(
        {
            "months": np.where(exited, first_silent - start, seen),
            "exited": exited,
            "treated": treated,
            "stratum": labels[0],
            "cluster": labels[1],
            "seen": seen,
            **dict(zip(covariates, numbers, strict=True)),
        }
    ).iloc[kept]
    again = np.where(np.arange(sales.shape[1]) > first_silent[:, None], np.nan_to_num(sales), 0).sum(axis=1) > 0
    counts = {
        "units": len(kept),
        "not_followed": int((~followed).sum()),
        "not_selling": int((followed & ~selling).sum()),
        "exits": int(exited[kept].sum()),
        "returned": int((exited & again)[kept].sum()),
        "clusters": frame["cluster"].nunique(),
    }
    return frame, counts


def _silence(sales: Floats, start: Floats, gap: int) -> tuple[Floats, Floats]:
    """Return the column of the first `gap` silent months after the start (inf: none), and of the last month known."""
    n, months = sales.shape
    after = np.arange(months) >= start[:, None]
    unknown = np.isnan(sales) & after
    last_known = np.where(unknown.any(axis=1), unknown.argmax(axis=1) - 1.0, months - 1.0)
    silent = (sales == 0) & after
    runs = np.zeros((n, months), dtype=bool)
    if months >= gap:
        windows = np.lib.stride_tricks.sliding_window_view(silent, gap, axis=1)
        runs[:, : months - gap + 1] = windows.all(axis=2)
    return np.where(runs.any(axis=1), runs.argmax(axis=1).astype(float), np.inf), last_known


def _sold_before(sales: Floats, start: Floats, gap: int) -> Bools:
    column = np.arange(sales.shape[1])
    before = (column < start[:, None]) & (column >= start[:, None] - gap)
    return np.asarray((before & (sales > 0)).any(axis=1))


def _check_groups(units: pd.DataFrame, horizon: int) -> None:
    treated, stratum = units["treated"], units["stratum"]
    missing = set(stratum[treated]) - set(stratum[~treated])
    if not treated.any() or treated.all() or missing:
        raise DesignError(
            f"survival of treated and comparison units was asked for; found {treated.sum()} and {(~treated).sum()} at "
            f"risk, and {len(missing)} strata of treated units without comparison; use coarser strata"
        )
    cells = units[stratum.isin(stratum[treated])].groupby(["treated", "stratum"])
    longest = int(cells["seen"].max().min())
    if not 0 < horizon <= longest + 1:
        raise DesignError(
            f"time alive over {horizon} months was asked for; one group is seen for {longest + 1} months at most; "
            "shorten the horizon"
        )
    if not units["exited"].any():
        raise DesignError(f"survival was asked for; none of {len(units)} units exits; there is nothing to compare")


def _curve(units: pd.DataFrame, treated: bool) -> pd.DataFrame:
    found = SurvfuncRight(units["months"].to_numpy(), units["exited"].to_numpy().astype(int))
    return pd.DataFrame(
        {
            "treated": treated,
            "month": found.surv_times.astype(int),
            "survival": found.surv_prob,
            "std_error": found.surv_prob_se,
            "at_risk": found.n_risk.astype(int),
            "exits": found.n_events.astype(int),
        }
    )


def _months_alive(units: pd.DataFrame, horizon: int) -> tuple[float, Floats]:
    """Return restricted mean survival and the influence of each unit on it, float64[unit]."""
    months, exited = units["months"].to_numpy(), units["exited"].to_numpy()
    if not exited.any():
        return float(horizon), np.zeros(len(units))
    table = SurvfuncRight(months, exited.astype(int))
    alive = np.append(1.0, table.surv_prob)[np.searchsorted(table.surv_times, np.arange(horizon), side="right")]
    ahead = np.append(np.cumsum(alive[::-1])[::-1], 0.0)  # months alive from each month on
    within = table.surv_times < horizon
    time, exits, risk = table.surv_times[within].astype(int), table.n_events[within], table.n_risk[within]
    stay = risk - exits
    per_exit = np.divide(ahead[time], stay, out=np.zeros(len(time)), where=stay > 0)  # nobody left: nothing to lose
    died = (months[:, None] == time) & exited[:, None]
    influence = -(died - (months[:, None] >= time) * (exits / risk)) @ per_exit
    return float(alive.sum()), influence


def _mean_months(units: pd.DataFrame, horizon: int, level: float, counts: dict[str, int]) -> Estimate:
    units = units[units["stratum"].isin(units.loc[units["treated"], "stratum"])].reset_index(drop=True)
    of_treated = units.loc[units["treated"], "stratum"]
    weight = of_treated.value_counts(normalize=True)
    value, influence = np.zeros(2), np.zeros((len(units), 2))
    for (treated, stratum), cell in units.groupby(["treated", "stratum"]):
        column = 0 if treated else 1
        mean, moved = _months_alive(cell, horizon)
        value[column] += weight[stratum] * mean
        influence[cell.index, column] += weight[stratum] * moved
        influence[of_treated.index, column] += mean * ((of_treated == stratum) - weight[stratum]) / len(of_treated)
    value = np.append(value, value[0] - value[1])
    influence = np.column_stack([influence, influence[:, 0] - influence[:, 1]])
    summed = pd.DataFrame(influence).groupby(units["cluster"]).sum()
    by_cluster = summed.to_numpy()
    covariance = by_cluster.T @ by_cluster
    n = [len(of_treated), len(units) - len(of_treated), len(units)]
    rows = _rows(["treated", "comparison", "difference"], value, np.sqrt(np.diag(covariance)), n, level)
    return Estimate(
        estimand=f"months alive within {horizon} months",
        unit="months",
        rows=rows,
        level=level,
        counts=counts,
        covariance=covariance,
        make_influence=lambda: by_cluster,
        details={"clusters": summed.index.to_numpy()},
    )


def _hazard(
    units: pd.DataFrame, covariates: list[str], stratified: bool, clustered: bool, level: float, counts: dict[str, int]
) -> Estimate:
    informative = units[units["exited"].groupby(units["stratum"]).transform("any")]
    if informative.loc[informative["exited"], "treated"].nunique() < 2:
        names, value = ["treated"], np.array([np.nan])
        rows = _rows(names, value, value, [len(units)], level)
        why = "exits are in one group alone: the hazard ratio is zero or infinite"
        return Estimate("log hazard ratio of exit", "log points", rows, level, counts=counts, reason=why)
    names = ["treated", *covariates]
    model = PHReg(
        informative["months"].to_numpy(),
        informative[names].to_numpy(float),
        status=informative["exited"].to_numpy().astype(int),
        strata=pd.factorize(informative["stratum"])[0] if stratified else None,
        ties="efron",
    )
    found = model.fit(
        groups=pd.factorize(informative["cluster"])[0] if clustered else None, start_params=_crude(informative, names)
    )
    rows = _rows(names, found.params, np.sqrt(np.diag(found.cov_params())), [len(informative)] * len(names), level)
    return Estimate(
        estimand="log hazard ratio of exit",
        unit="log points",
        rows=rows,
        level=level,
        counts=counts,
        covariance=np.asarray(found.cov_params()),
        details={"log_likelihood": float(found.llf)},
    )


def _crude(units: pd.DataFrame, names: list[str]) -> Floats:
    """Return where to start: the log ratio of exits a month; from zero, few treated units throw Newton's step far."""
    by = units.groupby("treated")[["exited", "months"]].sum()
    rate = by["exited"] / (by["months"] + by["exited"])
    return np.append(np.log(rate[True] / rate[False]), np.zeros(len(names) - 1))


def _rows(names: list[str], value: Floats, error: Floats, n: list[int], level: float) -> pd.DataFrame:
    reach = stats.norm.ppf((1 + level) / 2) * error
    bounds = {"std_error": error, "conf_low": value - reach, "conf_high": value + reach}
    return pd.DataFrame({"term": names, "estimate": value, **bounds, "n": n})
