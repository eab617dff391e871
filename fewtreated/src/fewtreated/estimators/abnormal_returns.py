"""Share-price event study: market model, abnormal returns, ranks.

Standard errors for one share around one date assume normal returns, but daily returns are not
normal. Ranks in the whole market need no such assumption.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from fewtreated.errors import DataError, DesignError
from fewtreated.estimate import Estimate, Floats, Ints

__dir__ = [
    "abnormal_returns",
    "market_model",
    "market_rank",
    "pool_events",
].copy  # for tab completion

Window = tuple[int, int]
MIN_DAYS = 60  # fewest estimation days for a usable beta; the market ranks use the same rule


@dataclass(frozen=True)
class MarketModel:
    """A market model without a constant, fitted to each share.

    `beta` is float64[firm], `squares` the sum of squared market returns on the days behind it,
    float64[firm], `days` their number, int64[firm], and `abnormal` the returns less beta times the
    market's, float64[firm, day].
    """

    beta: Floats
    squares: Floats
    days: Ints
    abnormal: Floats


def market_model(returns: Floats, market: Floats, *, estimation: Window) -> MarketModel:
    """Fit beta on the days of the estimation window on which a share was traded.

    The formula is ``beta = sum r m / sum m²``.

    Parameters
    ----------
    returns : float64[firm, day]
        Daily returns as fractions; NaN on days without trading.
    market : float64[day]
        Return of the market on the same days, none missing.
    estimation : (first, stop)
        Column numbers of the estimation window, half open.
    """
    before = slice(*estimation)
    traded = np.isfinite(returns[:, before])
    x = market[before]
    squares = traded @ x**2
    beta = np.where(traded, returns[:, before], 0.0) @ x / squares
    return MarketModel(beta, squares, traded.sum(axis=1), returns - np.outer(beta, market))


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

    ``CAR = sum_t (r_t - beta m_t)`` with beta fitted without intercept on the estimation window,
    and with variance ``sigma² (L + (sum m)² / sum_est m²)``, for the noise of the L days and of
    beta; sigma is the standard deviation of the residuals, ``n - 1`` degrees of freedom, or of
    those in the `recent` days before the event window, if larger.

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
        Rows firm by window: `firm`, `window`, `estimate` (fraction; NaN after a day without
        trading), `beta`, `noise` (sigma), `n` trading days. `details`: `abnormal` float64[firm,
        day]; `beta`, `sigma` before, float64[firm].

    Raises
    ------
    DesignError
        If market and returns differ in days, a market return is missing, a window starts before the
        end of the estimation window, or a firm has fewer than 60 days in the latter.

    References
    ----------
    MacKinlay, A. C. (1997), Event studies in economics and finance, Journal of Economic Literature
    35, 13-39.
    """
    returns = np.atleast_2d(np.asarray(returns, dtype=float))
    market = np.asarray(market, dtype=float)
    if firms is None:
        firms = [str(i) for i in range(len(returns))]
    _check_returns(returns, market, estimation, firms)
    model = market_model(returns, market, estimation=estimation)
    calm = _noise(model.abnormal[:, slice(*estimation)])
    windows = []
    for name, (first, stop) in event.items():
        if first < estimation[1]:
            raise DesignError(
                f"Cannot use the event window {name!r}: it starts on day {first}, before the"
                f" estimation window ends on day {estimation[1]}; start it later"
            )
        late = _noise(model.abnormal[:, max(first - recent, 0) : first])
        n = np.isfinite(returns[:, first:stop]).sum(axis=1)
        labels = {"firm": firms, "window": name, "n": n}
        windows.append(pd.DataFrame(labels | _cumulated(model, market, (first, stop), calm, late)))
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
        counts={"firms": len(returns), "estimation_days": int(model.days.max())},
        reason=f"not traded on every day of the window: {not_traded}" if not_traded else "",
        details={"abnormal": model.abnormal, "beta": model.beta, "sigma": calm[0]},
    )


def _check_returns(
    returns: Floats, market: Floats, estimation: Window, firms: Sequence[str]
) -> None:
    if market.shape != returns.shape[1:] or not np.isfinite(market).all():
        raise DesignError(
            f"Cannot fit a market model: the market needs a return on each of {returns.shape[1]}"
            f" days, but has {np.isfinite(market).sum()}, in shape {market.shape}; align the two"
        )
    days = np.isfinite(returns[:, slice(*estimation)]).sum(axis=1)
    if (days < MIN_DAYS).any():
        fewest = int(days.argmin())
        raise DesignError(
            f"Cannot fit a market model: firm {firms[fewest]} has {days[fewest]} days in the"
            f" estimation window, but {MIN_DAYS} are needed; lengthen the window"
        )


def _cumulated(
    model: MarketModel,
    market: Floats,
    window: Window,
    calm: tuple[Floats, Floats],
    late: tuple[Floats, Floats],
) -> dict[str, Floats]:
    """Return the cumulative abnormal return of each firm over a window, and what its error is from.

    `calm` and `late` are the noise in the estimation window and before the event, of which the
    larger counts.
    """
    first, stop = window
    car = model.abnormal[:, first:stop].sum(axis=1)
    noise = np.maximum(calm[0], late[0])
    error = noise * np.sqrt(stop - first + market[first:stop].sum() ** 2 / model.squares)
    return {
        "car": car,
        "error": np.where(np.isfinite(car), error, np.nan),
        "df": np.where(late[0] > calm[0], late[1], calm[1]),
        "beta": model.beta,
        "noise": noise,
    }


