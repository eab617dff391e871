"""Designs of comparisons, samples of firms and months, refusals, and tables of estimates."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, get_args

import numpy as np
import pandas as pd
from fewtreated.clusterings import combined, with_pairs
from fewtreated.errors import DesignError, check_choice, whole_number
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.estimators.power import detectable

from analysis.estimate import Estimate, Result, refusal

if TYPE_CHECKING:
    from analysis.panel import Panel

Comparison = Literal["not_yet_closed", "spared_same_category", "low_exposure"]
Cluster = Literal["brand_group", "category", "firm"]
Answer = TypeVar("Answer")
Asked = ParamSpec("Asked")

KNOWN = 0.5  # share of a year's months above which most are known
# fewest base months and latest end of a window in reports
FEWEST_BASE = 3
LATEST = 9
COLUMNS = [
    "id",
    "label",
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "unit",
    "n",
    "mde",
    "reason",
]
ASKED = ["df", "level", "interval", "comparison", "months", "digest"]
"""Further columns of rows: the kind of interval, and the design and panel behind it; empty for a
refusal.
"""


@dataclass(frozen=True)
class Design:
    """Choice of the firms and months to compare.

    Attributes
    ----------
    comparison : {"low_exposure", "spared_same_category", "not_yet_closed"}
        Firms never closed whose closed rivals had a small share of their category; firms never
        closed, compared within their category; or firms closed after the window, even after the
        last month of the panel, as long as there are any.
    post_from, post_to : int
        First and last month of the window, after the first wave; compared with the same calendar
        months a year earlier.
    base_months : int
        Number of months before the first wave over which category shares and exposure are measured.
    anticipation : int
        Number of months before a closure in which there may be an effect; no comparison uses them.
    cluster : {"brand_group", "category", "firm"}
        Unit of clustering, whose members may share shocks.
    origin : str
        Code of the origin whose growth and recapture are estimated.
    destinations : tuple of str
        Codes of the one or two platforms to which closed firms are reported to have moved.
    level : float
        Coverage of intervals.
    cut : float
        Smallest dose of a closed firm; firms with a smaller one are left out of all comparisons.
    low : float
        Threshold for low exposure, as a share of the category.

    Examples
    --------
    >>> from analysis import Design
    >>> Design(comparison="spared_same_category", post_from=1, post_to=6).cluster
    'brand_group'
    """

    comparison: Comparison = "low_exposure"
    post_from: int = 4
    post_to: int = 9
    base_months: int = 12
    anticipation: int = 2
    cluster: Cluster = "brand_group"
    origin: str = "CN"
    destinations: tuple[str, ...] = ("EBY", "ALI")
    level: float = 0.95
    cut: float = 0.5
    low: float = 0.02

    def __post_init__(self) -> None:
        """Validate the fields; raise DesignError if any is invalid."""
        for name, allowed in (("comparison", get_args(Comparison)), ("cluster", get_args(Cluster))):
            check_choice(name, getattr(self, name), allowed)
        codes: Any = self.destinations
        if isinstance(codes, str):
            codes = (codes,)
        object.__setattr__(self, "destinations", tuple(codes))
        first = whole_number("post_from", self.post_from)
        last = whole_number("post_to", self.post_to)
        if not 0 <= first <= last or whole_number("base_months", self.base_months) < 1:
            raise DesignError(
                f"expected 0 <= post_from <= post_to and base_months >= 1, found post_from={first},"
                f" post_to={last} and base_months={self.base_months}"
            )
        if whole_number("anticipation", self.anticipation) < 0 or last - 12 >= -self.anticipation:
            raise DesignError(
                f"the baseline of a window that ends in month {last} reaches month {last - 12},"
                f" within anticipation = {self.anticipation} months of closure or later; end the"
                f" window by month {11 - self.anticipation}"
            )
        for name, share in (("level", self.level), ("cut", self.cut), ("low", self.low)):
            if not 0 < share < 1 and not (name == "cut" and share == 1):
                raise DesignError(f"expected {name} between 0 and 1, found {name} = {share}")

    def sample(self, panel: Panel) -> Sample:
        """Select the sample from a panel.

        Raise DesignError if the panel does not support the design.
        """
        return panel.cached(self, lambda: _sample(panel, self))

    def fitted(self, panel: Panel) -> Design | None:
        """Return the design with the nearest window and base months that fit the panel, or None.

        None if no window fits or no firm is closed.
        """
        wave = panel.first_treated(cut=self.cut).min(initial=np.inf)
        if not np.isfinite(wave):
            return None
        # the base is a year earlier
        first = max(0, 12 - int(wave))
        last = len(panel.months) - 1 - int(wave)
        start = max(self.post_from, first)
        stop = min(self.post_to, last)
        if start > stop:
            start = first
            stop = min(last, LATEST, 11 - self.anticipation)
        if start > stop or wave < FEWEST_BASE:
            return None
        return replace(
            self, post_from=start, post_to=stop, base_months=min(self.base_months, int(wave))
        )

    @property
    def given(self) -> str:
        """Window and base months as command-line options."""
        return " ".join(
            f"-p {name}={getattr(self, name)}" for name in ("post_from", "post_to", "base_months")
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """Firms and months that a design selects from a panel.

    Attributes
    ----------
    panel : Panel
    design : Design
    before, after, base : slice
        The months a year before the window, the window and the base months, as positions on the
        month axis.
    first : float64[firm]
        Month of closure with a dose of at least the cut; inf if there is none within the panel.
    closed : bool[firm]
        Closed by the end of the window.
    comparison : bool[firm]
        Comparison firms.
    never_closed : bool[firm]
        Not closed at any time, in whole or in part.
    exposure : float64[firm]
        Mean over the window.
    months_closed : float64[firm]
        Share of the window in which the firm is closed.
    """

    panel: Panel
    design: Design
    before: slice
    after: slice
    base: slice
    first: Floats
    closed: Bools
    comparison: Bools
    never_closed: Bools
    exposure: Floats
    months_closed: Floats

    @property
    def window(self) -> str:
        """First and last month of the window, as text."""
        return self.months(self.after)

    @property
    def year_ago(self) -> str:
        """First and last month of the same window a year earlier, as text."""
        return self.months(self.before)

    @property
    def waves(self) -> list[int]:
        """Positions of the months with closures, up to the end of the window."""
        return [int(month) for month in np.unique(self.first[self.closed])]

    def months(self, months: slice) -> str:
        """Return the first and last month of a slice, as text."""
        return f"{self.panel.months[months.start]} to {self.panel.months[months.stop - 1]}"

    def two_years_ago(self, what: str) -> slice:
        """Return the same window two years earlier.

        Raise DesignError if the panel starts too late.
        """
        start = self.before.start - 12
        stop = self.before.stop - 12
        months = self.panel.months
        if start < 0:
            raise DesignError(
                f"{what} needs sales from {months[start + 12] - 12}, but the panel starts in"
                f" {months[0]}; narrow the window or add earlier months"
            )
        return slice(start, stop)

    @property
    def still_open(self) -> str:
        """Sentence about closed firms still open for part of the window.

        It is empty if there are none.
        """
        count = int((self.months_closed[self.closed] < 1).sum())
        if count:
            return (
                f"{count} of {self.closed.sum()} closed sellers were still open in part of the"
                " window."
            )
        return ""

    @property
    def no_placebo(self) -> str:
        """Reason why a placebo year is unavailable; empty if it is available."""
        short = min(self.base.start, self.before.start) < 12
        if short:
            return "the panel is too short for a placebo year"
        return ""

    @property
    def home(self) -> Floats:
        """Sales on the home platform, float64[firm, month]."""
        return self.panel.sales[:, 0]

    @cached_property
    def sums(self) -> Floats:
        """Sales a year before and during the window.

        The array is float64[2, firm, platform], as from :func:`over_years`.
        """
        return over_years(self.panel.sales, self.before, self.after)

    @property
    def in_part(self) -> str:
        """Sentence about firms whose years have missing months but count.

        It is empty if there are none.
        """
        unknown = [np.isnan(self.home[:, months]) for months in (self.before, self.after)]
        count = int((np.any(unknown, axis=(0, 2)) & self.observed(1)).sum())
        rule = (
            "added up over the months known in both years, and scaled up, if these are more than"
            " half"
        )
        if count:
            return f"{count:,} firms at home: {rule}"
        return ""

    def observed(self, width: int) -> Bools:
        """Return whether each firm has known sales in both windows.

        Sales are those on the first `width` platforms. The result is bool[firm].
        """
        return np.asarray(np.isfinite(self.sums[:, :, :width]).all(axis=(0, 2)))

    def of_origin(self, own: bool = True) -> Bools:
        """Select the firms from the design's origin, or all others.

        The result is bool[firm]. Raise DesignError if there are none.
        """
        if own:
            self._require_own_firms()
        else:
            self.require_other_origins()
        return np.asarray(self.is_own == own)

    def _require_own_firms(self) -> None:
        """Raise DesignError unless the panel has firms from the design's origin."""
        if not self.is_own.any():
            raise DesignError(
                f"none of the {len(self.is_own)} firms is from origin {self.design.origin}; check"
                " the column `origin`"
            )

    def require_other_origins(self) -> None:
        """Raise DesignError unless the panel has firms from other origins."""
        if self.is_own.all():
            raise DesignError(
                f"all {len(self.is_own)} firms are from origin {self.design.origin}; add sellers"
                " from other origins"
            )

    @cached_property
    def is_own(self) -> Bools:
        """Whether each firm belongs to the design's origin, bool[firm]."""
        return np.asarray((self.panel.firms["origin"] == self.design.origin).to_numpy())

    @property
    def origin(self) -> Ints:
        """Code of each firm's origin, int64[firm].

        Codes follow the order of the origins' names.
        """
        return self.panel.codes("origin")[0]

    @property
    def category(self) -> Ints:
        """Code of each firm's category, int64[firm]."""
        return self.panel.codes("category")[0]

    @cached_property
    def cluster(self) -> Ints:
        """Code of each firm's cluster, int64[firm]."""
        firms = self.design.cluster == "firm"
        if firms:
            return np.arange(len(self.panel.firms))
        return self.panel.codes(self.design.cluster)[0]

    def clusters(self, firms: Bools | Ints) -> int:
        """Count the clusters of the selected firms."""
        return len(np.unique(self.cluster[firms]))

    def means(self, width: int) -> Floats:
        """Return mean monthly sales a year before and during the window.

        Sales are those on the first `width` platforms. The result is float64[firm, 2].
        """
        return np.asarray(
            self.sums[:, :, :width].sum(axis=2).T / (self.after.stop - self.after.start)
        )

    def clustered(self, estimate: Callable[[Ints], Result]) -> Estimate:
        """Return the estimate with errors by the clusters of the design.

        `estimate` takes the cluster of each firm, int64[firm]. Brand groups are closed together,
        and a shock may hit all firms of a category. So errors by brand group are clustered by
        category as well, as :func:`fewtreated.clusterings.combined` does. If one of the two leaves
        a term without an error that the other gives one, all terms have errors by the other alone.
        `interval` says which it is.
        """
        ways: dict[str, Ints] = {self.design.cluster: self.cluster}
        if self.design.cluster == "brand_group":
            # labels that differ from brand groups'
            ways["category"] = int(self.cluster.max()) + 1 + self.category
        found = {way: refusable(estimate)(code) for way, code in with_pairs(ways).items()}
        answers = {
            way: result.at(self.design.level) for way, result in found.items() if not result.refused
        }
        alone = [way for way in ways if way in answers]
        if not alone:
            return Estimate.of(estimate(self.cluster))
        errors = {way: int(np.isfinite(answer.std_error).sum()) for way, answer in answers.items()}
        if len(answers) < len(found) or len(set(errors.values())) > 1:
            most = max(alone, key=errors.__getitem__)
            answers = {most: answers[most]}
        return Estimate.of(combined(answers), interval=self.interval([*answers][-1]))

    def interval(self, *ways: str) -> str:
        """Describe intervals whose errors are clustered by one of `ways`, or some by another.

        A way is "", which means as the design says, "mixed", or what it says, which may be two
        kinds at once.
        """
        said = self.design.cluster
        mixed = said + " for closed firms and by category for all others" * (said == "brand_group")
        by = dict.fromkeys({"": said, "mixed": mixed}.get(way, way) for way in ways or ("",))
        return f"confidence interval, errors clustered by {', or by '.join(by)}".replace("_", " ")

    @cached_property
    def mixed_cluster(self) -> Ints:
        """Code of each firm's cluster for effects on rivals of closed firms, int64[firm].

        With brand groups as clusters, closed firms are clustered by brand group and all others by
        category, since exposure and shocks are shared within a category.
        """
        if self.design.cluster != "brand_group":
            return self.cluster
        return np.where(self.closed, int(self.category.max()) + 1 + self.cluster, self.category)

    @cached_property
    def stopped(self) -> Bools:
        """Whether each firm sold nothing on any platform, bool[firm, month]; False if unknown."""
        return np.asarray(self.panel.total() <= 0)

    def mark(self, estimate: Result, **changes: Any) -> Estimate:
        """Record the design, panel digest and provenance in an estimate."""
        if self.panel.provenance == "simulated":
            provenance = "simulated"
        else:
            provenance = "estimate"
        changes = {"months": self.window, "provenance": provenance} | changes
        return Estimate.of(estimate, design=self.design, digest=self.panel.digest, **changes)


