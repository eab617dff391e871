"""A design: which firms are compared, in which months; the sample that it picks; and its answers as rows of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd

from analysis.errors import DesignError, check_choice, whole_number
from analysis.estimate import Bools, Estimate, Floats, Ints, refusal
from analysis.estimators.power import detectable

if TYPE_CHECKING:
    from analysis.panel import Panel

Comparison = Literal["not_yet_closed", "spared_same_category", "low_exposure"]
Cluster = Literal["brand_group", "category", "firm"]
Found = TypeVar("Found")

FEWEST_BASE, LATEST = 3, 9  # base months, and last month of a window, that reports take
COLUMNS = ["id", "label", "estimate", "std_error", "conf_low", "conf_high", "unit", "n", "mde", "reason"]
ASKED = ["df", "level", "interval", "comparison", "months", "digest"]
"""Further columns of rows: what an interval is, and what was asked of which panel; empty for a refusal."""


@dataclass(frozen=True)
class Design:
    """Which firms are compared with which, and when.

    Attributes
    ----------
    comparison : {"low_exposure", "spared_same_category", "not_yet_closed"}
        Firms never closed whose closed rivals held little of their category; firms never closed, each compared within
        its category; or firms closed after the window, be it after the last month of the panel, which serve only
        while there are any.
    post_from, post_to : int
        First and last month of the window, after the first wave; compared with the same calendar months a year before.
    base_months : int
        Months before the first wave over which shares of categories, and exposure, are measured.
    anticipation : int
        Months before a closure in which an effect is allowed for; no comparison reaches into them.
    cluster : {"brand_group", "category", "firm"}
        Unit of independent draws.
    origin : str
        Code of the firms whose growth and recapture are asked about.
    destinations : tuple of str
        Codes of the one or two platforms to which closed firms are said to have gone.
    opened : tuple of str
        Codes of platforms that opened to the origin alone in the months that are compared, so that who joins them tells
        nothing of the closures.
    level : float
        Coverage of intervals.
    cut : float
        Smallest dose of a closed firm; firms closed in part below it are in no comparison.
    low : float
        Exposure below which it is low, share of the category.

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
    opened: tuple[str, ...] = ("WMT",)
    level: float = 0.95
    cut: float = 0.5
    low: float = 0.02

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        for name, allowed in (("comparison", get_args(Comparison)), ("cluster", get_args(Cluster))):
            check_choice(name, getattr(self, name), allowed)
        for name in ("destinations", "opened"):
            codes = getattr(self, name)
            object.__setattr__(self, name, (codes,) if isinstance(codes, str) else tuple(codes))
        first, last = whole_number("post_from", self.post_from), whole_number("post_to", self.post_to)
        if not 0 <= first <= last or whole_number("base_months", self.base_months) < 1:
            raise DesignError(
                f"a window from month {first} to {last} after the first wave and {self.base_months} base months were "
                "asked for; months count from 0, the first before the last; turn them round"
            )
        if whole_number("anticipation", self.anticipation) < 0 or last - 12 >= -self.anticipation:
            raise DesignError(
                f"a window to month {last} with {self.anticipation} months of anticipation was asked for; the same "
                f"months a year before reach into them; end it by month {11 - self.anticipation}"
            )
        for name, share in (("level", self.level), ("cut", self.cut), ("low", self.low)):
            if not 0 < share < 1 and not (name == "cut" and share == 1):
                raise DesignError(f"a design with {name} = {share} was asked for; it is a share; give one in (0, 1)")

    def sample(self, panel: Panel) -> Sample:
        """Return what the design picks from a panel, made once; a DesignError where the panel cannot carry it."""
        made: dict[Design, Sample] = vars(panel).setdefault("_samples", {})  # so that they go when the panel goes
        if self not in made:
            made[self] = _sample(panel, self)
        return made[self]

    def fitted(self, panel: Panel) -> Design | None:
        """Return the design with the part of its window and of its base months that a panel can carry, or the nearest.

        None where no window fits, or no firm is closed.
        """
        wave = panel.first_treated(cut=self.cut).min(initial=np.inf)
        if not np.isfinite(wave):
            return None
        first, last = max(0, 12 - int(wave)), len(panel.months) - 1 - int(wave)  # a year earlier is compared
        start, stop = max(self.post_from, first), min(self.post_to, last)
        if start > stop:
            start, stop = first, min(last, LATEST, 11 - self.anticipation)
        if start > stop or wave < FEWEST_BASE:
            return None
        return replace(self, post_from=start, post_to=stop, base_months=min(self.base_months, int(wave)))

    @property
    def given(self) -> str:
        """Its window and base months as a command line gives them."""
        return " ".join(f"-p {name}={getattr(self, name)}" for name in ("post_from", "post_to", "base_months"))


