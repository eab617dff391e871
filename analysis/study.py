"""What a panel can answer about an event: first in one paragraph, then in tables.

A :class:`Study` is an event, a panel, a design and, in a simulated market, the truth. Its
`paragraph` says what the panel contains and which verdicts it supports. The tables show what it
contains (:func:`contents`, :func:`sales_by_year`), which windows it allows
(:func:`possible_windows`) and what a design could estimate from it (:func:`estimable`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError

from analysis import data, grades
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import FEWEST_BASE, LATEST, Design, with_printed_names, written_out
from analysis.estimands.samples import LEFT, USED, sample_flow
from analysis.estimate import OF_CENSUS, Estimate
from analysis.event import Event, read_event
from analysis.evidence import claims
from analysis.evidence.verdicts import NOT_GRADED, Verdict
from analysis.numbers import number_of
from analysis.panel.doubts import falls
from analysis.panel.map import Population
from analysis.simulated import closures
from analysis.untrusted import located

if TYPE_CHECKING:
    from analysis.estimands.design import Sample
    from analysis.panel import Panel
    from analysis.panel.panel import Doubt

Section = tuple[str, pd.DataFrame]  # a title and a table
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
ASKED = ("E1a", "E2a", "E2b", "E3g_seen", "E4a_sales")  # what a panel is for
BY_PLACEBO = {  # terms of `smallest_effect`
    "fall": "fall detected in four of five draws, by a test calibrated to this panel",
    "fall, usual": "fall detected in four of five draws, by an interval clustered by brand group",
    "size, usual": "false findings of the interval clustered by brand group",
}
GROUPS = ("closed", "low exposure", "exposed")  # of firms; the last is all others
QUANTILES = ("least", "quarter", "half", "three quarters", "most")


def event_and_design(settings: Mapping[str, Any]) -> tuple[Event, Design]:
    """Return the event and the default design panel_sentence by a notebook's parameters."""
    event = read_event(settings["event"])
    options = {name: settings[name] for name in PARAMETERS if name in settings}
    of_event: dict[str, Any] = {"origin": event.origin, "destinations": event.destinations}
    return event, Design(**of_event, **options, level=settings["conf"])


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
        """Open the study panel_sentence by a notebook's parameters.

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
        if self.panel.platforms[0] != self.event.home:
            raise DesignError(
                f"Cannot study an event with home platform {self.event.home}: the panel's is"
                f" {self.panel.platforms[0]}; read or simulate the panel for this event"
            )
        self._refuse_no_origin()
        months = self.closed_by_month
        waves = self.event.waves
        early = months[months.index < waves[0]]
        if len(early):
            raise DesignError(
                f"Cannot study {self.event.title}: its first wave is in {waves[0]}, but"
                f" {early.sum():,} firms closed earlier, in {_listed(early)}; leave them out of the"
                " panel, or add the month to `waves` in a copy of the event's file and pass it to"
                " --event"
            )
        if len(months) and not months.index.isin(waves).any():
            raise DesignError(
                f"Cannot study {self.event.title}: its waves are in {', '.join(waves)}, but all"
                f" {months.sum():,} closures are in other months: {_listed(months)}; pass another"
                " event to --event, or correct its `waves`"
            )

    def _refuse_no_origin(self) -> None:
        """Raise DesignError if no firm is of the event's origin, with the line to write."""
        code = self.event.origin
        count = self.panel.firms["origin"].value_counts()
        if code in count:
            return
        of_closed = {*self.panel.firms["origin"][self.panel.firms["closed_on"].notna()]}
        codes = {name: code if name in of_closed else "other" for name in count.index}
        line = ", ".join(f'"{name}": {to}' for name, to in codes.items())
        raise DesignError(
            f"Cannot study {self.event.title}: no firm is of its origin {code}, but of"
            f" {_listed(count)}; write `origins: {{{line}}}` in the panel's map, with {code} for"
            f" all that are {self.event.origin_name}"
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
    def period(self) -> str:
        """Months of the window and of the year before that they are compared with."""
        sample = self.design.sample(self.panel)
        return f"{sample.window}, on {sample.year_ago}"

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
        simulated market. Its readings are judged by the rules of the event that ships if it has no
        table of them.
        """
        event = self.event
        has_rows = {"claims": None in event.claims.values(), "readings": bool(event.asked)}
        has_rows |= {"threats": None in event.threats.values() and not self.market}
        used = [name for name in files if has_rows.get(name, True)]
        if event.record:
            return used
        return [f"{data.SHIPPED}/{name}" if name == "readings" else name for name in used]

    @property
    def threats(self) -> pd.DataFrame:
        """Other events in the months of the closures."""
        return claims.threat_register(self.event)

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
        if self.doubts:
            return with_printed_names(rows.assign(grade=grades.DOUBTED), words)
        early = grades.too_early(rows, self.design.sample(self.panel))
        return with_printed_names(rows.assign(grade=grade.mask(early, grades.TOO_EARLY)), words)

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
            `n`, the sample size as text, and `unit`, if not the reading's. The kind of interval
            and the period are those of the effect and the design.
        """
        if question not in self.event.asked:
            return None
        if not effect.refused:
            details = {"kind": kind_of_interval(effect), "window": self.period} | details
        sentence, share = self._known
        audited = grades.worst(*self.like)
        if effect.estimand in audited.index and not self.design.sample(self.panel).still_open:
            grade, preset, _ = audited.loc[effect.estimand]
            details |= {"grade": grade, "graded": closures(preset)}
        details |= {} if margin is None else {"margin": margin}
        if placebo is not None and margin is not None:
            details |= claims.placebo_check(placebo, margin)
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
            doubts=self._doubts_on(question),
            **details,
        )
        return claims.judge(*self.event.asked[question], finding, event=self.event)

    @property
    def doubts(self) -> list[Doubt]:
        """What is doubtful in the panel and not accepted by its map."""
        return [doubt for doubt in self.panel.doubts if not doubt.accepted]

    def _doubts_on(self, question: str) -> str:
        """Return the names of the doubts on which the answer to a question rests.

        Sales on other platforms matter only for where closed firms went.
        """
        home = ("", self.panel.platforms[0])
        elsewhere = question.endswith("elsewhere")
        return ", ".join(each.name for each in self.doubts if elsewhere or each.platform in home)

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
        size = f"{number_of(len(panel.firms), 'firm')}, {panel.months[0]} to {panel.months[-1]}"
        parts = [
            size,
            DECLARED.get(panel.population, panel.population),
            *filter(None, [self._known[0]]),
        ]
        sentences = [f"Panel {self.file}: {', '.join(parts)}."]
        if self.doubts:
            found = "; ".join(doubt.found for doubt in self.doubts)
            sentences.append(f"Doubtful: {found}; the reports on it say under Data what to do.")
        sentences += [str(doubt) for doubt in panel.doubts if doubt.accepted]
        return " ".join(sentences)

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
        event = (
            f"Event: {self.event.title}{', as simulated' if self.market else ''}; firms closed, in"
            f" whole or part, in its waves: {months.sum() - other.sum():,}, in other months:"
            f" {_listed(other) or 'none'}."
        )
        sentence, share = self._known
        gaps = (
            f"{sentence}, {share:.0%} of firms or of their sales; firms with an empty cell in these"
            " are left out."
        )
        return [
            event,
            *([gaps] if sentence else []),
            *map(str, self.panel.doubts),
        ]

    @property
    def sentence(self) -> str:
        """One sentence on what the panel contains, with printed names."""
        return panel_sentence(self.panel, self.words)

    @property
    def answer(self) -> str:
        """What the panel can answer, and what not and why, for the window nearest to the design's.

        Each effect that it can show has its smallest size that would be seen in four of five
        samples.
        """
        design = self.design.fitted(self.panel)
        if design is None:
            return "It can answer nothing; the last line says why."
        rows = with_printed_names(estimate_all(self.panel, design, ASKED).rows, self.words)
        able = np.isfinite(rows["std_error"].to_numpy(float))
        seen = rows[able].apply("{label} ({mde:.3g} {unit})".format_map, axis=1)
        why = rows[~able].apply("{label}: {reason}".format_map, axis=1)
        can = "It can answer, of effects at least as large as in brackets: " + "; ".join(seen)
        cannot = "It cannot answer: " + "; ".join(why)
        parts = [can] * bool(len(seen)) + [cannot] * bool(len(why))
        if self.doubts:
            names = ", ".join(doubt.name for doubt in self.doubts)
            parts.append(f"Verdicts that rest on what is doubtful ({names}) have low confidence")
        return " ".join([*(f"{part}." for part in parts), self.speaks])

    @property
    def paragraph(self) -> str:
        """Text on what the panel contains, and its gaps and doubts."""
        return " ".join([panel_sentence(self.panel), *self.lines])

    @property
    def line(self) -> str:
        """Text of `lines` for a report's data section.

        It names the population of a panel from a file.
        """
        population = f"The panel is {DECLARED.get(self.panel.population, self.panel.population)}."
        return " ".join([*self.lines, *([population] if self.file else [])])

    def by_firm(self) -> pd.DataFrame:
        """Tabulate what each firm sold a year before the window and in it, one row a firm.

        Columns: `origin`, `category`, `brand_group`; `group` (one of `GROUPS`); `exposure`, per
        cent of the category; `before` and `after`, mean monthly sales on the home platform, and
        `before_away` and `after_away` on all others; and `growth` of `before`, per cent. Firms with
        unknown sales on the home platform in either year are left out.
        """
        sample = self.design.sample(self.panel)
        months = sample.after.stop - sample.after.start
        before, after = sample.sums / months
        rows = self.panel.firms[["origin", "category", "brand_group"]].assign(
            group=np.select([sample.closed, sample.comparison], GROUPS[:2], GROUPS[2]),
            exposure=100 * sample.exposure,
            before=before[:, 0],
            after=after[:, 0],
            before_away=before[:, 1:].sum(axis=1),
            after_away=after[:, 1:].sum(axis=1),
        )
        sold = rows["before"].where(rows["before"] > 0)
        return rows.assign(growth=100 * (rows["after"] / sold - 1))[sample.observed(1)]

    def by_month(self, group: pd.Series, *, platform: str = "") -> pd.DataFrame:
        """Add up monthly sales by group of firms, for a graph.

        Parameters
        ----------
        group : Series
            Name of each firm's group, by firm; firms without one are left out.
        platform : str
            Code of the platform; the home platform by default.

        Returns
        -------
        DataFrame
            `month` (its first day), `group`, `sales`, and `index`, per cent of the group's mean in
            the base months. Unknown sales count as none.
        """
        sample = self.design.sample(self.panel)
        at = self.panel.platforms.index(platform or self.panel.platforms[0])
        sales = pd.DataFrame(
            np.nan_to_num(self.panel.sales[:, at]),
            index=self.panel.firms.index,
            columns=self.panel.months.to_timestamp().rename("month"),
        )
        sums = sales.groupby(group.reindex(sales.index).rename("group")).sum()
        index = 100 * sums.div(sums.iloc[:, sample.base].mean(axis=1), axis=0)
        rows = sums.T.reset_index().melt("month", value_name="sales")
        return rows.assign(index=index.to_numpy().ravel())

    def since_closure(self, *, reach: int = 12) -> pd.DataFrame:
        """Return closed firms' sales by month since their own closure, for a graph.

        Returns
        -------
        DataFrame
            `firm`, `month` (from `-reach` to `reach`, as far as the panel goes) and `index`, sales
            on the home platform in per cent of the firm's mean in the base months.
        """
        sample = self.design.sample(self.panel)
        sales = sample.home
        base = np.nanmean(sales[:, sample.base], axis=1)
        firms = np.flatnonzero(sample.closed & (base > 0))
        month = np.arange(sales.shape[1]) - sample.first[firms, np.newaxis]
        wide = {
            "firm": np.repeat(self.panel.firms.index[firms], sales.shape[1]),
            "month": month.ravel().astype(int),
            "index": (100 * sales[firms] / base[firms, np.newaxis]).ravel(),
        }
        return pd.DataFrame(wide).query("abs(month) <= @reach").reset_index(drop=True)

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


