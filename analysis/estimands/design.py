"""A design: which firms are compared, in which months; and what of a panel it picks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from analysis.errors import DesignError
from analysis.inference import Bools, Estimate, Floats, whole_number

if TYPE_CHECKING:
    from analysis.panel import Panel

Comparison = Literal["not_yet_closed", "spared_same_category", "low_exposure"]
Cluster = Literal["brand_group", "category", "firm"]
Found = TypeVar("Found")


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
    scale : {"ratio", "level"}
        Of the effects on closed firms: per cent of their sales, or money a firm and month.
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
    """

    comparison: Comparison = "low_exposure"
    post_from: int = 4
    post_to: int = 9
    base_months: int = 12
    anticipation: int = 2
    scale: Literal["ratio", "level"] = "ratio"
    cluster: Cluster = "brand_group"
    origin: str = "CN"
    destinations: tuple[str, ...] = ("EBY", "ALI")
    opened: tuple[str, ...] = ("WMT",)
    level: float = 0.95
    cut: float = 0.5
    low: float = 0.02

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        for name, value, allowed in (
            ("comparison", self.comparison, get_args(Comparison)),
            ("scale", self.scale, ("ratio", "level")),
            ("cluster", self.cluster, get_args(Cluster)),
        ):
            if value not in allowed:
                raise DesignError(
                    f"a design with {name} = {value!r} was asked for; there are {', '.join(allowed)}; choose one"
                )
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


@dataclass(frozen=True, eq=False)
class Picked:
    """What a design picks from a panel.

    Attributes
    ----------
    before, after, base : slice
        Window, the same months a year before, and base months: positions on the month axis.
    closed : bool[firm]
        Closed by the end of the window, with a dose of at least the cut.
    comparison : bool[firm]
        Compared with them.
    whole : bool[firm]
        Touched by no closure, now or later, in whole or in part.
    exposure : float64[firm]
        Mean over the window.
    months_closed : float64[firm]
        Share of the window's months in which the firm is closed.
    """

    before: slice
    after: slice
    base: slice
    closed: Bools
    comparison: Bools
    whole: Bools
    exposure: Floats
    months_closed: Floats


def pick(panel: Panel, design: Design) -> Picked:
    """Find the windows and the firms of a design in a panel; a design that the panel cannot carry is a DesignError."""
    first = panel.first_treated(cut=design.cut)
    if not np.isfinite(first).any():
        raise DesignError(
            f"effects of closures were asked for; none of {len(first)} firms is closed between {panel.months[0]} and "
            f"{panel.months[-1]} with a dose of {design.cut:g} or more; bring a panel that holds closures"
        )
    wave, length = int(first.min()), len(panel.months)
    start, stop = wave + design.post_from, wave + design.post_to + 1
    if start - 12 < 0 or stop > length or wave < design.base_months:
        raise DesignError(
            f"months {design.post_from} to {design.post_to} after the first wave in {panel.months[wave]}, a year "
            f"before them and {design.base_months} base months were asked for; the panel runs from {panel.months[0]} "
            f"to {panel.months[-1]}; narrow the window"
        )
    after, base = slice(start, stop), slice(wave - design.base_months, wave)
    exposure = panel.exposure(base=base, home=panel.platforms[0], cut=design.cut)[:, after].mean(axis=1)
    closed, whole = first < stop, panel.firms["closed_on"].isna().to_numpy()
    since = np.arange(start, stop) >= first[:, np.newaxis]
    comparison = _comparison(panel, design, first, whole, exposure, stop)
    return Picked(slice(start - 12, stop - 12), after, base, closed, comparison, whole, exposure, since.mean(axis=1))


def _comparison(panel: Panel, design: Design, first: Floats, whole: Bools, exposure: Floats, stop: int) -> Bools:
    if design.comparison == "spared_same_category":
        return whole & np.isin(panel.firms["category"], panel.firms["category"][first < stop])
    if design.comparison == "low_exposure":
        found = whole & (np.nan_to_num(exposure, nan=np.inf) < design.low)
        if not found.any():
            raise DesignError(
                f"firms with an exposure below {design.low:g} were asked for; the lowest of {whole.sum()} firms not "
                f"closed is {np.nanmin(exposure[whole], initial=np.inf):.3g}; raise `low`"
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


def clusters(panel: Panel, design: Design) -> Any:
    """Return the cluster of each firm, array[firm]."""
    return np.asarray(panel.firms.index if design.cluster == "firm" else panel.firms[design.cluster])


def attempt(make: Callable[..., Found], *asked: Any, **options: Any) -> tuple[Found | None, str]:
    """Return what a verb finds, or None and the reason of its refusal, so that a report goes on with what there is."""
    try:
        return make(*asked, **options), ""
    except DesignError as refusal:
        return None, str(refusal)


def marked(found: Estimate, panel: Panel, design: Design) -> Estimate:
    """Add the design and the digest of the panel, so that the estimate can be made again."""
    return replace(found, design=design, digest=panel.digest)