@dataclass(frozen=True, eq=False)
class Sample:
    """What a design picks from a panel.

    Attributes
    ----------
    panel : Panel
    design : Design
    before, after, base : slice
        Window, the same months a year before, and base months: positions on the month axis.
    first : float64[firm]
        Month of closure with a dose of at least the cut; inf for none within the panel.
    closed : bool[firm]
        Closed by the end of the window.
    comparison : bool[firm]
        Compared with them.
    never_closed : bool[firm]
        Touched by no closure, now or later, in whole or in part.
    exposure : float64[firm]
        Mean over the window.
    months_closed : float64[firm]
        Share of the window's months in which the firm is closed.
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
    made: dict[Hashable, Any] = field(default_factory=dict)
    """What several estimands share, by what it is and its options: see `once`."""

    @property
    def window(self) -> str:
        """First and last month of the window, in words."""
        return self.months(self.after)

    @property
    def year_ago(self) -> str:
        """The same months a year before, in words."""
        return self.months(self.before)

    def months(self, part: slice) -> str:
        """Return the first and last of some months, in words."""
        return f"{self.panel.months[part.start]} to {self.panel.months[part.stop - 1]}"

    @property
    def still_open(self) -> str:
        """How many closed firms the window saw open, in a sentence; empty where all were closed before it."""
        count = int((self.months_closed[self.closed] < 1).sum())
        return f"{count} of {self.closed.sum()} closed firms were still open in part of the window." if count else ""

    @property
    def no_placebo(self) -> str:
        """That there is no year without closures before the first wave to try a design on, in words, where so."""
        short = min(self.base.start, self.before.start) < 12
        return "the panel is too short for a placebo year" if short else ""

    @property
    def home(self) -> Floats:
        """Sales on the home platform, float64[firm, month]."""
        return self.panel.sales[:, 0]

    @cached_property
    def sums(self) -> Floats:
        """Sales in the window a year before and in the window, float64[2, firm, platform]; NaN where one is missing."""
        return np.array([self.panel.sales[:, :, part].sum(axis=2) for part in (self.before, self.after)])

    @cached_property
    def own(self) -> Bools:
        """Firms of the design's origin; where there are none a DesignError."""
        found = self.is_own
        if not found.any():
            raise DesignError(
                f"firms of origin {self.design.origin} were asked for; none of {len(found)} firms is; check "
                "the column origin"
            )
        return found

    @cached_property
    def others(self) -> Bools:
        """Firms of other origins; where there are none a DesignError."""
        if self.is_own.all():
            raise DesignError(
                f"firms of other origins than {self.design.origin} were asked for; all {len(self.is_own)} firms are of "
                "it; bring sellers of other origins too"
            )
        return ~self.is_own

    @cached_property
    def is_own(self) -> Bools:
        """Firms of the design's origin, if any."""
        return np.asarray((self.panel.firms["origin"] == self.design.origin).to_numpy())

    @property
    def origin(self) -> Ints:
        """Origin of each firm as a number, int64[firm], in the order of the names."""
        return self.panel.codes("origin")[0]

    @property
    def category(self) -> Ints:
        """Category of each firm as a number, int64[firm]."""
        return self.panel.codes("category")[0]

    @cached_property
    def cluster(self) -> Ints:
        """Unit of independent draws of each firm as a number, int64[firm]."""
        firms = self.design.cluster == "firm"
        return np.arange(len(self.panel.firms)) if firms else self.panel.codes(self.design.cluster)[0]

    def widest(self, estimate: Callable[[Ints], Estimate]) -> Estimate:
        """Estimate by each way of clustering, from codes int64[firm], and return that of the longer intervals in sum.

        Brand groups are closed together, and a shock may hit all firms of a category: with brand groups as clusters
        both are tried, since neither may be left out that gives larger errors; a term without an error by one way has
        that of the other (MacKinnon, J. G.,
        Nielsen, M. O. and Webb, M. D. 2024, Jackknife inference with two-way clustering, arXiv 2406.08880).
        """
        ways = [self.cluster]
        if self.design.cluster == "brand_group":
            ways.append(int(self.cluster.max()) + 1 + self.category)  # other labels than those of brand groups
        made = [found for way in ways if not (found := attempt(estimate, way)).refused]
        if not made:
            return estimate(self.cluster)
        return max(made, key=lambda result: float(np.nansum(np.diff(result.conf_int, axis=0))))

    @cached_property
    def mixed_cluster(self) -> Ints:
        """Cluster of each firm where what rivals of closed firms sell is asked for, int64[firm].

        With brand groups as clusters, closed firms are of their own and all others of their category: exposure is a
        property of a category, and so is what moves all its firms alike.
        """
        if self.design.cluster != "brand_group":
            return self.cluster
        return np.where(self.closed, int(self.category.max()) + 1 + self.cluster, self.category)

    @cached_property
    def stopped(self) -> Bools:
        """Who sells nothing on any platform, bool[firm, month]; not known is not stopped."""
        return np.asarray(self.panel.total() <= 0)

    def once(self, what: Hashable, make: Callable[[], Found]) -> Found:
        """Return what was made before under this name, or make it; a refusal is not kept."""
        if what not in self.made:
            self.made[what] = make()
        found: Found = self.made[what]
        return found

    def mark(self, found: Estimate, **changes: Any) -> Estimate:
        """Stamp an estimate with its design, panel and provenance, so that it can be made again."""
        made_of = "simulated" if self.panel.provenance == "simulated" else "estimate"
        stamp: dict[str, Any] = {"design": self.design, "digest": self.panel.digest, "provenance": made_of}
        stamp["months"] = self.window
        return replace(found, **(stamp | changes))


