"""Share-price event study: market model, abnormal returns, ranks.

Standard errors of one share around one date lean on normal returns, which daily returns
are not. The ranks (against the whole market, and against the share's own past) do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.errors import DataError, DesignError, whole_number
from analysis.estimate import Estimate, Floats

Window = tuple[int, int]
MIN_DAYS = 60  # fewer estimation days make beta a guess; the market ranks were made with the same rule


def _window(name: str, window: Window, days: int) -> slice:
    first, stop = (whole_number(f"an end of the {name} window", end) for end in window)
    if not 0 <= first < stop <= days:
        raise DesignError(
            f"the {name} window [{first}, {stop}) was asked for; there are {days} days; "
            "give column numbers first < stop inside them"
        )
    return slice(first, stop)


def market_model(
    returns: Floats, market: Floats, estimation: Window, firms: Sequence[str] | None = None
) -> tuple[Floats, Floats]:
    """Fit beta without intercept on the estimation window.

    Parameters
    ----------
    returns : float64[firm, day]
        Daily returns as fractions; NaN on days without trade.
    market : float64[day]
        Daily return of the market.
    estimation : (first, stop)
        Column numbers, half open.
    firms : sequence of str, optional
        Names for messages; numbers where there are none.

    Returns
    -------
    beta : float64[firm]
    sigma : float64[firm]
        Standard deviation of the residuals, ``n - 1`` degrees of freedom.

    Raises
    ------
    DesignError
        If a firm has fewer than 60 days in the window, or the window is outside the days.
    """
    span = _window("estimation", estimation, returns.shape[1])
    y, x = returns[:, span], market[span]
    seen = np.isfinite(y)
    days = seen.sum(axis=1)
    if (days < MIN_DAYS).any():
        least = int(days.argmin())
        raise DesignError(
            f"a market model was asked for; firm {firms[least] if firms else least} has {days[least]} days in the "
            f"estimation window; at least {MIN_DAYS} are needed"
        )
    filled = np.where(seen, y, 0.0)
    beta = filled @ x / (seen @ x**2)
    residual = np.where(seen, filled - np.outer(beta, x), 0.0)
    return beta, np.sqrt((residual**2).sum(axis=1) / (days - 1))


def abnormal_returns(
    returns: Floats,
    market: Floats,
    *,
    estimation: Window,
    event: Window | Mapping[str, Window],
    firms: list[str] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Cumulative abnormal returns by event window.

    ``CAR = sum_t (r_t - beta m_t)``, with variance ``sigma² (L + (sum m)² / sum_est m²)``, for the
    noise of the L days and of beta.

    Parameters
    ----------
    returns : float64[firm, day] or float64[day]
        Daily returns as fractions (0.01 is one per cent); NaN on days without trade.
    market : float64[day]
        Return of the market on the same days.
    estimation : (first, stop)
        Column numbers of the estimation window, half open; it must end before every event window.
    event : (first, stop) or mapping of str to (first, stop)
        Event windows by name; a bare pair is called ``"event"``.
    firms : list of str, optional
        Names; numbers where there are none.
    level : float
        Coverage of the interval (Student t, estimation days less one).

    Returns
    -------
    Estimate
        Rows firm by window: `firm`, `window`, `estimate` (fraction), `beta`, `p_own` = share of the firm's own
        windows of that length inside the estimation window, the event counted in, with a CAR as low or lower, `n`
        trading days in the window.
        A window with a day that was not traded is NaN. `details["abnormal"]`: float64[firm, day].

    Raises
    ------
    DesignError
        If shapes or the number of names disagree, windows overlap the estimation window or lie outside, or a firm
        has too few days.

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
    windows = dict(event) if isinstance(event, Mapping) else {"event": event}
    names = [str(i) for i in range(len(returns))] if firms is None else list(firms)
    if len(names) != len(returns):
        raise DesignError(
            f"one name per firm was asked for; found {len(names)} names for {len(returns)} firms; name each row"
        )
    beta, sigma = market_model(returns, market, estimation, names)
    abnormal = returns - np.outer(beta, market)
    traded = np.isfinite(returns[:, slice(*estimation)])
    days = traded.sum(axis=1)
    values, errors, seen = [], [], []
    columns: dict[str, list[Any]] = {"firm": names * len(windows), "window": [], "beta": [], "p_own": []}
    for name, window in windows.items():
        span = _window(name, window, returns.shape[1])
        if span.start < estimation[1]:
            raise DesignError(
                f"window {name!r} from day {span.start} was asked for; the estimation window ends at {estimation[1]}; "
                "an event window must start after it"
            )
        car, length = abnormal[:, span].sum(axis=1), span.stop - span.start
        noise = length + market[span].sum() ** 2 / (traded @ market[slice(*estimation)] ** 2)
        values.append(car)
        errors.append(np.where(np.isfinite(car), sigma * np.sqrt(noise), np.nan))
        seen.append(np.isfinite(returns[:, span]).sum(axis=1))
        columns["window"] += [name] * len(names)
        columns["beta"] += beta.tolist()
        past = abnormal[:, slice(*estimation)]
        columns["p_own"] += [own_past(row, value, length) for row, value in zip(past, car, strict=True)]
    value, error = np.concatenate(values), np.concatenate(errors)
    terms = [f"{firm}: {name}" for name in windows for firm in names]
    gone = [term for term, missing in zip(terms, np.isnan(value), strict=True) if missing]
    return Estimate(
        estimand="E0",
        unit="fraction of the share price",
        terms=tuple(terms),
        value=value,
        covariance=np.diag(error**2),
        df=np.tile(days - 1, len(windows)),
        n=np.concatenate(seen),
        columns=columns,
        level=level,
        counts={"firms": len(returns), "estimation_days": int(days.max())},
        reason=f"not traded on every day of the window: {', '.join(gone)}" if gone else "",
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
