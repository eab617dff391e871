"""Estimators on trial: each is called as its own documentation calls it, on the same table.

The outcome is the log of sales, or for Poisson regressions sales, and errors are clustered by brand wherever the
library can. No option is tuned: what is not said below is the library's default.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.generator import BEFORE, MONTHS, NEVER, WAVES

HERE = "market-impact-notebooks"
NAMES = {"unit": "firm", "time": "month", "first_treat": "first"}
DRAWS, SLOW, SLOWEST = 300, 100, 30  # panels of a cell: for most, from some 0.07 s a fit on, above 1 s
DEPRECATIONS = (DeprecationWarning, FutureWarning, PendingDeprecationWarning)
Result = dict[str, float]


@dataclass(frozen=True)
class Tool:
    """An estimator of a library.

    Attributes
    ----------
    label, library, call : str
        Its name in the report, the package, and the call as printed.
    fit : callable
        Maps the long table to an estimate.
    truth : str
        Key of the truth that it claims to estimate, as in :meth:`benchmarks.generator.Drawn.truth`.
    ours : bool
    draws : int
        Panels of each cell that it is fitted on; fewer than `DRAWS` if a fit takes long.
    """

    label: str
    library: str
    call: str
    fit: Callable[[pd.DataFrame], Result]
    truth: str = "log"
    ours: bool = False
    draws: int = DRAWS

    @property
    def version(self) -> str:
        """Installed version of the library."""
        return version(self.library)

    def run(self, data: pd.DataFrame) -> dict[str, Any]:
        """Fit the table, and return the result with its processor time, its warnings, and why there is none.

        A result without an interval of positive, finite width counts as a refusal, in the library's words if it has
        any.
        """
        blank = dict.fromkeys(("estimate", "std_error", "low", "high", "pretrend"), np.nan)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start, reason = time.process_time(), ""
            try:
                found = blank | self.fit(data)
            except Exception as error:  # whatever a library raises is its answer
                found, reason = blank, f"{type(error).__name__}: {error}"
            seconds = time.process_time() - start
        # Notes to programmers say nothing of the data
        told = [f"{note.message}" for note in caught if not issubclass(note.category, DEPRECATIONS)]
        width = found["high"] - found["low"]
        if not reason and not (np.isfinite(width) and width > 0):
            reason = "no interval"
        return found | {"refused": reason, "warned": told[0] if told else "", "seconds": seconds}


def diff_diff(name: str, options: dict[str, Any] | None = None, **fit: Any) -> Callable[[pd.DataFrame], Result]:
    """Return a function that fits an estimator of diff-diff."""

    def estimate(data: pd.DataFrame) -> Result:
        import diff_diff as library

        model = getattr(library, name)(**({"cluster": "brand"} if options is None else options))
        result = model.fit(data, outcome="log_sales", **(NAMES | fit))
        att = next(getattr(result, key) for key in ("att", "overall_att") if hasattr(result, key))
        error = next(getattr(result, key) for key in ("se", "overall_se") if hasattr(result, key))
        low, high = next(getattr(result, key) for key in ("conf_int", "overall_conf_int") if hasattr(result, key))
        found = {"estimate": att, "std_error": error, "low": low, "high": high}
        if name == "ImputationDiD" and not model.leave_one_out:
            found["pretrend"] = result.pretrend_test()["p_value"]
        return found

    return estimate


stacked = diff_diff("StackedDiD", {"kappa_pre": 8, "kappa_post": 8})  # clusters by firm only
lee_wooldridge = diff_diff("LWDiD", treatment="closed")


def spillover(data: pd.DataFrame) -> Result:
    """Fit SpilloverDiD with categories as places, so that firms of a category are near and all others far."""
    place = data.assign(x=1000.0 * data["category"], y=0.0)
    options = {"rings": [0.0, 1.0], "conley_coords": ("x", "y"), "conley_metric": "euclidean", "cluster": "brand"}
    return diff_diff("SpilloverDiD", options)(place)


def pyfixest(fit: str, vcov: str) -> Callable[[pd.DataFrame], Result]:
    """Return a function that fits a regression on firm and month effects with pyfixest."""
    outcome = {"feols": "log_sales", "fepois": "sales"}[fit]

    def estimate(data: pd.DataFrame) -> Result:
        import pyfixest as library

        return _tidy(getattr(library, fit)(f"{outcome} ~ closed | firm + month", data, vcov={vcov: "brand"}).tidy())

    return estimate


def did2s(data: pd.DataFrame) -> Result:
    """Fit Gardner's two stages with pyfixest."""
    import pyfixest as library

    stages = {"first_stage": "~ 0 | firm + month", "second_stage": "~ closed", "treatment": "closed"}
    return _tidy(library.did2s(data.astype({"closed": bool}), yname="log_sales", cluster="brand", **stages).tidy(), -1)