def _sample(panel: Panel, design: Design) -> Sample:
    first = panel.first_treated(cut=design.cut)
    if not np.isfinite(first).any():
        raise DesignError(
            f"effects of closures were asked for; none of {len(first)} firms is closed between {panel.months[0]} and "
            f"{panel.months[-1]} with a dose of {design.cut:g} or more; bring a panel that holds closures"
        )
    wave, length = int(first.min()), len(panel.months)
    start, stop = wave + design.post_from, wave + design.post_to + 1
    if start - 12 < 0 or stop > length or wave < design.base_months:
        fitted = design.fitted(panel)
        last = min(LATEST, 11 - design.anticipation)  # month that a window may reach
        begin = panel.months[wave] - max(FEWEST_BASE, 12 - min(last, length - 1 - wave))
        end = f", or end in {panel.months[wave] + 12 - wave} or later" if FEWEST_BASE <= wave >= 12 - last else ""
        more = f"no window fits: begin in {begin} or earlier{end}"
        remedy = f"what fits is {fitted.given}" if fitted else more
        raise DesignError(
            f"months {design.post_from} to {design.post_to} after the first wave in {panel.months[wave]}, a year "
            f"before them and {design.base_months} base months were asked for; the panel runs from {panel.months[0]} "
            f"to {panel.months[-1]}; {remedy}"
        )
    after, base = slice(start, stop), slice(wave - design.base_months, wave)
    exposure = panel.exposure(base=base, cut=design.cut, months=after).mean(axis=1)
    closed, never_closed = first < stop, panel.firms["closed_on"].isna().to_numpy()
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


def _comparison(panel: Panel, design: Design, first: Floats, never_closed: Bools, exposure: Floats, stop: int) -> Bools:
    if design.comparison == "spared_same_category":
        category, names = panel.codes("category")
        hit = np.bincount(category[first < stop], minlength=len(names)) > 0
        return np.asarray(never_closed & hit[category])
    if design.comparison == "low_exposure":
        found = never_closed & (np.nan_to_num(exposure, nan=np.inf) < design.low)
        if not never_closed.any():
            raise DesignError(
                "firms that were not closed were asked for; the panel holds closed firms only; bring others too"
            )
        if not found.any():
            lowest = np.fmin.reduce(exposure[never_closed], initial=np.inf)
            seen = f"the lowest is {lowest:.3g}" if np.isfinite(lowest) else "it is known for none"
            raise DesignError(
                f"firms with an exposure below {design.low:g} were asked for; of {never_closed.sum()} firms not closed "
                f"{seen}; bring firms of categories that sold at home and in which little was closed"
            )
        return found
    closures = panel.closures(cut=design.cut)  # those after the last month of the panel as well
    found = np.isfinite(closures) & (closures >= stop + design.anticipation)
    if not found.any():
        last = int(closures[np.isfinite(closures)].max())
        raise DesignError(
            f"firms not yet closed, for {design.anticipation} months after month {design.post_to}, were asked for; the "
            f"last wave is in {panel.months[0] + last}, month {last - int(first.min())}, so nobody is left to compare "
            "with; end the window earlier or choose another comparison"
        )
    return found


def low_exposure(panel: Panel, design: Design, what: str) -> Sample:
    """Return the sample of a design that compares with firms of low exposure; another comparison is a DesignError."""
    if design.comparison != "low_exposure":
        raise DesignError(
            f"{what} against {design.comparison} firms was asked for; these inherit sales of closed firms themselves, "
            "so what others gained is not identified; use comparison='low_exposure'"
        )
    return design.sample(panel)


def several(panel: Panel, what: str) -> None:
    """Refuse what sales on other platforms than the home platform must tell where the panel holds none."""
    if len(panel.platforms) < 2:
        raise DesignError(
            f"{what} was asked for; the panel holds sales on {panel.platforms[0]} alone; bring those on other "
            "platforms too"
        )