def kind_of_interval(effect: Estimate) -> str:
    """Return the kind of an effect's interval, in words.

    A set consists of the limits of an interval and of an assumed part. An exact value has no level.
    """
    if effect.reason == OF_CENSUS:
        return OF_CENSUS
    if np.isnan(effect.value).any():
        errors = effect.interval.partition(", ")[2]
        return (
            f"bounds from {effect.level:.0%} limits, {errors}, and the common part, which is"
            " assumed"
        )
    return f"{effect.level:.0%} {effect.interval}"


def _listed(months: pd.Series) -> str:
    """List numbers of firms by month."""
    return ", ".join(f"{month} ({number})" for month, number in months.items())


# What a panel contains


def panel_sentence(panel: Panel, names: Mapping[str, str] | None = None) -> str:
    """Describe a panel in one sentence.

    `names` maps codes of platforms and origins to the names to print.
    """
    words = dict(names or {})
    counts = panel.firms["origin"].value_counts()
    origins = ", ".join(
        f"{number:,} {words.get(str(code), code)}" for code, number in counts.items()
    )
    platforms = ", ".join(words.get(code, code) for code in panel.platforms)
    unknown = np.isnan(panel.sales)
    dropped = panel.dropped[panel.dropped["rule"] == "left out: no known sales in any month"]
    parts = [
        (
            f"{number_of(len(panel.firms), 'firm')} ({origins}) on {platforms},"
            f" {panel.months[0]} to {panel.months[-1]}, in {panel.unit}, {panel.provenance}"
        ),
        _closed_when(panel),
        (
            f"{_percent(panel.sales[~unknown] == 0)} of the known sales of a firm, platform and"
            f" month are 0, {_percent(unknown)} are not known"
        ),
        *(
            f"{count:,} firms {rule}"
            for rule, count in zip(dropped["rule"], dropped["count"], strict=True)
        ),
    ]
    return "; ".join(parts) + "."