def projections(data: pd.DataFrame) -> Result:
    """Fit local projections with pyfixest, for as many months as all waves have; by default later waves drop out."""
    import pyfixest as library

    names = {"yname": "log_sales", "idname": "firm", "tname": "month", "gname": "first", "vcov": {"CRV1": "brand"}}
    return _tidy(library.lpdid(data, **names, post_window=8, att=True).tidy())


def synthetic(data: pd.DataFrame) -> Result:
    """Fit synthetic difference-in-differences with synthdid-py, and its jackknife."""
    import synthdid as library

    names = {"unit": "firm", "time": "month", "outcome": "log_sales", "treatment": "closed"}
    found = library.staggered_synthdid_estimate(data, **names)
    error = found.se(method="jackknife")
    low, high = found.ci(method="jackknife")
    return {"estimate": found.att, "std_error": error, "low": low, "high": high}


def halves(data: pd.DataFrame) -> pd.DataFrame:
    """Return each firm's mean log sales before the first wave and after the last.

    So Bertrand, Duflo and Mullainathan (2004) advise; months between the waves are left out.
    """
    kept = data[(data["month"] <= BEFORE) | (data["month"] > BEFORE + WAVES)]
    table = kept.assign(shut=(kept["first"] != NEVER).astype(int), after=(kept["month"] > BEFORE).astype(int))
    return table.groupby(["firm", "brand", "shut", "after"], as_index=False)["log_sales"].mean()


def two_periods(data: pd.DataFrame) -> Result:
    """Fit the change from before to after by least squares with statsmodels."""
    import statsmodels.formula.api as library

    change = halves(data).pivot(index=["brand", "firm", "shut"], columns="after", values="log_sales")
    change = change.diff(axis=1)[1].rename("change").reset_index()
    fit = library.ols("change ~ shut", change).fit(cov_type="cluster", cov_kwds={"groups": change["brand"]}, use_t=True)
    low, high = fit.conf_int().loc["shut"]
    return {"estimate": fit.params["shut"], "std_error": fit.bse["shut"], "low": low, "high": high}


def few_clusters(**options: Any) -> Callable[[pd.DataFrame], Result]:
    """Return a function that fits the two periods with diff-diff and inference that is advised for few clusters."""

    def estimate(data: pd.DataFrame) -> Result:
        import diff_diff as library

        names = {"outcome": "log_sales", "treatment": "shut", "post": "after"}
        result = library.DifferenceInDifferences(cluster="brand", **options).fit(halves(data), **names)
        return {"estimate": result.att, "std_error": result.se} | dict(
            zip(("low", "high"), result.conf_int, strict=True)
        )

    return estimate


def ours(outcome: str, scale: str) -> Callable[[pd.DataFrame], Result]:
    """Return a function that fits group-time effects of this project."""

    def estimate(data: pd.DataFrame) -> Result:
        from analysis import att_gt

        names = {"outcome": outcome, "unit": "firm", "time": "month", "cluster": "brand"}
        found = att_gt(data, "first", scale=scale, comparison="not_yet", **names)
        return _tidy(found.aggregate().tidy())

    return estimate


def report_three(data: pd.DataFrame) -> Result:
    """Fit the estimate that report 03 leads with: total sales in a window, against firms in spared categories."""
    from analysis.estimands.closed_firms import effect_on_closed
    from analysis.estimands.design import Design
    from analysis.estimands.event_study import event_study

    panel, design = as_panel(data), Design()
    effect = effect_on_closed(panel, design, where="home")
    study = event_study(panel, design, where="home")
    low, high = np.log1p(effect.conf_int[:, 0] / 100)
    value = float(effect.value[0])
    pretrend = np.nan if study.refused else study.details["pretrend"].p_value
    return {"estimate": np.log1p(value / 100), "low": low, "high": high, "pretrend": pretrend} | (
        {"std_error": effect.std_error[0] / (100 + value)}
    )


def as_panel(data: pd.DataFrame) -> Any:
    """Return the table as a panel of one platform, for estimands."""
    from analysis.panel import Panel

    sales = data["sales"].to_numpy().reshape(-1, 1, MONTHS)
    rows = data.drop_duplicates("firm").set_index("firm")
    shut = rows["first"] != NEVER
    dates = np.datetime64("2020-04", "M") + rows["first"].to_numpy()
    firms = pd.DataFrame(
        {
            "brand_group": [f"SIM-G{brand:04d}" for brand in rows["brand"]],
            "origin": "CN",
            "category": [f"C{category:02d}" for category in rows["category"]],
            "closed_on": pd.Series(dates.astype("datetime64[s]"), rows.index).where(shut),
            "dose": np.where(shut, 1.0, np.nan),
            "risk": np.nan,
        }
    )
    firms.index = pd.Index([f"SIM-{firm:04d}" for firm in rows.index], name="firm")
    months = pd.period_range("2020-05", periods=MONTHS, freq="M")
    return Panel(sales, firms, ("AMZ",), months, "simulated", population="census")