def _noise(abnormal: Floats) -> tuple[Floats, Floats]:
    """Return the standard deviation about zero by firm, and its degrees of freedom.

    `abnormal` is float64[firm, day].
    """
    df = np.maximum(np.isfinite(abnormal).sum(axis=1) - 1, 1)
    return np.sqrt(np.nansum(abnormal**2, axis=1) / df), df


def pool_events(
    found: Estimate,
    terms: Sequence[str],
    spans: Sequence[Window],
    abnormal: Floats,
    *,
    estimation: Window,
) -> Estimate:
    """Average the cumulative abnormal returns of several events.

    The standard errors allow for days that their windows share.

    With N events, ``mean = sum_i CAR_i / N``. Two events are as correlated as their shares'
    abnormal returns were in the estimation window, times the part of their windows that is common:
    ``c_ij = r_ij L_ij / sqrt(L_i L_j)``. Two standard errors are returned, since with few events
    neither is safe:

    - ``noise``: ``sqrt(sum_ij c_ij s_i s_j) / N``, with s_i the standard error of each event (c_ii
      = 1) and Satterthwaite's degrees of freedom. It is about these events alone, and takes each
      share's noise before its news for that of its window.
    - ``spread``: ``sqrt(S² / N (1 + (N - 1) c) / (1 - c))``, with S the standard deviation of the
      CARs, c the mean of c_ij over pairs, and N - 1 degrees of freedom. It is about events of this
      kind, and makes no use of the noise.

    Parameters
    ----------
    found : Estimate
        Abnormal returns, in any unit.
    terms : sequence of str
        Terms of the events in it.
    spans : sequence of (first, stop)
        Column numbers of each event's window, half open.
    abnormal : float64[event, day]
        Daily abnormal returns of each event's share.
    estimation : (first, stop)
        Column numbers of the estimation window, half open.

    Returns
    -------
    Estimate
        Terms ``noise`` and ``spread``, with the same value. `counts`: ``events``; ``common_days``,
        of all pairs. `details`: ``correlation`` float64[event, event], the c_ij;
        ``mean_correlation``, c; ``t`` and ``p_value`` of the test of Kolari and Pynnönen, in which
        each CAR is divided by its standard error.

    Raises
    ------
    DesignError
        If there are fewer than two events, one has no estimate, or the correlations leave no
        positive variance.

    References
    ----------
    Kolari, J. W. and Pynnönen, S. (2010), Event study testing with cross-sectional correlation of
    abnormal returns, Review of Financial Studies 23, 3996-4025.
    """
    number = len(terms)
    if number < 2:
        raise DesignError(f"Cannot pool {number} events: at least two are needed")
    events = found[list(terms)]
    missing = [
        term for term, value in zip(terms, events.value, strict=True) if not np.isfinite(value)
    ]
    if missing:
        raise DesignError(
            f"Cannot pool events without an estimate: {', '.join(missing)}; leave them out"
        )
    common = np.array([[max(min(a[1], b[1]) - max(a[0], b[0]), 0) for b in spans] for a in spans])
    length = np.diag(common)
    daily = pd.DataFrame(abnormal[:, slice(*estimation)].T).corr().to_numpy()
    correlation = daily * common / np.sqrt(np.outer(length, length))
    pairs = ~np.eye(number, dtype=bool)
    c = float(correlation[pairs].mean())
    inflation = 1 + (number - 1) * c
    error = events.std_error
    noise = float(error @ correlation @ error) / number**2
    if not (inflation > 0 and c < 1 and noise > 0):
        raise DesignError(
            f"Cannot pool these events: their abnormal returns have a mean correlation of {c:.2f},"
            " which leaves no positive variance of a mean; pool events of other shares or days"
        )
    value = float(events.value.mean())
    spread = float(events.value.var(ddof=1)) / number * inflation / (1 - c)
    df = (error**2).sum() ** 2 / (error**4 / events.df).sum()
    scaled = events.value / error
    t = float(scaled.mean() / (scaled.std(ddof=1) / np.sqrt(number)) * np.sqrt((1 - c) / inflation))
    p_value = 2 * float(stats.t.sf(abs(t), number - 1))
    return Estimate(
        estimand="E0",
        unit=found.unit,
        terms=("noise", "spread"),
        value=np.array([value, value]),
        covariance=np.diag([noise, spread]),
        max_df=np.array([df, number - 1.0]),
        n=number,
        level=found.level,
        counts={"events": number, "common_days": int(common[pairs].sum() // 2)},
        details={"correlation": correlation, "mean_correlation": c, "t": t, "p_value": p_value},
    )


def market_rank(
    car: float, ranks: Floats, values: Floats, n_stocks: int, *, rounding: float
) -> tuple[int, int]:
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
        Largest error of `car` against `values` from rounding.

    Returns
    -------
    tuple of int
        The lowest and the highest possible rank of the share; equal in the tails, where every rank
        is known.

    Raises
    ------
    DataError
        If the values do not ascend with the ranks, or `car` is not finite.
    """
    if (np.diff(values) < 0).any() or not np.isfinite(car):
        raise DataError(
            f"Cannot rank a return of {car}: it must be finite, and the known returns must ascend"
            " with the rank; sort the file by rank and drop shares without trading"
        )
    below, not_above = np.searchsorted(values, [car - rounding, car + rounding])
    if below > 0:
        low = int(ranks[below - 1]) + 1
    else:
        low = 1
    if not_above < len(ranks):
        high = int(ranks[not_above]) - 1
    else:
        high = n_stocks
    return low, max(low, high)
