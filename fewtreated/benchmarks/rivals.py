"""Estimators on trial: each is called as its own documentation calls it, on the same table.

The calls are rows of ``tools.csv``, so that what is reported is what was run. Errors are clustered
by brand wherever a library can. No option is tuned: what a call does not say is the library's
default. Three methods that no package for Python has are written out at the end.
"""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from generator import NEVER
from scipy import stats
from scipy.optimize import nnls

OURS = "fewtreated"
MODULES = {"synthdid-py": "synthdid", "statsmodels": "statsmodels.api"}
OF_CODE = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ResourceWarning)
KEYS = ("estimate", "std_error", "low", "high")
SIZE = 0.05
TRUTHS = ("log", "ratio")
DRAWS = 999
Result = dict[str, float]

NAMES = {"outcome": "log_sales", "unit": "firm", "time": "month", "first_treat": "first"}
FEW_NAMES = {"first_treated": "first", "unit": "firm", "time": "month", "cluster": "brand"}
FEW_NAMES |= {"comparison": "not_yet", "absent": "missing"}
PF_NAMES = {"yname": "log_sales", "idname": "firm", "tname": "month", "gname": "first"}
PF_NAMES |= {"vcov": {"CRV1": "brand"}}
SD_NAMES = {"outcome": "log_sales", "unit": "firm", "time": "month", "treatment": "closed"}
SC_NAMES = {"outcome": "log_sales", "unit": "firm", "time": "month", "treated": "closed"}
TWO = {"outcome": "log_sales", "treatment": "shut", "post": "after"}
STAGES = {"first_stage": "~ 0 | firm + month", "second_stage": "~ closed"}
STAGES |= {"treatment": "closed", "cluster": "brand"}
NEAR = {"rings": [0.0, 0.5], "conley_coords": ("category", "zero"), "conley_metric": "euclidean"}
"""Categories are places: firms of one are near, all others far."""


@dataclass(frozen=True)
class Tool:
    """An estimator of a library.

    Attributes
    ----------
    name, label, library : str
        Its name in the results and in a report, and the package.
    draws : int
        Most panels of a cell that it is fitted to.
    truth : str
        What it claims to estimate: ``"log"`` or ``"ratio"``, as in :meth:`generator.Drawn.truth`.
    call : str
        Python that fits `data`; it may use the library's names and those of this module.
    """

    name: str
    label: str
    library: str
    draws: int
    truth: str
    call: str

    @property
    def ours(self) -> bool:
        """Whether it is of the library whose benchmark this is."""
        return self.library == OURS

    @property
    def version(self) -> str:
        """Installed version of the library."""
        return version(self.library)

    def fit(self, data: pd.DataFrame) -> Result:
        """Fit the table."""
        module = import_module(MODULES.get(self.library, self.library.replace("-", "_")))
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

        Without a result, also return why there is none. A result without an interval of positive,
        finite width counts as a refusal, in the library's words if it has any.
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
        width = found["high"] - found["low"]
        if not reason and not 0 < width < np.inf:
            reason = "the interval is reversed" if width < 0 else "no interval"
        return found | {"refused": reason, "warned": told[0] if told else "", "seconds": seconds}


def tools(file: Path) -> dict[str, Tool]:
    """Read tools from a table, by their name in the results.

    Raise ValueError for what a tool cannot estimate, or a library that is not installed.
    """
    found = {row["name"]: Tool(**row) for row in pd.read_csv(file).to_dict("records")}
    for tool in found.values():
        if tool.truth not in TRUTHS:
            raise ValueError(
                f"Cannot judge {tool.name} of {file}: truth is {tool.truth!r}; use"
                f" {' or '.join(TRUTHS)}"
            )
        try:
            version(tool.library)
        except PackageNotFoundError as error:
            raise ValueError(
                f"Cannot call {tool.name} of {file}: {tool.library} is not installed; install it,"
                " or leave out the line"
            ) from error
    return found