def _closed_when(panel: Panel) -> str:
    """Return how many firms were closed, and in which months."""
    waves = panel.cohorts(cut=Design.cut)
    firms = f"{number_of(int(waves['firms'].sum()), 'firm')} closed"
    if waves.empty:
        return firms
    return f"{firms} in {number_of(len(waves), 'month')} from {waves['month'].iloc[0]}"


def contents(panel: Panel) -> list[Section]:
    """Tabulate what a panel contains: its size, its platforms, what was left out, its closures."""
    return [
        ("The panel", pd.DataFrame(_sizes(panel), columns=["what", "found"])),
        ("Platforms", _platforms(panel)),
        ("Added up, linked and left out", panel.dropped),
        ("Closures by wave", _closures_by_wave(panel)),
        ("Months from closed_on to the largest fall of sales at home", _lags(panel)),
    ]


def _sizes(panel: Panel) -> Iterator[tuple[str, str]]:
    """Yield the numbers of firms, months and cells, by name."""
    sales = panel.sales
    firms = panel.firms
    unknown = np.isnan(sales)
    gaps = unknown.any(axis=(1, 2)).sum()
    yield "firms", f"{len(firms):,}"
    for name, number in firms["origin"].value_counts().items():
        yield f"  of origin {name}", f"{number:,}"
    yield "brand groups", f"{firms['brand_group'].nunique():,}"
    yield "categories", f"{firms['category'].nunique():,}"
    yield "firms with a risk", f"{firms['risk'].notna().sum():,}"
    yield "home platform", panel.platforms[0]
    yield "months", f"{len(panel.months)}, {panel.months[0]} to {panel.months[-1]}"
    unique = "none, since a file with any cannot be read"
    yield "repeated keys (firm or account, platform, month)", unique
    yield "months without any row", f"{unknown.all(axis=(0, 1)).sum()}"
    yield "cells (firm, platform, month)", f"{sales.size:,}"
    yield "  zero", f"{(sales == 0).sum():,} ({_percent(sales == 0)})"
    yield "  unknown", f"{unknown.sum():,} ({_percent(unknown)}), in {gaps:,} firms"
    yield "provenance and unit", f"{panel.provenance}, {panel.unit}"
    yield "digest", panel.digest[:16]