def over_years(sales: Floats, *years: slice) -> Floats:
    """Add up sales over the same months of several years.

    The result is float64[year, ...]. Months are the last axis of `sales`.

    A month that is missing in one year is left out of all, and sums are scaled up to all months.
    They are NaN unless most months, a share of more than `KNOWN`, are left.
    """
    values = np.array([sales[..., months] for months in years])
    known = np.isfinite(values).all(axis=0)
    share = known.mean(axis=-1)
    return np.asarray(
        np.where(known, values, 0.0).sum(axis=-1) / np.where(share > KNOWN, share, np.nan)
    )


def _sample(panel: Panel, design: Design) -> Sample:
    first = panel.first_treated(cut=design.cut)
    if not np.isfinite(first).any():
        raise DesignError(
            f"none of the {len(first)} firms was closed between {panel.months[0]} and"
            f" {panel.months[-1]} with a dose of {design.cut:g} or more; use a panel that contains"
            " closures"
        )
    wave = int(first.min())
    length = len(panel.months)
    start = wave + design.post_from
    stop = wave + design.post_to + 1
    if start - 12 < 0 or stop > length or wave < design.base_months:
        raise DesignError(
            f"the panel runs from {panel.months[0]} to {panel.months[-1]}, but must cover months"
            f" {design.post_from} to {design.post_to} after the first wave in {panel.months[wave]},"
            f" the same months a year earlier and {design.base_months} base months;"
            f" {_remedy_for_short_panel(panel, design, wave)}"
        )
    after = slice(start, stop)
    base = slice(wave - design.base_months, wave)
    exposure = panel.exposure(base=base, cut=design.cut, months=after).mean(axis=1)
    closed = first < stop
    never_closed = panel.firms["closed_on"].isna().to_numpy()
    since = np.arange(start, stop) >= first[:, np.newaxis]
    return Sample(
        panel=panel,
        design=design,
        before=slice(start - 12, stop - 12),
        after=after,
        base=base,
        first=first,
        closed=closed,
        comparison=_comparison(panel, design, first, never_closed, exposure, stop),
        never_closed=never_closed,
        exposure=exposure,
        months_closed=since.mean(axis=1),
    )


