"""Compare the speed of our estimators with that of other libraries on the same panels.

Our functions and theirs alternate in one process on one core, after a warm-up of each on a small
panel. The script prints medians over rounds, and the median of the ratios within rounds, which is
robust to a temporarily busy machine. The panel of a million firms has a process of its own, whose
peak memory is read after the first estimate. The results are compared before any time is printed,
and a difference ends the run. Libraries are imported where they are used, to keep them out of the
process whose memory is read. Only ratios matter, since seconds depend on the machine. "Coding" is
the conversion from a table of raw ids to the dense array (by `fewtreated.att_gt`, or `from_long`).
The script fails if a target is missed by half: a busy machine moves a ratio by less.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

if __name__ == "__main__":  # one core for every library, set before numpy is imported
    os.environ |= dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
    )

import numpy as np
import pandas as pd
from fewtreated.estimate import Floats
from fewtreated.estimators.att_gt import att_gt

import fewtreated

MONTHS = 36
Work = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One comparison: our measurement, the other library's, and the target for their ratio."""

    work: str
    ours: float
    theirs: float
    ratio: float
    wanted: float
    at_most: bool = False  # True if the target is an upper limit

    @classmethod
    def of(
        cls, work: str, ours: Floats, theirs: Floats, wanted: float, at_most: bool = False
    ) -> "Row":
        """Compare our time with another library's or a lower bound.

        `ours` and `theirs` are the seconds taken in each round.
        """
        if at_most:
            ratio = ours / theirs
        else:
            ratio = theirs / ours
        return cls(
            work, *(float(np.median(each)) for each in (ours, theirs, ratio)), wanted, at_most
        )

    @property
    def missed(self) -> str:
        """Say how the target is missed.

        By half is above 1.5 times an upper limit, or below half of a lower one.
        """
        if self.at_most:
            times = self.ratio / self.wanted
        else:
            times = self.wanted / self.ratio
        if times <= 1:
            return ""
        if times > (1.5 if self.at_most else 2):
            return "MISSED BY HALF"
        return "MISSED"

    def __str__(self) -> str:
        wanted = f"{'<=' if self.at_most else '>='} {self.wanted:g}"
        judged = self.missed or "met"
        return (
            f"{self.work:<88}{self.ours:>9.4g}{self.theirs:>9.4g}{self.ratio:>9.3g}{wanted:>9} "
            f" {judged}"
        )


def panel(firms: int, *, cohorts: int = 6, seed: int = 0) -> tuple[Floats, Floats]:
    """Generate sales, float64[firm, month], and closure months, float64[firm].

    Forty per cent of firms close.
    """
    rng = np.random.default_rng(seed)
    first = np.where(rng.random(firms) < 0.4, rng.integers(15, 15 + cohorts, firms), np.inf).astype(
        float
    )
    y = rng.normal(size=(firms, MONTHS))
    y += rng.normal(size=(firms, 1))
    y += np.linspace(0, 1, MONTHS)
    y[np.arange(MONTHS) >= first[:, None]] -= 0.25
    return y, first


def to_long(y: Floats, first: Floats) -> pd.DataFrame:
    """Convert a panel to a long table with raw firm ids, sorted by firm and month."""
    ids = np.sort(np.random.default_rng(1).permutation(10 * len(y))[: len(y)]) + 1_000_000
    return pd.DataFrame(
        {
            "unit": np.repeat(ids, MONTHS),
            "time": np.tile(np.arange(MONTHS), len(y)),
            "y": y.ravel(),
            "first": np.repeat(np.where(np.isinf(first), 0, first), MONTHS),
        }
    )


def from_long(frame: pd.DataFrame) -> tuple[Floats, Floats]:
    """Convert a long table with raw ids to a dense array and the firms' closure months."""
    unit, time, y, first = (frame[name].to_numpy() for name in ("unit", "time", "y", "first"))
    row, ids = pd.factorize(unit)
    column, months = pd.factorize(time, sort=True)
    dense = np.full((len(ids), len(months)), np.nan)
    dense[row, column] = y
    closed = np.empty(len(ids))
    closed[row] = first
    return dense, np.where(closed == 0, np.inf, closed)


def race(rounds: int, *works: Work) -> tuple[Floats, list[Any]]:
    """Time functions in turn, and return the seconds taken and the last results.

    Seconds are float64[function, round]. There is one last result of each function.
    """
    seconds = np.empty((len(works), rounds))
    results: list[Any] = [None] * len(works)
    for number in range(rounds):
        for column, work in enumerate(works):
            start = time.perf_counter()
            results[column] = work()
            seconds[column, number] = time.perf_counter() - start
    return seconds, results


def same(what: str, ours: Any, theirs: Any, tolerance: float) -> None:
    """Exit if two results differ by more than a tolerance."""
    gap = float(np.max(np.abs(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float))))
    if not gap <= tolerance:
        raise SystemExit(
            f"Cannot time {what}: the results differ by {gap:.3g}, more than {tolerance:g}; find"
            " out why"
        )