def read(result: Any) -> Result:
    """Read a library's result: a dict, a table with the columns of R's broom, or attributes.

    Raise ValueError for anything else.
    """
    if isinstance(result, dict):
        if lacking := [key for key in KEYS if key not in result]:
            raise ValueError(f"the dict lacks {', '.join(lacking)}")
        return result
    if hasattr(result, "tidy"):
        row = _effect(result.tidy())
        if "2_5" in row:
            ends = ("2_5", "97_5")
        else:
            ends = ("conf_low", "conf_high")
        return {
            key: float(row[name])
            for key, name in zip(KEYS, ("estimate", "std_error", *ends), strict=True)
        }
    for prefix in ("", "overall_"):
        names = [prefix + name for name in ("att", "se", "conf_int")]
        if all(hasattr(result, name) for name in names):
            att, error, ends = (getattr(result, name) for name in names)
            return dict(zip(KEYS, (att, error, *ends), strict=True))
    raise ValueError(
        f"a {type(result).__name__} is neither a dict, nor has it tidy(), or att, se and conf_int"
    )


def _effect(table: pd.DataFrame) -> dict[str, Any]:
    """Return the only row of a table of effects, or else that of `closed`."""
    if len(table) > 1:
        names = table.get("term", table.index)
        table = table[[str(name) == "closed" for name in names]]
    if len(table) != 1:
        raise ValueError("tidy() has several rows, and not one of them is that of closed")
    return {
        re.sub(r"\W+", "_", str(name).lower()).strip("_"): x for name, x in table.iloc[0].items()
    }


# --- results that take more than one call
# ----------------------------------------


def tested(result: Any) -> Result:
    """Read a result of ImputationDiD with its test of parallel paths."""
    return read(result) | {"pretrend": result.pretrend_test()["p_value"]}


def jackknifed(result: Any) -> Result:
    """Read a result of synthdid-py with its jackknife."""
    ends = result.ci(method="jackknife")
    return dict(zip(KEYS, (result.att, result.se(method="jackknife"), *ends), strict=True))


def plain_t(result: Any) -> Result:
    """Read a result of `att_gt` with Student's t of as many degrees as the rarer clusters less one.

    Its errors are the cluster jackknife's (CRV3); this leaves out the library's own correction for
    clusters of unequal weight.
    """
    estimate, error = float(result.value[0]), float(result.std_error[0])
    half = stats.t.ppf(1 - SIZE / 2, np.ravel(result.max_df)[0]) * error
    return dict(zip(KEYS, (estimate, error, estimate - half, estimate + half), strict=True))


def halves(data: pd.DataFrame) -> pd.DataFrame:
    """Return each firm's mean log sales before the first wave and from the last one on.

    So Bertrand, Duflo and Mullainathan (2004) advise; months between the waves are left out.
    """
    waves = data.loc[data["first"] != NEVER, "first"]
    after = data["month"] >= waves.max()
    kept = data[after | (data["month"] < waves.min())]
    table = kept.assign(shut=(kept["first"] != NEVER).astype(int), after=after.astype(int))
    return table.groupby(["firm", "brand", "shut", "after"], as_index=False)["log_sales"].mean()


def changes(data: pd.DataFrame) -> pd.DataFrame:
    """Return the `change` between the :func:`halves` of each firm that has both."""
    table = halves(data).pivot(index=["brand", "firm", "shut"], columns="after", values="log_sales")
    return table.diff(axis=1)[1].rename("change").dropna().reset_index()


def ols_of_changes(data: pd.DataFrame) -> Result:
    """Fit the :func:`changes` by least squares with statsmodels."""
    import statsmodels.formula.api as library

    change = changes(data)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": change["brand"]}, "use_t": True}
    fit = library.ols("change ~ shut", change).fit(**options)
    ends = fit.conf_int().loc["shut"]
    return dict(zip(KEYS, (fit.params["shut"], fit.bse["shut"], *ends), strict=True))


def by_brand(data: pd.DataFrame) -> dict[str, Any]:
    """Return the mean of :func:`changes` by brand, and which brands were closed."""
    table = changes(data).groupby("brand").agg(change=("change", "mean"), shut=("shut", "first"))
    return {"change": table["change"].to_numpy(), "treated": table["shut"].to_numpy() == 1}


# --- two-way effects from sums by brand, with errors that no package has, or none so quickly
# ----------------------------------------


def two_way_jackknife(data: pd.DataFrame) -> Result:
    """Fit what pyfixest's ``feols(..., vcov={'CRV3': 'brand'})`` does, 200 times as fast.

    Estimates without each brand follow from sums; the factor of the variance is pyfixest's.
    """
    sums = Sums(data)
    brands = len(sums.firms)
    without = sums.effect(sums.total() - sums.parts)
    factor = brands / (brands - 1) * (len(data) - 1) / (len(data) - sums.months - 1)
    error = np.sqrt(factor * ((without - sums.estimate) ** 2).sum())
    half = stats.t.ppf(1 - SIZE / 2, brands - 1) * error
    ends = (sums.estimate - half, sums.estimate + half)
    return dict(zip(KEYS, (sums.estimate, error, *ends), strict=True))