def _remedy_for_short_panel(panel: Panel, design: Design, wave: int) -> str:
    """Return the closest window that fits a panel, or else the months to add."""
    if fitted := design.fitted(panel):
        return f"the closest fit is {fitted.given}"
    last = min(LATEST, 11 - design.anticipation)  # latest month at which a window may end
    since = len(panel.months) - 1 - wave
    begin = panel.months[wave] - max(FEWEST_BASE, 12 - min(last, since))
    remedy = f"no window fits: start the panel in {begin} or earlier"
    if FEWEST_BASE <= wave >= 12 - last:
        return f"{remedy}, or end it in {panel.months[wave] + 12 - wave} or later"
    return remedy


def _comparison(
    panel: Panel, design: Design, first: Floats, never_closed: Bools, exposure: Floats, stop: int
) -> Bools:
    """Select the comparison firms of a design, bool[firm]."""
    if design.comparison == "spared_same_category":
        category, names = panel.codes("category")
        hit = np.bincount(category[first < stop], minlength=len(names)) > 0
        return np.asarray(never_closed & hit[category])
    if design.comparison == "low_exposure":
        return _hardly_exposed(design, never_closed, exposure)
    return _closed_later(panel, design, int(first.min()), stop)


def _hardly_exposed(design: Design, never_closed: Bools, exposure: Floats) -> Bools:
    """Select firms never closed whose exposure is low; raise DesignError if there are none."""
    if not never_closed.any():
        raise DesignError("the panel contains only closed firms; add firms that were never closed")
    low = never_closed & (np.nan_to_num(exposure, nan=np.inf) < design.low)
    if not low.any():
        why = "all are unknown"
        lowest = np.fmin.reduce(exposure[never_closed], initial=np.inf)
        if np.isfinite(lowest):
            why = f"the lowest is {lowest:.3g}"
        raise DesignError(
            f"none of the {never_closed.sum()} never-closed firms has an exposure below"
            f" {design.low:g} ({why}); add firms in categories with home sales and few closures"
        )
    return low