def group_time(firms: int, rounds: int) -> list[Row]:
    """Time the estimation of group-time effects and clustered standard errors against diff-diff."""
    from diff_diff import CallawaySantAnna

    y, first = panel(firms)
    brand = np.arange(firms) // 2
    frame = to_long(y, first).assign(brand=np.repeat(brand, MONTHS))
    table = frame.assign(first=frame["first"].where(frame["first"] > 0))

    def theirs(cluster: str | None, compared: str = "never_treated") -> Any:
        model = CallawaySantAnna(
            control_group=compared, base_period="universal", cluster=cluster
        )  # the fastest
        return model.fit(frame, outcome="y", unit="unit", time="time", first_treat="first")

    (coded, *seconds), (_, *results) = race(
        rounds,
        lambda: (
            fewtreated.att_gt(
                table, outcome="y", unit="unit", time="time", first_treated="first"
            ).effects
        ),
        lambda: att_gt(y, first).effects,
        lambda: theirs(None),
        lambda: att_gt(y, first, cluster=brand).effects,
        lambda: theirs("brand"),
        lambda: att_gt(y, first, comparison="not_yet").effects,
        lambda: theirs(None, "not_yet_treated"),
    )
    for result, peer in zip(results[::2], results[1::2], strict=True):
        cells = result.rows.set_index(["group", "time"])
        shared = [
            key for key in peer.group_time_effects if key[1] != key[0] - 1
        ]  # theirs reports the base as zero
        mine = cells.loc[[(int(group), int(when)) for group, when in shared]]
        same(
            "effects",
            mine["estimate"],
            [peer.group_time_effects[key]["effect"] for key in shared],
            1e-8,
        )
        errors = np.array([peer.group_time_effects[key]["se"] for key in shared])
        few = mine[
            "n_treated"
        ].min()  # theirs come from influence values, ours from leaving out each of n units
        same("errors over theirs", mine["std_error"] / errors, np.ones(len(shared)), 1 / (few - 1))
    name = f"group-time effects, {firms:,} firms x {MONTHS}, against diff-diff"
    kinds = {"dense array": 15, "brand clusters": 5, "not yet treated": 5}
    pairs = zip(kinds.items(), seconds[::2], seconds[1::2], strict=True)
    rows = [Row.of(f"{name}, {kind}", mine, other, wanted) for (kind, wanted), mine, other in pairs]
    return [Row.of(f"{name}, coding included", coded, seconds[1], 10), *rows]