def _tidy(rows: pd.DataFrame, at: int = 0) -> Result:
    """Read one row of a table with the columns of R's broom, however they are written."""
    row = {re.sub(r"\W+", "_", str(name).lower()).strip("_"): value for name, value in rows.iloc[at].items()}
    ends = ("2_5", "97_5") if "2_5" in row else ("conf_low", "conf_high")
    keys = dict(zip(("estimate", "std_error", "low", "high"), ("estimate", "std_error", *ends), strict=True))
    return {key: float(row[name]) for key, name in keys.items()}


TOOLS: dict[str, Tool] = {
    "callaway_santanna": Tool(
        "Callaway–Sant’Anna", "diff-diff", "CallawaySantAnna(cluster='brand')", diff_diff("CallawaySantAnna")
    ),
    "imputation": Tool("Imputation", "diff-diff", "ImputationDiD(cluster='brand')", diff_diff("ImputationDiD")),
    "imputation_one_out": Tool(
        "Imputation, one left out",
        "diff-diff",
        "ImputationDiD(cluster='brand', leave_one_out=True)",
        diff_diff("ImputationDiD", {"cluster": "brand", "leave_one_out": True}),
    ),
    "two_stage": Tool("Two stages", "diff-diff", "TwoStageDiD(cluster='brand')", diff_diff("TwoStageDiD")),
    "sun_abraham": Tool("Sun–Abraham", "diff-diff", "SunAbraham(cluster='brand')", diff_diff("SunAbraham"), draws=SLOW),
    "stacked": Tool("Stacked", "diff-diff", "StackedDiD(kappa_pre=8, kappa_post=8)", stacked, draws=SLOW),
    "lee_wooldridge": Tool("Lee–Wooldridge", "diff-diff", "LWDiD(cluster='brand')", lee_wooldridge, draws=SLOW),
    "spillover": Tool("With spillovers", "diff-diff", "SpilloverDiD(rings=[0, 1], cluster='brand')", spillover),
    "feols": Tool("Two-way effects", "pyfixest", "feols(..., vcov={'CRV1': 'brand'})", pyfixest("feols", "CRV1")),
    "did2s": Tool("did2s", "pyfixest", "did2s(..., cluster='brand')", did2s, draws=SLOW),
    "projections": Tool(
        "Local projections", "pyfixest", "lpdid(..., vcov={'CRV1': 'brand'}, post_window=8)", projections
    ),
    "fepois": Tool("Poisson", "pyfixest", "fepois(..., vcov={'CRV1': 'brand'})", pyfixest("fepois", "CRV1"), "ratio"),
    "fepois_crv3": Tool(
        "Poisson, jackknife",
        "pyfixest",
        "fepois(..., vcov={'CRV3': 'brand'})",
        pyfixest("fepois", "CRV3"),
        "ratio",
        draws=SLOWEST,
    ),
    "synthetic": Tool("Synthetic DiD", "synthdid-py", "staggered_synthdid_estimate(...)", synthetic, draws=SLOW),
    "two_periods": Tool("Before and after", "statsmodels", "ols('change ~ shut').fit('cluster')", two_periods),
    "wild": Tool(
        "Before and after, wild bootstrap",
        "diff-diff",
        "DifferenceInDifferences(cluster='brand', inference='wild_bootstrap', seed=1)",
        few_clusters(inference="wild_bootstrap", seed=1),
    ),
    "bell_mccaffrey": Tool(
        "Before and after, CR2",
        "diff-diff",
        "DifferenceInDifferences(cluster='brand', vcov_type='hc2_bm')",
        few_clusters(vcov_type="hc2_bm"),
    ),
    "ours_log": Tool("Ours: logs", HERE, "att_gt(cluster='brand')", ours("log_sales", "level"), ours=True),
    "ours_ratio": Tool(
        "Ours: totals", HERE, "att_gt(scale='ratio', cluster='brand')", ours("sales", "ratio"), "ratio", True
    ),
    "ours_report": Tool("Ours: report 03", HERE, "effect_on_closed(panel, Design())", report_three, "window", True),
}
"""Tools by their name in the results."""