def conley_taber(data: pd.DataFrame) -> Result:
    r"""Fit two-way effects, with the interval of Conley and Taber (2011).

    With few treated and many other brands, the error of the estimate is

    .. math:: \hat\alpha - \alpha \to \frac{\sum_j \sum_t \tilde d_{jt} \eta_{jt}}
                                           {\sum_j \sum_t \tilde d_{jt}^2},

    where j are the treated brands and :math:`\tilde d` is treatment less its firm and month means
    (their proposition 1). Its distribution is that of the same sum with the residuals of brands
    never treated, drawn in the place of each treated brand.

    References
    ----------
    Conley, T. G. and Taber, C. R. (2011), Inference with "difference in differences" with a small
    number of policy changes, Review of Economics and Statistics 93, 113-125.
    """
    sums = Sums(data)
    return sums.interval(sums.placebos())


def ferman_pinto(data: pd.DataFrame) -> Result:
    r"""Fit two-way effects, with the interval of Ferman and Pinto (2019).

    As :func:`conley_taber`, but what a residual of brand k contributes in the place of brand j is
    multiplied by :math:`\sqrt{v(M_j) / v(M_k)}`, since larger brands vary less. The variance
    :math:`v(M) = A + B / M` of a brand of M firms is fitted to squared contributions, with A and B
    not negative (their section III).

    References
    ----------
    Ferman, B. and Pinto, C. (2019), Inference in differences-in-differences with few treated groups
    and heteroskedasticity, Review of Economics and Statistics 101, 452-467.
    """
    sums = Sums(data)
    placebos = sums.placebos()
    firms = sums.firms[~sums.shut]
    terms = np.column_stack([np.ones(len(firms)), 1 / firms])
    scaled = []
    for row, own in zip(placebos, sums.firms[sums.shut], strict=True):
        slopes = nnls(terms, row**2)[0]
        scaled.append(row * np.sqrt(slopes @ [1, 1 / own] / (terms @ slopes)))
    return sums.interval(np.array(scaled))