def _closed_later(panel: Panel, design: Design, wave: int, stop: int) -> Bools:
    """Select firms closed after a window, even after the last month of the panel."""
    closures = panel.closures(cut=design.cut)
    later = np.isfinite(closures) & (closures >= stop + design.anticipation)
    if not later.any():
        last = int(closures[np.isfinite(closures)].max())
        raise DesignError(
            f"the comparison needs firms still open {design.anticipation} months after month"
            f" {design.post_to}, but found none, since the last wave is in"
            f" {panel.months[0] + last}, month {last - wave}; end the window earlier or"
            " choose another comparison"
        )
    return later


def require_low_exposure(design: Design, what: str) -> None:
    """Raise DesignError unless the comparison firms have low exposure."""
    if design.comparison != "low_exposure":
        raise DesignError(
            f"cannot identify {what} with comparison={design.comparison!r}, whose firms gain sales"
            " from closed firms; use comparison='low_exposure'"
        )


def require_other_platforms(panel: Panel, what: str) -> None:
    """Raise DesignError if the panel contains only the home platform."""
    if len(panel.platforms) < 2:
        raise DesignError(
            f"cannot estimate {what}: the panel covers only sales on {panel.platforms[0]}; add"
            " other platforms"
        )


def refusable(verb: Callable[Asked, Answer]) -> Callable[Asked, Answer | Estimate]:
    """Decorate a function to return a refusal instead of raising DesignError.

    The refusal is an Estimate that states the reason. A refused argument is returned unchanged, so
    that a report can continue with the reason; :meth:`analysis.estimate.Estimate.require` raises
    it.
    """

    @wraps(verb)
    def answer(*args: Asked.args, **options: Asked.kwargs) -> Answer | Estimate:
        for value in args:
            if isinstance(value, Estimate) and value.refused:
                return value
        try:
            return verb(*args, **options)
        except DesignError as refused:
            return refusal(str(refused))

    return answer