def attempt(make: Callable[..., Found], *asked: Any, **options: Any) -> Found | Estimate:
    """Return what a verb finds; where it refuses, an Estimate without value, and with the reason.

    So a report goes on with what there is. What is asked of something refused is refused for the same reason.
    """
    if because := next((one for one in asked if isinstance(one, Estimate) and one.refused), None):
        return because
    try:
        return make(*asked, **options)
    except DesignError as refused:
        return refusal(str(refused))


def in_rows(parts: Iterable[tuple[str, str, Estimate]], unit: str = "") -> pd.DataFrame:
    """Return rows in `COLUMNS` and `ASKED` of estimates of one term, each with id and label; of a refusal in `unit`."""
    rows, level = [], Design.level
    for name, label, found in ((name, label, one.stated) for name, label, one in parts):
        level = level if found.refused else found.level
        given = found.columns.get("unit", [found.unit])[0] or unit
        reason = found.reason if np.isnan(found.std_error[0]) else ""
        row = {"id": name, "label": label, "unit": given, "n": np.ravel(found.n)[0], "reason": reason}
        row |= {"estimate": found.value[0], "std_error": found.std_error[0]}
        row |= dict(zip(("conf_low", "conf_high"), found.conf_int[:, 0], strict=True))
        asked: dict[str, Any] = {"months": found.months, "digest": found.digest, "interval": ""}
        asked["comparison"] = found.design.comparison if found.design else ""
        if not found.refused:
            asked |= {"df": found.df[0], "level": found.level, "interval": found.interval}
        rows.append(row | asked)
    table = pd.DataFrame(rows, columns=COLUMNS + ASKED)
    return table.assign(mde=detectable(table, level=level))


def as_rows(found: Estimate, terms: Mapping[str, tuple[str, str]] | None = None, unit: str = "") -> pd.DataFrame:
    """Return rows of an estimate in `COLUMNS`; `terms` gives each the id and the label it is to have, if not its name.

    `mde` is the smallest effect seen with a power of 80 per cent. A row without an error is a set, or has none for the
    estimate's own reason, which stands beside it. Rows of a refusal have the reason, `unit`, and no number.
    """
    terms = {term: (term, term) for term in found.terms} if terms is None else terms
    return in_rows([(name, label, found[term]) for term, (name, label) in terms.items()], unit)


def in_words(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return rows in `COLUMNS` with names in print for the codes of platforms and origin, also in reasons."""
    written = {"label": rows["label"], "reason": rows["reason"].fillna("")}
    return rows.assign(**{name: texts.map(lambda text: written_out(text, names)) for name, texts in written.items()})


def written_out(text: str, names: Mapping[str, str]) -> str:
    """Write names in print for the codes in a text."""
    codes = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    return codes.sub(lambda found: names[found[0]], text)


def by_origin(
    make: Callable[..., Estimate], panel: Panel, design: Design, names: tuple[str, str], **options: Any
) -> dict[str, Estimate]:
    """Ask the same of firms of the design's origin and of all others, by what these are called.

    `make` is called with (panel, design, own_origin=..., **options), such as
    :func:`analysis.estimands.rivals.spillover`; a refusal is an Estimate with its reason.
    """
    return {
        name: attempt(make, panel, design, own_origin=own, **options)
        for name, own in zip(names, (True, False), strict=True)
    }


def rows_by_origin(
    found: Mapping[str, Estimate], terms: Mapping[str, str] | None = None, *, columns: Collection[str] = ()
) -> pd.DataFrame:
    """Return the rows of :func:`by_origin` in `COLUMNS`, with `origin` and `term`; a refusal is a row with its reason.

    Parameters
    ----------
    found : mapping of str to Estimate
    terms : mapping of str to str, optional
        Terms to keep, and what they are called; all where not given.
    columns : collection of str
        Further columns of the estimates to keep.
    """
    parts = []
    for name, one in found.items():
        kept = one if terms is None else one[list(terms)]
        ids = kept.columns.get("id", [f"{one.estimand}_{term}" for term in kept.terms])
        labels = [f"{name}: {(terms or {}).get(term, term)}" for term in kept.terms]
        if one.refused:
            ids, labels = [""], [name]
        rows = in_rows(zip(ids, labels, (kept[term] for term in kept.terms), strict=True))
        further = {column: kept.columns.get(column, np.nan) for column in columns}
        parts.append(rows.assign(origin=name, term=kept.terms, **further))
    return pd.concat(parts, ignore_index=True)


def steps(values: Mapping[str, float], total: str) -> pd.DataFrame:
    """Return known parts and their sum, called `total`, as rows to draw: `term`, `estimate`."""
    return pd.DataFrame({"term": [*values, total], "estimate": [*values.values(), sum(values.values())]})