def randomisation(data: pd.DataFrame) -> Result:
    r"""Fit two-way effects, with an interval from reassigning treatment among all brands.

    For each of `DRAWS` reassignments r and effect :math:`\alpha`, outcomes less the effect give
    :math:`a_r - \alpha s_r`, with :math:`a_r` the estimate and :math:`s_r` that from treatment as
    the outcome. The interval has each :math:`\alpha` for which :math:`|a_r - \alpha s_r| \ge
    |\hat\alpha - \alpha|` in more than `SIZE` of assignments, the true one included: MacKinnon and
    Webb's RI-beta, inverted. The library's ``randomization_did`` is held against this.

    References
    ----------
    MacKinnon, J. G. and Webb, M. D. (2020), Randomization inference for difference-in-differences
    with few treated clusters, Journal of Econometrics 218, 435-450.
    """
    moved, slope = Sums(data).reassigned()
    estimate = moved[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array([(estimate - moved) / (1 - slope), (estimate + moved) / (1 + slope)])
    ends[:, slope > 1 - 1e-9] = [[-np.inf], [np.inf]]  # an assignment like the true one
    low, high = np.sort(np.sort(ends, axis=0), axis=1)
    out = int(SIZE * len(moved))
    error = (moved - estimate * slope).std()
    return dict(zip(KEYS, (estimate, error, low[out], high[-1 - out]), strict=True))


class Sums:
    """A regression of log sales on closure with firm and month effects, from sums by brand.

    Attributes
    ----------
    firms : float64[brand]
        Numbers of firms.
    shut : bool[brand]
    paths : float64[treated brand, month]
        One from closure on.
    parts : float64[brand, month + 2, month + 2]
        Products of dummies of months, log sales and closure, each less its firm's mean, summed by
        brand.
    estimate : float
    """

    def __init__(self, data: pd.DataFrame) -> None:
        (firm, labels), (month, _) = (
            pd.factorize(data[name], sort=True) for name in ("firm", "month")
        )
        self.months = month.max() + 1
        held = np.bincount(firm).astype(float)
        columns = np.zeros((len(held), self.months, self.months + 2))
        columns[firm, month, month] = 1.0
        columns[firm, month, -2:] = data[["log_sales", "closed"]]
        seen = columns[:, :, :-2].sum(axis=2, keepdims=True)
        columns -= seen * columns.sum(axis=1, keepdims=True) / held[:, np.newaxis, np.newaxis]
        products = columns.transpose(0, 2, 1) @ columns
        firms = data.drop_duplicates("firm").set_index("firm").loc[labels]
        brand = pd.factorize(firms["brand"], sort=True)[0]
        order = np.argsort(brand, kind="stable")
        starts = np.flatnonzero(np.diff(brand[order], prepend=-1))
        self.parts = np.add.reduceat(products[order], starts)
        self.firms = np.bincount(brand).astype(float)
        first = firms["first"].to_numpy()[order][starts]
        self.shut = first != NEVER
        periods = np.sort(data["month"].unique())
        self.paths = (periods >= first[self.shut, np.newaxis]).astype(float)
        self.estimate = float(self.effect(self.total()))

    def total(self) -> np.ndarray:
        """Return the products of all brands."""
        return self.parts.sum(axis=0)

    def slopes(self, products: np.ndarray) -> np.ndarray:
        """Return effects on log sales and closure of all months but the first, [..., month, 2]."""
        return np.linalg.solve(products[..., 1:-2, 1:-2], products[..., 1:-2, -2:])

    def effect(self, products: np.ndarray) -> np.ndarray:
        """Return the effect of closure from such products."""
        rest = products[..., -2:, -2:] - products[..., -2:, 1:-2] @ self.slopes(products)
        with np.errstate(divide="ignore", invalid="ignore"):
            return rest[..., 0, 1] / rest[..., 1, 1]

    def residuals(self) -> np.ndarray:
        """Return what month effects leave of log sales and closure, summed by brand and month.

        They are float64[brand, month, 2].
        """
        fitted = self.parts[:, :-2, 1:-2] @ self.slopes(self.total())
        return self.parts[:, :-2, -2:] - fitted

    def placebos(self) -> np.ndarray:
        """Return contributions to the error, float64[treated brand, brand never treated]."""
        y, d = np.moveaxis(self.residuals(), -1, 0)
        error = (y - self.estimate * d) / self.firms[:, np.newaxis]
        total = self.total()
        square = total[-1, -1] - total[-1, 1:-2] @ self.slopes(total)[:, 1]
        return d[self.shut] @ error[~self.shut].T / square

    def interval(self, placebos: np.ndarray) -> Result:
        """Return the interval from placebo contributions, one drawn for each treated brand.

        With one treated brand, each is taken once.
        """
        treated, others = placebos.shape
        picked = np.random.default_rng(1).integers(others, size=(DRAWS, treated))
        if treated == 1:
            picked = np.arange(others)[:, np.newaxis]
        draws = placebos[np.arange(treated), picked].sum(axis=1)
        low, high = np.quantile(draws, [SIZE / 2, 1 - SIZE / 2])
        ends = (self.estimate - high, self.estimate - low)
        return dict(zip(KEYS, (self.estimate, draws.std(), *ends), strict=True))

    def reassigned(self) -> tuple[np.ndarray, np.ndarray]:
        """Return by assignment the effects on log sales and on treatment itself.

        The true assignment is the first. With one treated brand, each brand is taken once.
        """
        own = np.flatnonzero(self.shut)
        many = len(self.firms)
        rng = np.random.default_rng(1)
        picked = np.array([own, *(rng.permutation(many)[: len(own)] for _ in range(DRAWS))])
        if len(own) == 1:
            picked = np.append(own, np.flatnonzero(~self.shut))[:, np.newaxis]
        place = np.arange(len(own))
        months = np.einsum("bst,jt->jbs", self.parts[:, :-2, :-2], self.paths)
        squares = np.einsum("jbs,js->jb", months, self.paths)[place, picked].sum(axis=1)
        months = months[place, picked, 1:].sum(axis=1)
        fitted = np.linalg.solve(self.total()[1:-2, 1:-2], months.T).T
        squares -= (months * fitted).sum(axis=1)
        moved, slope = (
            (self.paths @ values.T)[place, picked].sum(axis=1) / squares
            for values in np.moveaxis(self.residuals(), -1, 0)
        )
        return moved, slope


TABLE = Path(__file__).with_name("tools.csv")
TOOLS = tools(TABLE)
"""The tools of ``tools.csv``, by name."""
