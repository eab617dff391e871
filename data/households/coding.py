"""Errors of the rule for Chinese brands, and estimates corrected for them.

The errors are measured by a sample of its purchases coded twice.

How codes count was written before the second coding was seen. A purchase is wrong if its word is
the brand of a firm outside China, or no brand. If the two codes disagree, it counts as half wrong.
A coder who cannot tell is not counted, and a purchase on which neither can tell is left out. The
bounds make no such choice. At least, a purchase is wrong only if both coders say so. At most, it is
wrong unless both call it Chinese.

Run it to write ``checks.csv`` anew, from which report 05 takes these numbers. It takes about a
minute::

    python data/households/coding.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate
from scipy import stats

from analysis.data import DATA, load
from analysis.evidence.households import BASELINE, CHINESE, OF, Households, Specification, half_year
from analysis.evidence.recentring import categories_on_early_pages, like_exposed, recentred

WRONG = {"chinese": 0.0, "not chinese": 1.0, "no brand": 1.0, "cannot tell": np.nan}
"""What each code says of a purchase that the rule calls Chinese."""

CODES = ["code_1", "code_2"]
COUNTS = {
    "as coded": lambda says: says.mean(axis=1),
    "at least": lambda says: (says == 1).all(axis=1).astype(float),
    "at most": lambda says: (says != 0).any(axis=1).astype(float),
}
"""Ways to count two codes of a purchase, from what each says; NaN leaves the purchase out."""

STEP = 0.02  # of a share, for derivatives
ELSEWHERE = (
    0.0,
    0.25,
    0.5,
    0.75,
)  # shares that may be wrong in other categories, in which nothing was coded


def codings(sample: pd.DataFrame) -> list[str]:
    """Return the columns of the codings that were made: the second is empty until it is."""
    return [code for code in CODES if sample[code].notna().any()]


def agreement(sample: pd.DataFrame) -> dict[str, float]:
    """Compare two codings.

    Returns
    -------
    dict
        `per_cent` of purchases with the same code, and Cohen's `kappa`.

    References
    ----------
    Cohen, J. (1960), A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20, 37-46.
    """
    first, second = (sample[code] for code in CODES)
    same = float((first == second).mean())
    shares = [codes.value_counts(normalize=True) for codes in (first, second)]
    by_chance = float(shares[0].mul(shares[1], fill_value=0.0).sum())
    return {"per_cent": 100 * same, "kappa": (same - by_chance) / (1 - by_chance)}


def wrong(sample: pd.DataFrame, counts: str = "as coded", level: float = 0.95) -> Estimate:
    """Estimate the share of the rule's purchases that is wrong, by half-year and in all of them.

    The sample was drawn at random without replacement, so its errors are those of a share of a
    finite population.

    Parameters
    ----------
    sample : DataFrame
        Rows of ``data/households/sample.csv``.
    counts : {"as coded", "at least", "at most"}
        How codes are counted: see `COUNTS`.
    level : float
        Coverage of intervals.

    Returns
    -------
    Estimate
        In per cent: one term for each half-year, by its first month, and ``"all"``.

    Raises
    ------
    DesignError
        If `counts` is unknown.

    References
    ----------
    Cochran, W. G. (1977), Sampling Techniques, 3rd edition, Wiley, section 2.13 (ratio of two
    sample means).
    """
    if counts not in COUNTS:
        raise DesignError(f"Cannot use counts={counts!r}; choose one of {', '.join(COUNTS)}")
    says = sample[codings(sample)].apply(lambda codes: codes.map(WRONG))
    scored = 100 * COUNTS[counts](says).to_numpy()
    halves = sorted(sample["half_year"].unique())
    inside = np.column_stack(
        [*(sample["half_year"] == half for half in halves), np.ones(len(sample), dtype=bool)]
    )
    inside = inside & ~np.isnan(scored)[:, np.newaxis]
    value = np.where(inside, scored[:, np.newaxis], 0.0).sum(axis=0) / inside.sum(axis=0)
    errors = np.where(inside, scored[:, np.newaxis] - value, 0.0) / inside.sum(axis=0)
    drawn = len(sample)
    left_out = 1 - 1 / sample["weight"].iloc[0]
    return Estimate(
        estimand="share of the rule's purchases that is wrong",
        unit="per cent",
        terms=(*halves, "all"),
        value=value,
        covariance=left_out * drawn / (drawn - 1) * errors.T @ errors,
        n=drawn,
        level=level,
        counts={"purchases": drawn, "coded": int(inside[:, -1].sum())},
    )


def reclassified(
    households: Households, shares: Mapping[str, float], elsewhere: float | None = None
) -> Households:
    """Move a share of the rule's purchases to the class of other brands.

    Parameters
    ----------
    households : Households
    shares : mapping of str to float
        Share to move, by the first month of a half-year; none in other half-years.
    elsewhere : float, optional
        Share to move in categories in which closed brands are not known to have sold; the same by
        default.
    """
    listed = households.categories["category"]

    def moved(rows: pd.DataFrame, halves: pd.Series) -> pd.DataFrame:
        share = halves.map(shares).fillna(0.0)
        if elsewhere is not None:
            share = share.where(rows["category"].isin(listed) | (share == 0), elsewhere)
        share = share.where(rows["origin_class"] == "pseudo_brand", 0.0)
        numbers = rows[[name for name in OF if name in rows]]
        kept = rows.assign(**numbers.mul(1 - share, axis=0))
        gone = rows.assign(**numbers.mul(share, axis=0), origin_class="other")
        return pd.concat([kept, gone[share > 0]], ignore_index=True)

    by_month = households.purchases
    by_half = households.half_years
    halves = by_month["month"].map(
        {month: half_year(month) for month in by_month["month"].unique()}
    )
    return replace(
        households,
        purchases=moved(by_month, halves),
        half_years=moved(by_half, by_half["half_year"]),
    )


def corrected(
    households: Households,
    spec: Specification = BASELINE,
    *,
    sample: pd.DataFrame | None = None,
    counts: str = "as coded",
    elsewhere: float | None = None,
    **options: Any,
) -> Estimate:
    r"""Correct an effect for purchases that the rule wrongly calls Chinese.

    The effect is that of :func:`analysis.evidence.recentring.recentred`.

    In each window the share :math:`w_t` of the rule's purchases that is wrong, as estimated from
    the sample in that half-year, is moved to other brands. Let :math:`[l, u]` be the interval of
    the effect :math:`\hat\theta` when the shares are taken as given, :math:`V` their covariance,
    :math:`g` the derivatives of the effect and z the normal quantile. The ends are
    :math:`\hat\theta - \sqrt{(\hat\theta - l)^2 + z^2 g'Vg}` and
    :math:`\hat\theta + \sqrt{(u - \hat\theta)^2 + z^2 g'Vg}`. Brands that rule and list miss are
    not corrected for.

    Parameters
    ----------
    households, spec
        As in :func:`analysis.evidence.recentring.recentred`; the definition of Chinese brands must
        include the rule's.
    sample : DataFrame, optional
        Coded sample; ``data/households/sample.csv`` by default.
    counts : {"as coded", "at least", "at most"}
        How codes are counted.
    elsewhere : float, optional
        Share that is wrong in other categories, in which nothing was coded; the same as in the
        sample by default.
    **options
        Options of :func:`analysis.evidence.recentring.recentred`.

    Returns
    -------
    Estimate
        In log points; `details` are those of `recentred`, and `wrong`, the shares moved before and
        after.

    References
    ----------
    Zou, G. Y. and Donner, A. (2008), Construction of confidence limits about effect measures: a
    general approach, Statistics in Medicine 27, 1693-1702.
    """
    shares = wrong(load("household_sample") if sample is None else sample, counts)
    windows = [spec.before[0], spec.after[0]]
    if absent := [window for window in windows if window not in shares.terms]:
        raise DesignError(
            f"Cannot correct for the rule's errors: no purchase in the half-year from {absent[0]}"
            f" was coded; choose windows that begin in {', '.join(shares.terms[:-1])}"
        )
    at = [shares.terms.index(window) for window in windows]
    means = shares.value[at] / 100
    covariance = shares.covariance[np.ix_(at, at)] / 100**2
    similar = like_exposed(households, spec)

    def effect(given: Any) -> Estimate:
        changed = reclassified(households, dict(zip(windows, given, strict=True)), elsewhere)
        return recentred(changed, spec, similar=similar, **options)

    found = effect(means)
    slopes = []
    for step in STEP * np.eye(2):
        slopes.append((effect(means + step).value - effect(means - step).value).item() / (2 * STEP))
    error = np.sqrt(np.array(slopes) @ covariance @ np.array(slopes))
    added = stats.norm.ppf((1 + spec.level) / 2) * error
    half = np.hypot(found.conf_int - found.value, added)
    return replace(
        found,
        estimand=f"{found.estimand}, corrected for the rule's errors",
        covariance=found.covariance + error**2,
        limits=found.value + half * [[-1], [1]],
        interval=f"{found.interval}, with the sample's error",
        details={**found.details, "wrong": means},
    )


def checks(sample: pd.DataFrame, households: Households, **options: Any) -> pd.DataFrame:
    """Compute the rows of ``data/households/checks.csv``.

    Parameters
    ----------
    sample : DataFrame
        Coded sample.
    households : Households
    **options
        Options of :func:`analysis.evidence.recentring.recentred`.

    Returns
    -------
    DataFrame
        `check`, `case`, `estimate`, `conf_low`, `conf_high` and `unit`.
    """
    rows = [
        *_agreement_rows(sample),
        *_wrong_rows(sample),
        *_corrected_rows(sample, households, **options),
        *_variant_rows(households, **options),
    ]
    return pd.DataFrame(rows)


def _check_row(
    check: str, case: str, estimate: float, ends: tuple[float, float] | None, unit: str
) -> dict[str, Any]:
    """Return a row of the table of checks."""
    low, high = ends or (np.nan, np.nan)
    row = {"check": check, "case": case, "estimate": estimate}
    return {**row, "conf_low": low, "conf_high": high, "unit": unit}


def _effect_row(check: str, case: str, effect: Estimate) -> dict[str, Any]:
    """Return the row of an effect in log points, as a percentage change."""
    change = effect.exp()
    return _check_row(check, case, float(change.value[0]), change.bounds("effect"), "per cent")


def _agreement_rows(sample: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield how often two codings agree, if there are two."""
    if len(codings(sample)) > 1:
        same = agreement(sample)
        yield _check_row("same code twice", "per cent", same["per_cent"], None, "per cent")
        yield _check_row("same code twice", "kappa", same["kappa"], None, "kappa")


