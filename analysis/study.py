"""A study: an event, a panel, a design and, in a simulated market, the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate

from analysis import grades
from analysis.estimands.design import Design, in_words, written_out
from analysis.event import Event, read_event
from analysis.evidence import claims
from analysis.evidence.verdicts import NOT_GRADED, Verdict
from analysis.numbers import counted
from analysis.panel.map import Population
from analysis.simulated import closures
from analysis.untrusted import located

if TYPE_CHECKING:
    from analysis.panel import Panel

NOT_REPRESENTATIVE: Population = "not representative"  # of the sellers that claims refer to
DECLARED = {
    "census": "said to be a census",
    "sample": "said to be a sample with weights",
}  # others stay as is
# share of the origin's firms, and of their sales, that must be complete for a verdict on totals
ENOUGH = 0.9
PARAMETERS = (
    "comparison",
    "post_from",
    "post_to",
    "base_months",
    "anticipation",
    "cluster",
)  # of a design


def event_and_design(settings: Mapping[str, Any]) -> tuple[Event, Design]:
    """Return the event and the default design described by a notebook's parameters."""
    event = read_event(settings["event"])
    options: dict[str, Any] = {
        name: getattr(event, name) for name in ("origin", "destinations", "opened")
    }
    options |= {name: settings[name] for name in PARAMETERS if name in settings}
    return event, Design(**options, level=settings["conf"])


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """An event, a panel that covers it, and the design of the study.

    Attributes
    ----------
    event : Event
    panel : Panel
    design : Design
        The default design, from the parameters of the notebook.
    market : str
        Description of a simulated market, with its seed, or the file name of a simulated panel;
        empty if real.
    file : str
        File name of the panel; empty if it was simulated here.
    preset : str
        Preset of a market that was simulated here; empty if the panel is a file.
    truth : market.truth.Truth or None
        True values of that market.
    """

    event: Event
    panel: Panel
    design: Design
    market: str
    file: str = ""
    preset: str = ""
    truth: Any = None

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Study:
        """Open the study described by a notebook's parameters.

        Parameters
        ----------
        settings : mapping
            `event`; `panel_path` and `panel_map` (empty if the file has the columns of the schema);
            any of `PARAMETERS`; and `conf`, the level of the design. Paths are relative to the
            working directory, or else to the project's folder.

        Raises
        ------
        DesignError
            If the design is impossible, or the closures belong to another event.
        DataError
            If the event or the panel cannot be read.
        """
        from analysis.panel import read_panel

        event, design = event_and_design(settings)
        path = Path(settings["panel_path"])
        platforms = tuple(event.platforms)
        map = located("panel_map", settings["panel_map"]) if settings["panel_map"] else None
        panel = read_panel(
            located("panel_path", str(path)), map=map, home=event.home, platforms=platforms
        )
        return cls(
            event, panel, design, path.name if panel.provenance == "simulated" else "", path.name
        )

    def __post_init__(self) -> None:
        """Raise DesignError if the panel's home platform or closures do not match the event."""
        title = self.event.title
        first = self.event.waves[0]
        if self.panel.platforms[0] != self.event.home:
            raise DesignError(
                f"Cannot simulate an event with home platform {self.event.home}: the market closes"
                f" accounts on {self.panel.platforms[0]}; supply a panel for that event, or choose"
                " the event amazon_2021"
            )
        months = self.closed_by_month
        early = months[months.index < first]
        in_waves = months.index.isin(self.event.waves)
        by_month = ", ".join(
            f"{month} ({number})" for month, number in (months if early.empty else early).items()
        )
        if len(early):
            raise DesignError(
                f"Cannot study {title}: its first wave is in {first}, but {early.sum():,} firms"
                f" closed earlier, in {by_month}; leave them out of the panel, or add the month to"
                " `waves` in a copy of the event's file and pass it to --event"
            )
        if len(months) and not in_waves.any():
            raise DesignError(
                f"Cannot study {title}: its waves are in {', '.join(self.event.waves)}, but all"
                f" {months.sum():,} closures are in other months: {by_month}; pass another event to"
                " --event, or correct its `waves`"
            )

    def __repr__(self) -> str:
        return f"Study of {self.event.title}\n{self.panel}\n{self.design}"

    @property
    def tier(self) -> str:
        """Tier of the data: "panel" or "sim"."""
        if self.file:
            return "panel"
        return "sim"

    @property
    def mark(self) -> str:
        """Provenance of estimates from the panel: "simulated" or "estimate"."""
        if self.market:
            return "simulated"
        return "estimate"

    @property
    def closed_by_month(self) -> pd.Series:
        """Number of firms in the panel that were closed fully or in part, by month."""
        cohorts = self.panel.cohorts(cut=np.finfo(float).tiny)
        return cohorts.set_index(cohorts["month"].astype(str))["firms"]

    @property
    def own(self) -> str:
        """Printed name of firms from the event's origin."""
        return f"{self.event.origin_name} sellers"

    @property
    def home(self) -> str:
        """Printed name of the platform that closed accounts."""
        return self.event.platforms[self.event.home]

    @property
    def there(self) -> str:
        """Printed names of the platforms to which closed firms are said to have moved."""
        return " and ".join(self.event.platforms[code] for code in self.event.destinations)

    @property
    def words(self) -> dict[str, str]:
        """Printed names of the platforms and the origin, by code."""
        return {**self.event.platforms, self.event.origin: self.event.origin_name}

    @property
    def named(self) -> dict[str, str]:
        """Replacements for "Amazon" and "Chinese" in glossary entries."""
        return {"Amazon": self.home, "Chinese": self.event.origin_name}

    @property
    def aside(self) -> str:
        """Phrase that restricts a sentence to this panel.

        It is an empty string if the panel is representative.
        """
        apart = self.panel.population == NOT_REPRESENTATIVE
        if apart:
            return f"In this panel of {len(self.panel.firms):,} firms, not representative:"
        return ""

    def read(self, *files: str) -> list[str]:
        """Select, from the named data files, those that a report on this event uses.

        An event may define its own claims and threats, and the register's threats do not apply to a
        simulated market.
        """
        event = self.event
        has_rows = {"claims": None in event.claims.values(), "readings": bool(event.asked)}
        has_rows |= {"threats": None in event.threats.values() and not self.market}
        return [name for name in files if has_rows.get(name, True)]

    @property
    def like(self) -> tuple[str, int]:
        """Determinants of grades: the market's preset and the number of closed firms.

        The preset is empty for a panel from a file.
        """
        return self.preset, self.panel.count_closed(cut=self.design.cut)

    def graded(self, rows: pd.DataFrame, named: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Replace codes with printed names, and add grades from the design audit.

        `named` contains further names. For an Estimate that was refused, only the reason changes.
        The audit's windows begin when all firms are closed, so an estimate in an earlier window has
        no grade.
        """
        words = self.words | dict(named or {})
        if isinstance(rows, Estimate):
            return replace(rows, reason=written_out(rows.reason, words))
        grade = rows["id"].map(grades.worst(*self.like)["grade"]).fillna(NOT_GRADED)
        early = grades.too_early(rows, self.design.sample(self.panel))
        return in_words(rows.assign(grade=grade.mask(early, grades.TOO_EARLY)), words)

    def judge(
        self,
        question: str,
        effect: Estimate,
        *,
        margin: float | None = None,
        placebo: pd.DataFrame | None = None,
        **details: Any,
    ) -> Verdict | None:
        """Return the verdict on one of the event's questions, or None if the event does not ask it.

        Parameters
        ----------
        question : str
            Key of `readings` in the event's file.
        effect : Estimate
            One term, or a refusal.
        margin : float, optional
            In the reading's unit, set in advance.
        placebo : DataFrame, optional
            The last row, with `estimate`, `conf_low` and `conf_high`, should lie inside the margin.
        **details
            `kind`, `window` and `n`: kind of interval, period, and sample size as text; `unit` if
            not the reading's.
        """
        if question not in self.event.asked:
            return None
        sentence, share = self._known
        audited = grades.worst(*self.like)
        if effect.estimand in audited.index and not self.design.sample(self.panel).still_open:
            grade, preset, _ = audited.loc[effect.estimand]
            details |= {"grade": grade, "graded": closures(preset)}
        details |= {} if margin is None else {"margin": margin}
        details |= {} if placebo is None or margin is None else claims.checked(placebo, margin)
        if effect.refused:
            details["change"] = (
                "A panel that can answer the question; the report on this one says why it cannot."
            )
        if not np.isnan(effect.value[0]):
            details["estimate"] = float(effect.value[0])
        finding = claims.Finding(
            tier=self.tier,
            provenance=self.mark,
            market=self.market,
            interval=effect.bounds(effect.terms[0]),
            aside=self.aside,
            gaps=f"Only {sentence}, too few for a verdict on totals." if share < ENOUGH else "",
            **details,
        )
        return claims.judge(*self.event.asked[question], finding, event=self.event)

    @property
    def _known(self) -> tuple[str, float]:
        """Phrase on how many of the origin's firms have complete sales, and their share.

        The phrase is empty if all firms have complete sales. The share is that of firms, or that of
        their sales a year earlier if it is smaller.
        """
        panel = self.panel
        design = self.design.fitted(self.panel)
        if design is None:
            return "", 1.0
        wave = int(panel.first_treated(cut=design.cut).min())
        start = wave + design.post_from
        stop = wave + design.post_to + 1
        home = panel.sales[(panel.firms["origin"] == design.origin).to_numpy(), 0]
        before = home[:, start - 12 : stop - 12]
        after = home[:, start:stop]
        complete = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        if complete.all():
            return "", 1.0
        sold = np.nansum(before, axis=1)
        share = min(complete.mean(), sold[complete].sum() / (sold.sum() or 1.0))
        return (
            f"{complete.sum():,} of {len(complete):,} {self.own} have sales in all months compared",
            float(share),
        )

    @property
    def caveats(self) -> str:
        """Summary of a panel from a file: its size, population, gaps and doubtful data.

        It is empty for a panel simulated here.
        """
        if not self.file:
            return ""
        panel = self.panel
        size = f"{counted(len(panel.firms), 'firm')}, {panel.months[0]} to {panel.months[-1]}"
        parts = [
            size,
            DECLARED.get(panel.population, panel.population),
            *filter(None, [self._known[0]]),
        ]
        doubts = "; ".join(doubt.partition(":")[0] for doubt in panel.data_warnings)
        if doubts:
            warnings = f" Doubtful: {doubts}; the reports on it say under Data what to do."
        else:
            warnings = ""
        return f"Panel {self.file}: {', '.join(parts)}.{warnings}"

    @property
    def speaks(self) -> str:
        """Sentence on whether the panel supports a verdict on totals, and for which readings."""
        ledger = claims.readings(event=self.event)
        totals = {
            *ledger[ledger["totals"]][["claim_id", "reading"]]
            .fillna("")
            .itertuples(index=False, name=None)
        }
        readings = ", ".join(
            " ".join(pair).strip() for pair in self.event.asked.values() if pair in totals
        )
        on = f"a verdict on totals ({readings or 'no reading is about them'})"
        panel = f"Population: {self.panel.population}; the panel"
        complete, share = self._known
        if self.market:
            return f"{panel} is simulated, so it supports no verdict on a claim."
        if not self.aside:
            if share < ENOUGH:
                return f"{panel} cannot support {on}: only {complete}."
            return f"{panel} supports {on}."
        return (
            "Population: not representative of all sellers, or not stated; the panel cannot"
            f" support {on}. Write `population: census` in its map if it has all sellers, or"
            " `population: sample` and add a column weight."
        )

    @property
    def lines(self) -> list[str]:
        """Sentences on the event's closures, and on gaps and doubtful data in the panel."""
        months = self.closed_by_month
        other = months[~months.index.isin(self.event.waves)]
        apart = ", ".join(f"{month} ({number})" for month, number in other.items())
        event = (
            f"Event: {self.event.title}{', as simulated' if self.market else ''}; firms closed, in"
            f" whole or part, in its waves: {months.sum() - other.sum():,}, in other months:"
            f" {apart or 'none'}."
        )
        sentence, share = self._known
        gaps = (
            f"{sentence}, {share:.0%} of firms or of their sales; firms with an empty cell in these"
            " are left out."
        )
        return [
            event,
            *([gaps] if sentence else []),
            *(f"Doubtful: {doubt}" for doubt in self.panel.data_warnings),
        ]

    @property
    def line(self) -> str:
        """Text of `lines` for a report's data section.

        It names the population of a panel from a file.
        """
        population = f"The panel is {DECLARED.get(self.panel.population, self.panel.population)}."
        return " ".join([*self.lines, *([population] if self.file else [])])

    def true(self) -> dict[str, float]:
        """Return the true values of all estimands in the design's window, by id.

        The result is empty if they are not known.
        """
        if self.truth is None:
            return {}
        window = self.design.post_from, self.design.post_to
        values = {
            "placebo": 0.0,
            "mechanical": self.truth.mechanical(*window),
        }  # nothing happened a year earlier
        return values | dict(self.truth.scalars(*window))