def _platforms(panel: Panel) -> pd.DataFrame:
    """Count firms, months, zeros and gaps by platform."""
    sales = panel.sales
    unknown = np.isnan(sales)
    sold = sales.sum(axis=(0, 2), where=~unknown)
    covered = (~unknown.all(axis=0)).sum(axis=1)
    return pd.DataFrame(
        {
            "platform": list(panel.platforms),
            "firms that sold": (sales > 0).any(axis=2).sum(axis=0),
            "months covered": [f"{months} of {len(panel.months)}" for months in covered],
            "% of sales": 100 * sold / sold.sum(),
            "% zeros": 100 * (sales == 0).mean(axis=(0, 2)),
            "unknown": unknown.sum(axis=(0, 2)),
        }
    )


def _closures_by_wave(panel: Panel) -> pd.DataFrame:
    """Count the firms and brand groups closed by wave, in part, and after the last month."""
    cut = Design.cut
    waves = panel.cohorts(cut=cut)
    is_closed = np.isfinite(panel.first_treated(cut=np.finfo(float).tiny))
    in_part = panel.firms[is_closed & (panel.firms["dose"] < cut)]
    rows = [
        *zip(waves["month"].astype(str), waves["firms"], waves["brand_groups"], strict=True),
        (f"in part, a dose below {cut:g}", len(in_part), in_part["brand_group"].nunique()),
        ("after the last month: not closed within the panel", panel.censored, np.nan),
    ]
    columns = ["closed", "firms", "brand groups"]
    return pd.DataFrame([row for row in rows if row[1]], columns=columns)