def cached_by_panel(
    verb: Callable[Concatenate[Panel, Design, Asked], Answer],
) -> Callable[Concatenate[Panel, Design, Asked], Answer]:
    """Decorate a function of a panel and a design to cache its results with the panel."""

    @wraps(verb)
    def answer(
        panel: Panel, design: Design, /, *args: Asked.args, **options: Asked.kwargs
    ) -> Answer:
        key = (verb, design, *args, *sorted(options.items()))
        return panel.cached(key, lambda: verb(panel, design, *args, **options))

    return answer


def in_rows(parts: Iterable[tuple[str, str, Estimate]], unit: str = "") -> pd.DataFrame:
    """Tabulate one-term estimates with the columns `COLUMNS` and `ASKED`.

    `parts` lists the id, the label and the estimate of each row; `unit` is the unit of refusals.
    """
    rows = []
    level = Design.level
    for name, label, effect in ((name, label, effect.stated) for name, label, effect in parts):
        if not effect.refused:
            level = effect.level
        row = (
            {"unit": effect.unit or unit}
            | effect.rows.iloc[0].to_dict()
            | {"id": name, "label": label}
        )
        row |= {"reason": effect.reason if np.isnan(effect.std_error[0]) else "", "interval": ""}
        row |= {"months": effect.months, "digest": effect.digest}
        if effect.design:
            row["comparison"] = effect.design.comparison
        else:
            row["comparison"] = ""
        if not effect.refused:
            row |= {"df": effect.df[0], "level": effect.level, "interval": effect.interval}
        rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS + ASKED)
    return table.assign(mde=detectable(table, level=level))


