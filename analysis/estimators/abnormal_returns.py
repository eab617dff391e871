"""Share-price event study: market model, abnormal returns, ranks.

Standard errors for one share around one date assume normal returns, but daily returns are not normal. Ranks in the
whole market need no such assumption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate, Floats

__dir__ = ["abnormal_returns", "market_rank"].copy  # for tab completion

Window = tuple[int, int]
MIN_DAYS = 60  # fewest estimation days for a usable beta; the market ranks use the same rule


def abnormal_returns(
    returns: Floats,
    market: Floats,
    *,
    estimation: Window,
    event: Mapping[str, Window],
    firms: Sequence[str] | None = None,
    level: float = 0.95,
    recent: int = 0,
) -> Estimate:
    """Estimate cumulative abnormal returns by event window.

    ``CAR = sum_t (r_t - beta m_t)`` with beta fitted without intercept on the estimation window, and with variance
    ``sigma² (L + (sum m)² / sum_est m²)``, for the noise of the L days and of beta; sigma is the standard deviation of
    the residuals, ``n - 1`` degrees of freedom, or of those in the `recent` days before the event window, if larger.

    Parameters
    ----------
    returns : float64[firm, day] or float64[day]
        Daily returns as fractions (0.01 is one per cent); NaN on days without trading.
    market : float64[day]
        Return of the market on the same days.
    estimation : (first, stop)
        Column numbers of the estimation window, half open; it must end before every event window.
    event : mapping of str to (first, stop)
        Event windows by name.
    firms : sequence of str, optional
        Names; numbers by default.
    level : float
        Coverage of the interval (Student t, days behind sigma less one).
    recent : int
        Days right before each event window in which noise is measured too; none by default.

    Returns
    -------
    Estimate
        Rows firm by window: `firm`, `window`, `estimate` (fraction; NaN after a day without trading), `beta`, `noise`
        (sigma), `n` trading days. `details`: `abnormal` float64[firm, day]; `beta`, `sigma` before, float64[firm].

    Raises
    ------
    DesignError
        If market and returns differ in days, a market return is missing, a window starts before the end of the
        estimation window, or a firm has fewer than 60 days in the latter.

    References
    ----------
    MacKinlay, A. C. (1997), Event studies in economics and finance, Journal of Economic Literature 35, 13-39.
    """
    returns, market = np.atleast_2d(np.asarray(returns, dtype=float)), np.asarray(market, dtype=float)
    if market.shape != returns.shape[1:] or not np.isfinite(market).all():
        raise DesignError(
            f"Cannot fit a market model: the market needs a return on each of {returns.shape[1]} days, but has "
            f"{np.isfinite(market).sum()}, in shape {market.shape}; align the two"
        )
    names = [str(i) for i in range(len(returns))] if firms is None else firms
    before = slice(*estimation)
    traded, x = np.isfinite(returns[:, before]), market[before]
    days, squares = traded.sum(axis=1), traded @ x**2
    if (days < MIN_DAYS).any():
        fewest = int(days.argmin())
        raise DesignError(
            f"Cannot fit a market model: firm {names[fewest]} has {days[fewest]} days in the estimation window, but "
            f"{MIN_DAYS} are needed; lengthen the window"
        )
    beta = np.where(traded, returns[:, before], 0.0) @ x / squares
    abnormal = returns - np.outer(beta, market)
    sigma, df = _noise(abnormal[:, before])
    windows = []
    for name, (first, stop) in event.items():
        if first < estimation[1]:
            raise DesignError(
                f"Cannot use the event window {name!r}: it starts on day {first}, before the estimation window ends on "
                f"day {estimation[1]}; start it later"
            )
        car = abnormal[:, first:stop].sum(axis=1)
        late, late_df = _noise(abnormal[:, max(first - recent, 0) : first])
        noise, n = np.maximum(sigma, late), np.isfinite(returns[:, first:stop]).sum(axis=1)
        error = noise * np.sqrt(stop - first + market[first:stop].sum() ** 2 / squares)
        columns = {"firm": names, "window": name, "car": car, "error": np.where(np.isfinite(car), error, np.nan)}
        columns |= {"df": np.where(late > sigma, late_df, df), "beta": beta, "noise": noise, "n": n}
        windows.append(pd.DataFrame(columns))
    rows = pd.concat(windows, ignore_index=True)
    rows["term"] = rows["firm"] + ": " + rows["window"]
    not_traded = ", ".join(rows["term"][rows["car"].isna()])
    return Estimate(
        estimand="E0",
        unit="fraction of the share price",
        terms=tuple(rows["term"]),
        value=rows["car"].to_numpy(),
        covariance=np.diag(rows["error"] ** 2),
        max_df=rows["df"].to_numpy(),
        n=rows["n"].to_numpy(),
        columns={name: rows[name].to_numpy() for name in ("firm", "window", "beta", "noise")},
        level=level,
        counts={"firms": len(returns), "estimation_days": int(days.max())},
        reason=f"not traded on every day of the window: {not_traded}" if not_traded else "",
        details={"abnormal": abnormal, "beta": beta, "sigma": sigma},
    )


def _noise(abnormal: Floats) -> tuple[Floats, Floats]:
    """Return the standard deviation of float64[firm, day] about zero, and its degrees of freedom, by firm."""
    df = np.maximum(np.isfinite(abnormal).sum(axis=1) - 1, 1)
    return np.sqrt(np.nansum(abnormal**2, axis=1) / df), df


def market_rank(car: float, ranks: Floats, values: Floats, n_stocks: int, *, rounding: float) -> tuple[int, int]:
    """Rank a share's cumulative abnormal return in a market where only some ranks are known.

    Parameters
    ----------
    car : float
        As a fraction; the share is part of the market.
    ranks : int64[known rank]
        Ascending, 1 = lowest of the market.
    values : float64[known rank]
        Abnormal return at these ranks, ascending.
    n_stocks : int
        Shares in the market.
    rounding : float
        Largest error of `car` from rounded daily returns: half a unit of the last digit times the number of days.

    Returns
    -------
    tuple of int
        The lowest and the highest possible rank of the share; equal in the tails, where every rank is known.

    Raises
    ------
    DataError
        If the values do not ascend with the ranks, or `car` is not finite.
    """
    if (np.diff(values) < 0).any() or not np.isfinite(car):
        raise DataError(
            f"Cannot rank a return of {car}: it must be finite, and the known returns must ascend with the rank; sort "
            "the file by rank and drop shares without trading"
        )
    below, not_above = np.searchsorted(values, [car - rounding, car + rounding])
    low = int(ranks[below - 1]) + 1 if below > 0 else 1
    high = int(ranks[not_above]) - 1 if not_above < len(ranks) else n_stocks
    return low, max(low, high)