def _lags(panel: Panel) -> pd.DataFrame:
    """Count closed firms by the months from `closed_on` to the largest fall of their home sales."""
    lag = falls(panel)["lag"]
    words = lag.map("{:+.0f}".format).where(lag.notna(), "none by half")
    return words.groupby(lag.fillna(np.inf)).agg(months="first", firms="size")


def sales_by_year(panel: Panel) -> list[Section]:
    """Tabulate home sales by year, to reveal wrong exchange rates and incomplete files."""
    home = np.nansum(panel.sales[:, 0], axis=0) / 1e6
    year = panel.months.year
    rows = pd.DataFrame({"year": year.astype(str), "months": 1, f"million {panel.unit}": home})
    return [(f"Sales on {panel.platforms[0]} by year", rows.groupby("year").sum().reset_index())]


# What a panel can answer


def possible_windows(panel: Panel, design: Design) -> list[Section]:
    """Tabulate the windows that a panel allows, including the one nearest to the design's.

    Return no table if no firm is closed.
    """
    first_treated = panel.first_treated(cut=design.cut)
    if not np.isfinite(first_treated).any():
        return []
    wave = int(first_treated.min())
    since = len(panel.months) - wave
    bases = "none: too few before the wave"
    if wave >= FEWEST_BASE:
        bases = f"{FEWEST_BASE} to {wave}"
    first = max(0, 12 - wave)
    last = min(LATEST, since - 1)
    allowed = "none: each needs one a year earlier"
    if first <= last:
        allowed = f"{first} to {last}"
    fitted = design.fitted(panel)
    before = number_of(wave, "month")
    rows = [
        (
            "first wave",
            f"{panel.months[wave]}, after {before}; {since} since then",
        ),
        ("base_months can be", bases),
        ("months of the window can be", allowed),
        ("requested", design.given),
        ("nearest that fits", fitted.given if fitted else "none"),
    ]
    return [("Window", pd.DataFrame(rows, columns=["what", "found"]))]


def estimable(panel: Panel, design: Design) -> list[Section]:
    """Tabulate the firms that a design uses, their exposure and the smallest detectable effects.

    No estimate is included. For each estimand: whether it can be estimated or why not, the smallest
    effect detected with a power of 80 per cent (from its standard error; for E1a also from placebo
    closures of firms not closed), the firms used and those left out, with reasons, and the grade of
    its method. Raise DesignError if no firm is closed, or if the panel is too short for the design.
    """
    sample = design.sample(panel)
    placebos = smallest_effect(panel, design)  # first, since it needs the most memory
    rows = estimate_all(panel, design).rows
    able = rows[np.isfinite(rows["std_error"])]
    used = sample_flow(panel, design)
    exposure = "Exposure of firms that were not closed, per cent of their category"
    smallest = "Smallest effect on closed firms (E1a), from placebo closures of other firms"
    return [
        ("Firms and months compared", pd.DataFrame(_compared(sample), columns=["what", "found"])),
        (exposure, _exposed(sample)),
        *_estimability(rows),
        ("Firms used and left out, each once", used),
        ("What these columns count: the first three are used", _meanings(used)),
        (smallest, _smallest(placebos)),
        ("Grade of each method, the worst in panels like this one", _graded(able, sample)),
    ]


def _compared(sample: Sample) -> Iterator[tuple[str, int | str]]:
    """Yield the numbers of firms and the months that a design compares, by name."""
    yield "closed by the end of the window", int(sample.closed.sum())
    if sample.still_open:
        yield "still open when the window begins, so it has no grade", sample.still_open
    yield f"compared with them ({sample.design.comparison})", int(sample.comparison.sum())
    yield "not closed, not even in part", int(sample.never_closed.sum())
    yield "base months, for shares and exposure", sample.months(sample.base)
    yield "months before", sample.year_ago
    yield "window", sample.window
    if sample.in_part:
        yield "years with missing months", sample.in_part


