"""Share-price event study: market model, abnormal returns, ranks.

Standard errors of one share around one date lean on normal returns, which daily returns
are not. The ranks (against the whole market, and against the share's own past) do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.errors import DataError, DesignError
from analysis.estimate import Estimate, Floats

__all__ = ["abnormal_returns", "market_rank", "own_past"]
__dir__ = __all__.copy

Window = tuple[int, int]
MIN_DAYS = 60  # fewer estimation days make beta a guess; the market ranks were made with the same rule


def abnormal_returns(
    returns: Floats,
    market: Floats,
    *,
    estimation: Window,
    event: Mapping[str, Window],
    firms: Sequence[str] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Cumulative abnormal returns by event window.

    ``CAR = sum_t (r_t - beta m_t)`` with beta fitted without intercept on the estimation window, and with variance
    ``sigma² (L + (sum m)² / sum_est m²)``, for the noise of the L days and of beta; sigma is the standard deviation of
    the residuals, ``n - 1`` degrees of freedom.

    Parameters
    ----------
    returns : float64[firm, day] or float64[day]
        Daily returns as fractions (0.01 is one per cent); NaN on days without trade.
    market : float64[day]
        Return of the market on the same days.
    estimation : (first, stop)
        Column numbers of the estimation window, half open; it must end before every event window.
    event : mapping of str to (first, stop)
        Event windows by name.
    firms : sequence of str, optional
        Names; numbers where there are none.
    level : float
        Coverage of the interval (Student t, estimation days less one).

    Returns
    -------
    Estimate
        Rows firm by window: `firm`, `window`, `estimate` (fraction), `beta`, `p_own` = share of the firm's own
        windows of that length inside the estimation window, the event counted in, with a CAR as low or lower, `n`
        trading days in the window.
        A window with a day that was not traded is NaN. `details`: `abnormal` float64[firm, day], `beta` and
        `sigma` float64[firm].

    Raises
    ------
    DesignError
        If there is not one market return for each day, a window overlaps the estimation window, or a firm has fewer
        than 60 days in that.

    References
    ----------
    MacKinlay, A. C. (1997), Event studies in economics and finance, Journal of Economic Literature 35, 13-39.
    """
    returns, market = np.atleast_2d(np.asarray(returns, dtype=float)), np.asarray(market, dtype=float)
    if market.shape != returns.shape[1:] or not np.isfinite(market).all():
        raise DesignError(
            f"one finite market return per day was asked for; found {market.shape} for {returns.shape[1]} days; "
            "align the two"
        )
    names = [str(i) for i in range(len(returns))] if firms is None else firms
    span = slice(*estimation)
    traded, x = np.isfinite(returns[:, span]), market[span]
    days, squares = traded.sum(axis=1), traded @ x**2
    if (days < MIN_DAYS).any():
        least = int(days.argmin())
        raise DesignError(
            f"a market model was asked for; firm {names[least]} has {days[least]} days in the estimation window; at "
            f"least {MIN_DAYS} are needed"
        )
    beta = np.where(traded, returns[:, span], 0.0) @ x / squares
    abnormal = returns - np.outer(beta, market)
    past = abnormal[:, span]
    sigma = np.sqrt((np.where(traded, past, 0.0) ** 2).sum(axis=1) / (days - 1))
    parts = []
    for name, (first, stop) in event.items():
        if first < estimation[1]:
            raise DesignError(
                f"window {name!r} from day {first} was asked for; the estimation window ends at {estimation[1]}; "
                "an event window must start after it"
            )
        car = abnormal[:, first:stop].sum(axis=1)
        error = sigma * np.sqrt(stop - first + market[first:stop].sum() ** 2 / squares)
        part = {"firm": names, "window": name, "car": car, "error": np.where(np.isfinite(car), error, np.nan)}
        part |= {"days": days, "n": np.isfinite(returns[:, first:stop]).sum(axis=1), "beta": beta}
        part["p_own"] = [own_past(row, value, stop - first) for row, value in zip(past, car, strict=True)]
        parts.append(pd.DataFrame(part))
    rows = pd.concat(parts, ignore_index=True)
    rows["term"] = rows["firm"] + ": " + rows["window"]
    gone = ", ".join(rows["term"][rows["car"].isna()])
    return Estimate(
        estimand="E0",
        unit="fraction of the share price",
        terms=tuple(rows["term"]),
        value=rows["car"].to_numpy(),
        covariance=np.diag(rows["error"] ** 2),
        max_df=rows["days"].to_numpy() - 1,
        n=rows["n"].to_numpy(),
        columns={name: rows[name].to_numpy() for name in ("firm", "window", "beta", "p_own")},
        level=level,
        counts={"firms": len(returns), "estimation_days": int(days.max())},
        reason=f"not traded on every day of the window: {gone}" if gone else "",
        details={"abnormal": abnormal, "beta": beta, "sigma": sigma},
    )


def own_past(abnormal: Floats, car: float, length: int) -> float:
    """Share of a firm's own windows in the estimation window whose cumulative abnormal return is `car` or lower.

    Parameters
    ----------
    abnormal : float64[day]
        Abnormal returns of the estimation window; windows with a missing day are left out.
    car : float
        Cumulative abnormal return of the event window.
    length : int
        Days of the event window.

    Returns
    -------
    float
        Between 0 and 1, the event window counted in; NaN where `car` is.
    """
    past = np.convolve(abnormal, np.ones(length), mode="valid")
    past = past[np.isfinite(past)]
    return float((1 + (past <= car).sum()) / (1 + len(past))) if np.isfinite(car) else np.nan


def market_rank(car: float, ranks: Floats, values: Floats, n_stocks: int, *, rounding: float) -> tuple[int, int]:
    """Rank of one share's cumulative abnormal return in a market of which only some ranks are known.

    Parameters
    ----------
    car : float
        As a fraction; the share is one of the market's.
    ranks : int64[known rank]
        Ascending, 1 = lowest of the market.
    values : float64[known rank]
        Abnormal return at these ranks, ascending.
    n_stocks : int
        Shares in the market.
    rounding : float
        How far `car` can be off because its daily returns were rounded: half a last digit times days.

    Returns
    -------
    tuple of int
        The lowest and the highest rank the share can have; equal in the tails, where every rank is known.

    Raises
    ------
    DataError
        If the values do not ascend with the ranks, or `car` is not a number.
    """
    if (np.diff(values) < 0).any() or not np.isfinite(car):
        raise DataError(
            f"the market rank of a return of {car} was asked for; the known returns must ascend with the rank and "
            "the return must be a number; sort the file by rank and leave out shares that were not traded"
        )
    below, not_above = np.searchsorted(values, [car - rounding, car + rounding])
    low = int(ranks[below - 1]) + 1 if below > 0 else 1
    high = int(ranks[not_above]) - 1 if not_above < len(ranks) else n_stocks
    return low, max(low, high)