def _wrong_rows(sample: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the shares that are wrong, by how codes are counted."""
    for counts in COUNTS:
        shares = wrong(sample, counts)
        for term in shares.terms:
            value = float(shares[term].value[0])
            yield _check_row(f"wrong, {counts}", term, value, shares[term].bounds(term), "per cent")


def _corrected_rows(
    sample: pd.DataFrame, households: Households, **options: Any
) -> Iterator[dict[str, Any]]:
    """Yield the corrected effect, by how codes are counted and by what is wrong elsewhere."""
    either = Specification(definition="either")
    for counts in COUNTS:
        effect = corrected(households, either, sample=sample, counts=counts, **options)
        yield _effect_row("corrected", f"{counts}, the same elsewhere", effect)
    for share in ELSEWHERE:
        effect = corrected(households, either, sample=sample, elsewhere=share, **options)
        yield _effect_row("corrected", f"as coded, {100 * share:g} per cent elsewhere", effect)


def _variant_rows(households: Households, **options: Any) -> Iterator[dict[str, Any]]:
    """Yield the effect with other categories and with rare buyers, by definition of a brand."""
    for definition in CHINESE:
        spec = Specification(definition=definition)
        by_pages = recentred(households, spec, only=categories_on_early_pages(), **options)
        yield _effect_row("categories by pages of 2018 to 2020 alone", definition, by_pages)
        often = recentred(households, spec, often=0, **options)
        yield _effect_row("no least number of purchases", definition, often)


if __name__ == "__main__":
    table = checks(load("household_sample"), Households.load())
    table.round(6).to_csv(DATA / "households" / "checks.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))
