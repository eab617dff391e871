"""Panels made by hand, small enough for a pocket calculator, and others made up."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.estimands.design import Design
from analysis.panel import Panel
from market import simulate

PLATFORMS = ("AMZ", "EBY", "ALI", "WMT", "OWN")
MONTHS = pd.period_range("2019-01", periods=42, freq="M")
WAVE = 28  # May 2021
EARLY = pd.period_range("2020-01", periods=8, freq="M")  # of `random_panel`
WAVES = (WAVE, WAVE + 2)
# what closed firms of `two_waves` keep, and its noise
FALL = 0.4
TRACE = 1e-4
SHORT = Design(post_from=0, post_to=2, cluster="firm")
"""Compares months 0 to 2 with months 12 to 14 where the first closure is in month 12."""
BY_FIRM = Design(cluster="firm")
"""For panels by hand, whose comparison firms are of one category."""
# in each category of `doses` one firm is closed, the other 23 are its rivals
CATEGORIES = 12
SIZE = 24
DOSES = np.repeat([0.0, 0.04, 0.15], 4)  # share of the category that the closed firm held
DOSES_DESIGN = Design(origin="XA", cluster="firm")


def panel_of(
    sales,
    closed_at=None,
    *,
    dose=1.0,
    origin="CN",
    category="C0",
    brand=None,
    risk=np.nan,
    platforms=PLATFORMS,
):
    """Return a panel from sales[firm, platform, month] and, by firm, the month of closure,
    positions both.
    """
    sales = np.asarray(sales, dtype=float)
    n = len(sales)
    dates = np.full(n, np.datetime64("NaT", "s"))
    if closed_at:
        dates[list(closed_at)] = np.datetime64("2019-01", "M") + np.array(
            [*closed_at.values()], dtype=int
        )
    firms = pd.DataFrame(
        {
            "brand_group": [f"SIM-G{i}" for i in range(n)] if brand is None else brand,
            "origin": origin,
            "category": category,
            "closed_on": dates,
            "dose": np.where(np.isnat(dates), np.nan, dose),
            "risk": risk,
        },
        index=pd.Index([f"SIM-{i:04d}" for i in range(n)], name="firm"),
    )
    months = pd.period_range(MONTHS[0], periods=sales.shape[2], freq="M")
    return Panel(sales, firms, platforms[: sales.shape[1]], months, "simulated")


def by_hand():
    """Twelve firms sell 10 a month on each platform and grow by half at the first wave; C0 loses
    two firms.

    Closed firms: 0 and 1. Exposed: 2, 3 (CN) and 4, 5 (US). In other categories: 6 to 8 (CN) and 9
    to 11 (US).
    """
    sales = np.full((12, 5, 42), 10.0)
    sales[:, :, WAVE:] = 15.0
    sales[:2, 0, WAVE:] = 3.0
    sales[:2, 1, WAVE:] = 18.0
    sales[2:4, 0, WAVE:] = 18.0
    sales[4:6, 0, WAVE:] = 19.5
    return panel_of(
        sales,
        {0: WAVE, 1: WAVE + 1},
        origin=np.where(np.isin(np.arange(12), [0, 1, 2, 3, 6, 7, 8]), "CN", "US"),
        category=np.where(np.arange(12) < 6, "C0", "C1"),
    )


def two_waves():
    """Six closed firms, three a wave, and eight others, on one path but for a little noise; closed
    ones keep `FALL`.
    """
    rng = np.random.default_rng(1)
    size = rng.lognormal(3, 1, 14)
    path = np.exp(0.02 * np.arange(42) + 0.3 * rng.standard_normal(42))
    sales = np.repeat((size[:, np.newaxis] * path)[:, np.newaxis] / 2, 2, axis=1)
    for firm in range(6):
        sales[firm, :, WAVES[firm // 3] :] *= FALL
    sales *= rng.lognormal(0, TRACE, sales.shape)  # without any there is no error, and so no band
    return panel_of(sales, closed_in_two(), category=np.where(np.arange(14) < 6, "C0", "C1"))


def closed_in_two():
    """Return the closures of :func:`two_waves`."""
    return {firm: WAVES[firm // 3] for firm in range(6)}


def changed(panel, change):
    """Return the panel after `change` had its way with a copy of its sales."""
    sales = panel.sales.copy()
    change(sales)
    return replace(panel, sales=sales)


def sides(sales, closed_at, origin, comparison, brand=None):
    """Return a panel of firms closed in a month (inf for never), firms exposed beside them, and
    comparison firms.
    """
    closed = {firm: month for firm, month in enumerate(closed_at) if np.isfinite(month)}
    return panel_of(
        sales, closed, origin=origin, category=np.where(comparison, "C1", "C0"), brand=brand
    )


def sides_by_hand():
    """Two firms of each kind; sales of 10 a month grow by half; closed firms lose AMZ and find some
    elsewhere.
    """
    sales = np.full((10, 5, 15), 10.0)
    sales[:, :, 12:] = 15.0
    sales[:2, 0, 12:] = 5.0  # lost: 2 firms x 3 months x (15 - 5) = 60
    sales[2:4, 0, 12:] = 17.0  # d1: 2 x 3 x 2 = 12
    sales[4:6, 0, 12:] = 18.0  # d2: 18
    sales[:2, 1, 12:] = 16.0  # d3: 6
    sales[:2, 2, 12:] = 15.5  # d4: 3
    sales[0, 3, 12:] = 17.0  # d5: 6
    sales[2, 1, 12:] = 14.0  # d6: -3, crowded out on EBY
    return {
        "sales": sales,
        "closed_at": np.where(np.arange(10) < 2, 12.0, np.inf),
        "origin": np.array(["CN", "CN", "CN", "CN", "US", "US", "CN", "CN", "US", "US"]),
        "comparison": np.arange(10) >= 6,
    }


def random_sides(seed, n=240):
    """Return firms of both origins and unequal sizes: a quarter closed, a quarter exposed, half to
    compare with.
    """
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.repeat([0, 1, 2, 2], n // 4))
    origin = np.where(rng.random(n) < 0.5, "CN", "US")
    size = rng.lognormal(sigma=0.8, size=(n, 1, 1)) * np.array([10, 3, 2, 1, 1])[:, None]
    size *= rng.random((n, 5, 1)) < np.array([1, 0.6, 0.6, 0.6, 0.6])[:, None]
    sales = size * rng.lognormal(sigma=0.4, size=(n, 5, 1)) ** np.r_[np.zeros(12), np.ones(3)]
    sales[kind == 0, 0, 12:] *= 0.1
    sales[kind == 0, 1:, 12:] *= 1.4
    sales[kind == 1, 0, 12:] *= 1.1
    closed_at = np.where(kind == 0, 12.0, np.inf)
    return {"sales": sales, "closed_at": closed_at, "origin": origin, "comparison": kind == 2}


def joined(firms, sales, closed_at, origin, comparison):
    """Add firms of one kind to those of :func:`sides`."""
    more = {"closed_at": closed_at, "origin": origin, "comparison": comparison}
    ends = {name: np.append(firms[name], [value] * len(sales)) for name, value in more.items()}
    return firms | ends | {"sales": np.concatenate([firms["sales"], sales])}


def rows_of(firms, rows):
    """Return some firms of :func:`sides`, some of them more than once."""
    return {name: values[rows] for name, values in firms.items()}


def doses(effect=lambda exposure, risk: 0.0 * exposure):
    """Firms of two origins that sell 10 a month, and rivals exp(effect) as much from the first wave
    on.

    The closed firm of a category holds DOSES of it; in categories of dose zero there is none. Half
    of the rivals are suspect, in turn, and a few firms of each origin move a little, so that errors
    are not zero.
    """
    category = np.repeat(np.arange(CATEGORIES), SIZE)
    place = np.tile(np.arange(SIZE), CATEGORIES)
    dose = DOSES[category]
    closed = (place == 0) & (dose > 0)
    level = np.where(closed, 10 * (SIZE - 1) * dose / (1 - dose), 10.0)
    exposure = np.where(closed, 0.0, dose)
    risk = np.where((place // 2) % 2 == 0, 0.9, 0.1)
    sales = np.ones((len(category), 2, 42)) * level[:, None, None]
    sales[~closed, 0, WAVE:] *= np.exp(effect(exposure, risk))[~closed, None]
    sales[closed, 0, WAVE:] = 0.0
    sales[:, :, WAVE:] *= (1 + 0.01 * np.where(place < SIZE / 2, 1, -1))[:, None, None]
    return panel_of(
        sales,
        dict.fromkeys(np.flatnonzero(closed), WAVE),
        origin=np.where((place % 2 == 0) | closed, "XA", "XB"),
        category=[f"C{i:02d}" for i in category],
        risk=risk,
        platforms=("HOME", "AWAY"),
    )


def called_real(**options):
    """Return a simulated panel whose firms and provenance say that they are real: nothing else is
    at hand.
    """
    panel, _ = simulate("ceiling_50k", seed=2, **options)
    firms = panel.firms.assign(brand_group=panel.firms["brand_group"].str.removeprefix("SIM-"))
    firms.index = firms.index.str.replace("SIM-", "F-")
    return replace(panel, firms=firms, provenance="real")


def random_panel(rng, n=12, provenance="simulated"):
    """Return a panel with every kind of firm: closed, in part, never, after the window; with NaN
    and zeros.
    """
    sales = rng.integers(0, 50, (n, 2, len(EARLY))).astype(float)
    sales[rng.random(sales.shape) < 0.1] = np.nan
    closed = rng.choice(["2020-05-01", "2020-06-01", "2020-08-01", "2020-12-01", "NaT"], n).astype(
        "datetime64[us]"
    )
    if provenance == "simulated":
        name = "SIM-{:04d}"
    else:
        name = "F{:04d}"
    firms = pd.DataFrame(
        {
            "brand_group": [f"g{k}" for k in rng.integers(0, n, n)],
            "origin": rng.choice(["CN", "US"], n),
            "category": rng.choice(["audio", "kitchen", "toys"], n),
            "closed_on": closed,
            "dose": np.where(np.isnat(closed), np.nan, rng.choice([0.3, 0.7, 1.0], n)),
            "risk": np.where(rng.random(n) < 0.2, np.nan, rng.random(n).round(3)),
        },
        index=pd.Index([name.format(k) for k in range(n)], name="firm"),
    )
    return Panel(sales, firms, ("AMZ", "EBY"), EARLY, provenance)


def sparse_panel(rng):
    """Return a panel of few firms with heavy tails, zeros, gaps, newcomers and few clusters, closed
    or half closed.
    """
    n = int(rng.integers(8, 90))
    months = pd.period_range("2019-08", periods=32, freq="M")
    platforms = PLATFORMS[: rng.integers(1, 5)]
    size = (
        rng.lognormal(0, rng.choice([1, 2, 3]), (n, 1, 1))
        * np.where(np.arange(len(platforms)) == 0, 1, 0.2)[:, None]
    )
    sales = np.round(100 * size * rng.lognormal(0, 0.5, (n, len(platforms), len(months))), 2)
    sales[rng.random(sales.shape) < rng.choice([0, 0.2, 0.6])] = 0
    began = rng.integers(0, 30, n) * (rng.random(n) < 0.3)
    sales *= (np.arange(len(months)) >= began[:, None])[:, None]
    closed = np.where(
        rng.random(n) < rng.choice([0.05, 0.2, 0.5]), rng.choice([21, 22, 24], n), len(months)
    )
    dose = rng.choice([0.3, 1.0, 1.0], n)
    sales[:, 0][(np.arange(len(months)) >= closed[:, None]) & (dose[:, None] == 1)] *= rng.choice(
        [0, 0.3]
    )
    sales[rng.random(sales.shape) < rng.choice([0, 0.02])] = np.nan
    ever = closed < len(months)
    dates = months.to_timestamp().to_numpy()
    firms = pd.DataFrame(
        {
            "brand_group": [f"g{k}" for k in rng.integers(0, max(2, n // rng.integers(1, 5)), n)],
            "origin": rng.choice(["CN", "US"], n, p=[0.7, 0.3]),
            "category": [f"c{k}" for k in rng.integers(0, rng.integers(2, 14), n)],
            "closed_on": np.where(
                ever, dates[np.minimum(closed, len(months) - 1)], np.datetime64("NaT")
            ),
            "dose": np.where(ever, dose, np.nan),
            "risk": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
        },
        index=pd.Index([f"SIM-{k:04d}" for k in range(n)], name="firm"),
    )
    return Panel(sales, firms, platforms, months, "simulated")