def _exposed(sample: Sample) -> pd.DataFrame:
    """Count never-closed firms of low exposure, and summarise their exposure, by origin."""
    low = 100 * sample.design.low
    percent = pd.Series(100 * sample.exposure[sample.never_closed])
    origin = sample.panel.firms["origin"][sample.never_closed].to_numpy()
    by_origin = percent.groupby(origin, sort=False)
    below = {f"below {low:g}": lambda exposure: (exposure < low).sum()}
    quantiles = {
        name: by_origin.quantile(at)
        for name, at in zip(QUANTILES, np.linspace(0, 1, 5), strict=True)
    }
    counts = by_origin.agg(firms="count", **below)
    return counts.assign(**quantiles).rename_axis("origin").reset_index()


def _estimability(rows: pd.DataFrame) -> Iterator[Section]:
    """Yield what can be estimated, by what errors are clustered, and why the rest cannot be."""
    able = np.isfinite(rows["std_error"].to_numpy(float))
    why = rows["reason"].replace("", "no standard error can be computed").mask(able)
    number, reasons = pd.factorize(why)
    effects = pd.DataFrame(
        {
            "estimand": rows["label"],
            "firms": rows["n"].map("{:,.0f}".format).where(able, ""),
            "smallest effect seen": rows["mde"],
            "unit": rows["unit"],
            "estimable": [f"no ({place})" if place else "estimable" for place in number + 1],
            "id": rows["id"],
        }
    )
    yield "What can be estimated", effects
    by_interval = rows[able].groupby("interval")["id"].agg(", ".join).reset_index()
    yield "By what errors are clustered", by_interval
    places = [f"({place})" for place in range(1, len(reasons) + 1)]
    yield "Why not", pd.DataFrame({"no": places, "reason": reasons})


def _meanings(used: pd.DataFrame) -> pd.DataFrame:
    """Return the meaning of each column of a sample flow."""
    words = [(name, meaning) for name, meaning in (USED | LEFT).items() if name in used]
    return pd.DataFrame(words, columns=["column", "firms"])


def _smallest(placebos: Estimate) -> pd.DataFrame:
    if placebos.refused:
        return pd.DataFrame({"what": ["not estimable"], "found": [placebos.reason]})
    rows = placebos[[*BY_PLACEBO]].rows
    draws = f"{placebos.counts['draws']} draws, within {placebos.details['within']}"
    return pd.DataFrame(
        {
            "what": BY_PLACEBO.values(),
            "per cent": rows["estimate"],
            "Monte Carlo error": rows["std_error"],
            "placebo closures": draws,
        }
    )


def _graded(rows: pd.DataFrame, sample: Sample) -> pd.DataFrame:
    closed = sample.panel.count_closed(cut=sample.design.cut)
    audited = grades.worst("", closed).reindex(rows["id"])
    early = grades.too_early(rows, sample).to_numpy()
    return pd.DataFrame(
        {
            "estimand": rows["label"].to_numpy(),
            "grade": audited["grade"].fillna(NOT_GRADED).mask(early, grades.TOO_EARLY),
            "worst in": audited["preset"].mask(early).map(closures, "ignore").fillna(""),
            "id": audited.index,
        }
    )


# Tables as text


def tables_as_text(sections: Iterable[Section]) -> str:
    """Format tables as text, with its title above each.

    Text is left-aligned and numbers are right-aligned.
    """
    return "\n\n".join(f"{title}\n{_table(frame)}" for title, frame in sections)


def _table(frame: pd.DataFrame) -> str:
    columns = []
    for name in frame:
        cells = [str(name), *map(_cell, frame[name])]
        if pd.api.types.is_numeric_dtype(frame[name]):
            justify = str.rjust
        else:
            justify = str.ljust
        columns.append([justify(cell, max(map(len, cells))) for cell in cells])
    if len(frame):
        return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))
    return "none"


def _cell(value: object) -> str:
    if isinstance(value, float) and np.isnan(value):
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)


def _percent(marked: np.ndarray) -> str:
    return f"{100 * marked.mean():.1f} %"
