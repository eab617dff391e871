"""Estimators on trial: each is called as its own documentation calls it, on the same table.

The outcome is the log of sales, or for Poisson regressions sales, and errors are clustered by brand
wherever the library can. No option is tuned: what a call does not say is the library's default. The
calls are rows of tools.csv, so that what a report prints is what was run.
"""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from generator import BEFORE, MONTHS, NEVER, WAVES

HERE = "market-impact-notebooks"
MODULES = {
    "diff-diff": "diff_diff",
    HERE: "fewtreated",
    "synthdid-py": "synthdid",
    "statsmodels": "statsmodels.api",
}
OF_CODE = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)
KEYS = ("estimate", "std_error", "low", "high")
Result = dict[str, float]

NAMES = {"outcome": "log_sales", "unit": "firm", "time": "month", "first_treat": "first"}
OURS = {
    "first_treated": "first",
    "unit": "firm",
    "time": "month",
    "cluster": "brand",
    "comparison": "not_yet",
}
PF_NAMES = {
    "yname": "log_sales",
    "idname": "firm",
    "tname": "month",
    "gname": "first",
    "vcov": {"CRV1": "brand"},
}
SD_NAMES = {"outcome": "log_sales", "unit": "firm", "time": "month", "treatment": "closed"}
TWO = {"outcome": "log_sales", "treatment": "shut", "post": "after"}
STAGES = {
    "first_stage": "~ 0 | firm + month",
    "second_stage": "~ closed",
    "treatment": "closed",
    "cluster": "brand",
}
NEAR = {"rings": [0.0, 0.5], "conley_coords": ("category", "zero"), "conley_metric": "euclidean"}
"""Categories are places: firms of one are near, all others far."""


@dataclass(frozen=True)
class Tool:
    """An estimator of a library.

    Attributes
    ----------
    name, label, library : str
        Its name in the results and in the report, and the package.
    call : str
        Python that fits `data`; it may use the library's names and those of this module.
    draws : int
        Panels of each cell that it is fitted on: 300, 60 from some 0.03 s a fit on, and 20 from 0.2
        s.
    truth : str
        Key of the truth that it claims to estimate, as in :meth:`generator.Drawn.truth`.
    """

    name: str
    label: str
    library: str
    draws: int
    truth: str
    call: str

    @property
    def ours(self) -> bool:
        """Whether it is of this project."""
        return self.library == HERE

    @property
    def version(self) -> str:
        """Installed version of the library."""
        return version(self.library)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit the table."""
        module = import_module(MODULES.get(self.library, self.library))
        names = globals() | {"data": data}
        code = compile(self.call, self.label, "eval")
        names |= {
            name: getattr(module, name)
            for name in code.co_names
            if name not in names and hasattr(module, name)
        }
        return read(eval(code, names))

    def run(self, data: pd.DataFrame) -> dict[str, Any]:
        """Fit the table, and return the result with its processor time and its warnings.

        Without a result, also return why there is none.

        A result without an interval of positive, finite width counts as a refusal, in the library's
        words if it has any.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            start = time.process_time()
            reason = ""
            found = dict.fromkeys((*KEYS, "pretrend"), np.nan)
            try:
                found |= self.fit(data)
            except Exception as error:  # whatever a library raises is its answer
                reason = f"{type(error).__name__}: {error}"
            seconds = time.process_time() - start
        # notes to programmers say nothing of the data
        told = [f"{note.message}" for note in caught if not issubclass(note.category, OF_CODE)]
        if not reason and not 0 < found["high"] - found["low"] < np.inf:
            reason = "no interval"
        return found | {"refused": reason, "warned": told[0] if told else "", "seconds": seconds}


def read(result: Any) -> Result:
    """Read a library's result: a dict, a table with the columns of R's broom, or attributes."""
    if isinstance(result, dict):
        return result
    if hasattr(result, "tidy"):
        row = {
            re.sub(r"\W+", "_", str(name).lower()).strip("_"): x
            for name, x in result.tidy().iloc[-1].items()
        }
        if "2_5" in row:
            ends = ("2_5", "97_5")
        else:
            ends = ("conf_low", "conf_high")
        return {
            key: float(row[name])
            for key, name in zip(KEYS, ("estimate", "std_error", *ends), strict=True)
        }
    if hasattr(result, "att"):
        prefix = ""
    else:
        prefix = "overall_"
    att, error, ends = (getattr(result, prefix + name) for name in ("att", "se", "conf_int"))
    return dict(zip(KEYS, (att, error, *ends), strict=True))


