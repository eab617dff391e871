"""Estimates of the project: with the design, panel and months behind them, and marked numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import fewtreated.estimate

from analysis.numbers import MARKS, quantity, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Result = fewtreated.estimate.Estimate  # of the library's estimators
OF_CENSUS = "exact, for a census has all firms"  # the kind of an interval whose ends are the value


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Estimate(Result):
    """Estimate with its origin, whose numbers are written with the mark of their provenance.

    Attributes
    ----------
    design, digest : Design and str
        Design and panel digest, to reproduce the estimate.
    months : str
        Months of the window, as text.
    provenance : {"estimate", "simulated"}
        Whether the data are simulated.
    """

    design: Any = None
    digest: str = ""
    months: str = ""
    provenance: str = "estimate"

    @classmethod
    def of(cls, result: Result, **changes: Any) -> Estimate:
        """Turn a result of the library into an estimate of the project; `changes` are fields."""
        known = {field.name: getattr(result, field.name) for field in fields(result)}
        return cls(**(known | changes))

    def plot(self, *, title: str = "", xlabel: str = "", ax: Axes | None = None) -> Axes:
        """Plot the terms with their intervals; the title of a simulated estimate says so."""
        title = title or self.estimand
        if self.provenance == "simulated":
            title += " (simulated)"
        return super().plot(title=title, xlabel=xlabel, ax=ax)

    @property
    def _mark(self) -> str:  # type: ignore[override]
        return f" {MARKS[self.provenance]}"

    def _number(self, value: float) -> str:
        return quantity(value, self.unit)

    def _range(self, low: float, high: float) -> str:
        return span(low, high, self.unit)


def refusal(reason: str) -> Estimate:
    """Build a refusal: an Estimate with a reason but no values."""
    return Estimate.of(fewtreated.estimate.refusal(reason))