def on_top(firms: int, rounds: int) -> list[Row]:
    """Time what costs more than the average effect with errors by brand, against that."""
    y, first = panel(firms)
    brand = np.repeat(np.arange(firms) // 2, MONTHS)
    frame = to_long(y, first).assign(brand=brand, category=brand % 50)
    frame["first"] = frame["first"].where(frame["first"] > 0)
    frame["size"] = np.random.default_rng(3).normal(size=firms).repeat(MONTHS)
    names = {"outcome": "y", "unit": "unit", "time": "time", "first_treated": "first"}

    def of(**more: Any) -> Work:
        call = names | {"cluster": "brand"} | more
        return lambda: fewtreated.att_gt(frame, **call).aggregate()

    kinds = {
        "one covariate": (of(covariates="size"), 1.5),
        "a weighted base": (of(base="weighted"), 1.5),
        "two clusterings": (of(cluster=["brand", "category"]), 4),
        "not yet treated": (of(comparison="not_yet"), 1.5),
    }
    works = [work for work, _ in kinds.values()]
    (plain, *seconds), _ = race(rounds, of(), *works)
    name = f"average effect, {firms:,} firms x {MONTHS}, over the same without"
    return [
        Row.of(f"{name}, {kind}", mine, plain, wanted, True)
        for (kind, (_, wanted)), mine in zip(kinds.items(), seconds, strict=True)
    ]


def poisson(firms: int) -> list[Row]:
    """Time a Poisson regression with firm and month effects against pyfixest.

    On a balanced panel with one cohort, the coefficient is a function of four sums (before and
    after, treated and not). Our code converts the ids, scatters the rows, sums the months and
    estimates.
    """
    import pyfixest

    y, first = panel(firms, cohorts=1)
    y = np.floor(np.exp(y / 2))  # many are zeros
    kept = y.sum(axis=1) > 0
    frame = to_long(y[kept], first[kept])
    frame["effect"] = ((frame["first"] > 0) & (frame["time"] >= frame["first"])).astype(float)

    def ours() -> Any:
        dense, closed = from_long(frame)
        cut = int(closed.min())
        halves = np.column_stack([dense[:, :cut].sum(axis=1), dense[:, cut:].sum(axis=1)])
        return att_gt(
            halves, np.where(np.isinf(closed), np.inf, 1.0), scale="ratio"
        ).effects.rows.iloc[0]

    def theirs() -> Any:
        ssc = pyfixest.ssc(k_adj=False, G_adj=False)
        return pyfixest.fepois("y ~ effect | unit + time", frame, vcov={"CRV1": "unit"}, ssc=ssc)

    (mine, other), (result, peer) = race(1, ours, theirs)
    same("Poisson coefficient", result["estimate"], peer.coef().iloc[0], 1e-6)
    few = result[
        "n_treated"
    ]  # ours leaves out each of these unequal units; their refits would take hours
    same("Poisson error over theirs", result["std_error"] / peer.se().iloc[0], 1, 2 / (few - 1))
    name = f"ratio effect, {firms:,} firms x {MONTHS}, against pyfixest.fepois, coding included"
    return [Row.of(name, mine, other, 60)]


def synthetic(units: int, rounds: int) -> list[Row]:
    """Time synthetic difference-in-differences with one cohort of 20.

    The time is compared with that of the point estimate of synthdid-py.
    """
    import synthdid
    from fewtreated.estimators.synthetic import synthetic_did

    rng = np.random.default_rng(2)
    periods = 40
    before = 30
    y = rng.normal(size=(units, 2)) @ rng.normal(size=(2, periods)).cumsum(axis=1)
    y += (
        3 * rng.normal(size=(units, 1))
        + rng.normal(size=periods).cumsum()
        + 0.5 * rng.normal(size=y.shape)
    )
    treated = np.arange(units) >= units - 20
    works = (
        lambda: synthetic_did(y, treated, before),
        lambda: synthdid.synthdid_estimate(y, units - 20, before),
    )
    (mine, other), (result, peer) = race(rounds, *works)
    # The other library stops its optimiser early, on noise of 0.5; ours is the optimum
    # (tests/test_synthetic.py).
    same("synthetic difference-in-differences", result.rows["estimate"], [float(peer)], 0.02)
    name = f"synthetic DiD, {units:,} units x {periods}, against synthdid-py"
    return [Row.of(name, mine, other, 200)]


def everything() -> list[Row]:
    """Time all estimands on a large simulated panel against the same on a small one."""
    from analysis.estimands.catalogue import estimate_all
    from analysis.estimands.design import Design
    from market import simulate

    large, small = (simulate("mid_3k", seed=1, n_firms=firms)[0] for firms in (64_000, 4_000))
    (most, least), _ = race(
        1, lambda: estimate_all(large, Design()), lambda: estimate_all(small, Design())
    )
    growth = round(len(large.firms) / len(small.firms))
    return [
        Row.of(
            f"all estimands, {growth} times as many firms, over a small panel",
            most,
            least,
            growth,
            True,
        )
    ]


def limit(firms: int, rounds: int) -> None:
    """Print the time and memory used on the largest panel."""
    y, first = panel(firms)
    _ = att_gt(y, first).effects
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )  # before the table of ids exists
    ids = np.repeat(np.arange(firms), MONTHS)
    flat = y.ravel()

    def by_ids() -> Any:
        starts = np.append(0, np.flatnonzero(ids[1:] != ids[:-1]) + 1)
        return np.add.reduceat(flat, starts)

    seconds, _ = race(rounds, lambda: att_gt(y, first).effects, by_ids)
    print(json.dumps({"seconds": seconds.tolist(), "bytes": y.nbytes, "peak": peak}))


def largest(firms: int, rounds: int) -> list[Row]:
    """Time group-time effects on the largest panel, and measure memory.

    The time is compared with that of a grouped sum.
    """
    command = [sys.executable, __file__, "--limit", str(firms), "--rounds", str(rounds)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    name = f"group-time effects, {firms:,} firms x {MONTHS}"
    mine, by_ids = np.array(result["seconds"])
    memory = result["peak"] / 2**30
    array = result["bytes"] / 2**30
    return [
        Row.of(f"{name}, over a sum by sorted ids", mine, by_ids, 6, True),
        Row(f"{name}, GiB at the peak over the array's", memory, array, memory / array, 2.2, True),
    ]


def main() -> None:
    """Run every comparison, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of runs of each (default 3; the slowest once)"
    )
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.limit:
        limit(options.limit, options.rounds)
        return
    firms = 100_000
    rounds = options.rounds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other libraries' own
        rows = largest(
            1_000_000, 5 * rounds
        )  # first, as a process inherits the peak memory of its parent
        _ = group_time(300, 1), poisson(300), synthetic(100, 1)
        rows += [*group_time(firms, rounds), *on_top(firms, rounds), *poisson(firms)]
        rows += [*synthetic(2_000, rounds), *synthetic(10_000, 1), *everything()]
    print(
        f"{rounds} rounds, alternating on one core; seconds unless another unit is named; compared"
        " results are equal"
    )
    print(f"{'work':<88}{'ours':>9}{'theirs':>9}{'ratio':>9}{'wanted':>9}")
    print(*rows, sep="\n")
    if far := [row.work for row in rows if row.missed.endswith("HALF")]:
        raise SystemExit(f"missed by half: {'; '.join(far)}")


if __name__ == "__main__":
    main()