def as_rows(
    effects: Estimate, terms: Mapping[str, tuple[str, str]] | None = None, unit: str = ""
) -> pd.DataFrame:
    """Tabulate the terms of an estimate with the columns `COLUMNS` and `ASKED`.

    `terms` maps each term to its id and label. `mde` is the smallest effect detected with a power
    of 80 per cent. A row without a standard error is a set, or contains the estimate's reason. Rows
    of a refusal contain the reason, `unit`, and no number.
    """
    if terms is None:
        terms = {term: (term, term) for term in effects.terms}
    return in_rows([(name, label, effects[term]) for term, (name, label) in terms.items()], unit)


def with_printed_names(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Replace platform and origin codes with their printed names in labels and reasons."""
    written = {"label": rows["label"], "reason": rows["reason"].fillna("")}
    return rows.assign(
        **{
            name: texts.map(lambda text: written_out(text, names))
            for name, texts in written.items()
        }
    )


def written_out(text: str, names: Mapping[str, str]) -> str:
    """Replace codes in text with their printed names."""
    codes = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return codes.sub(lambda code: names[code[0]], text)


def by_origin(
    verb: Callable[..., Estimate],
    panel: Panel,
    design: Design,
    names: tuple[str, str],
    terms: Mapping[str, str] | None = None,
    *,
    columns: Collection[str] = (),
    **options: Any,
) -> pd.DataFrame:
    """Tabulate an effect for the design's origin and for all other origins.

    The columns are `COLUMNS`, `ASKED`, `origin`, `term` and any further `columns`.

    Parameters
    ----------
    verb : callable
        Called with (panel, design, own_origin=..., **options), such as
        :func:`analysis.estimands.rivals.effect_on_rivals`; a refusal becomes a row with its reason.
    panel, design
    names : (str, str)
        Labels for firms of the origin and for all others.
    terms : mapping of str to str, optional
        Terms to keep, with their labels; all by default.
    columns : collection of str
        Further columns of the estimates to keep.
    """
    parts = []
    for name, of_origin in zip(names, (True, False), strict=True):
        effect = verb(panel, design, own_origin=of_origin, **options)
        if terms is None:
            kept = effect
        else:
            kept = effect[list(terms)]
        ids = kept.columns.get("id", [f"{effect.estimand}_{term}" for term in kept.terms])
        labels = [f"{name}: {(terms or {}).get(term, term)}" for term in kept.terms]
        if effect.refused:
            ids = [""]
            labels = [name]
        rows = in_rows(zip(ids, labels, (kept[term] for term in kept.terms), strict=True))
        further = {column: kept.columns.get(column, np.nan) for column in columns}
        parts.append(rows.assign(origin=name, term=kept.terms, **further))
    return pd.concat(parts, ignore_index=True)