def tested(result: Any) -> Result:
    """Read a result of ImputationDiD with its test of parallel paths."""
    return read(result) | {"pretrend": result.pretrend_test()["p_value"]}


def jackknifed(result: Any) -> Result:
    """Read a result of synthdid-py with its jackknife."""
    return dict(
        zip(
            KEYS,
            (result.att, result.se(method="jackknife"), *result.ci(method="jackknife")),
            strict=True,
        )
    )


def halves(data: pd.DataFrame) -> pd.DataFrame:
    """Return each firm's mean log sales before the first wave and after the last.

    So Bertrand, Duflo and Mullainathan (2004) advise; months between the waves are left out.
    """
    kept = data[(data["month"] <= BEFORE) | (data["month"] > BEFORE + WAVES)]
    table = kept.assign(
        shut=(kept["first"] != NEVER).astype(int), after=(kept["month"] > BEFORE).astype(int)
    )
    return table.groupby(["firm", "brand", "shut", "after"], as_index=False)["log_sales"].mean()


def ols_of_changes(data: pd.DataFrame) -> Result:
    """Fit the change between the :func:`halves` by least squares with statsmodels."""
    import statsmodels.formula.api as library

    change = halves(data).pivot(
        index=["brand", "firm", "shut"], columns="after", values="log_sales"
    )
    change = change.diff(axis=1)[1].rename("change").reset_index()
    options = {"cov_type": "cluster", "cov_kwds": {"groups": change["brand"]}, "use_t": True}
    fit = library.ols("change ~ shut", change).fit(**options)
    return dict(
        zip(KEYS, (fit.params["shut"], fit.bse["shut"], *fit.conf_int().loc["shut"]), strict=True)
    )


def report_three(data: pd.DataFrame) -> Result:
    """Fit the estimate that report 03 leads with.

    It compares total sales in a window with those of firms in spared categories.
    """
    from analysis.estimands.closed_firms import effect_on_closed
    from analysis.estimands.design import Design
    from analysis.estimands.event_study import event_study

    panel = as_panel(data)
    design = Design()
    effect, study = (
        estimate(panel, design, where="home") for estimate in (effect_on_closed, event_study)
    )
    value = float(effect.value[0])
    error = float(effect.std_error[0])
    ends = (np.log1p(value / 100), error / (100 + value), *np.log1p(effect.conf_int[:, 0] / 100))
    if study.refused:
        pretrend = np.nan
    else:
        pretrend = study.details["pretrend"].p_value
    return dict(zip(KEYS, ends, strict=True)) | {"pretrend": pretrend}


def as_panel(data: pd.DataFrame) -> Any:
    """Return the table as a panel of one platform, for estimands."""
    from analysis.panel import Panel

    rows = data.drop_duplicates("firm").set_index("firm")
    shut = rows["first"] != NEVER
    dates = np.datetime64("2020-04", "M") + rows["first"].to_numpy()
    firms = pd.DataFrame(
        {"origin": "CN", "dose": np.where(shut, 1.0, np.nan), "risk": np.nan}, rows.index
    )
    firms["closed_on"] = pd.Series(dates.astype("datetime64[s]"), rows.index).where(shut)
    firms["brand_group"], firms["category"] = (
        "SIM-G" + rows["brand"].astype(str),
        "C" + rows["category"].astype(str),
    )
    months = pd.period_range("2020-05", periods=MONTHS, freq="M")
    sales = data["sales"].to_numpy().reshape(-1, 1, MONTHS)
    return Panel(
        sales,
        firms.rename(lambda firm: f"SIM-{firm:04d}"),
        ("AMZ",),
        months,
        "simulated",
        population="census",
    )


TOOLS = {
    row["name"]: Tool(**row)
    for row in pd.read_csv(Path(__file__).with_name("tools.csv")).to_dict("records")
}
"""Tools by their name in the results."""
