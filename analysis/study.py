"""A study: an event, a panel and a design, the truth where it is known; and what a panel holds and could show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import grades
from analysis.config import Event, Population, located, read_event
from analysis.errors import DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.closed_firms import smallest_effect
from analysis.estimands.design import FEWEST_BASE, LATEST, Design, attempt, in_words, written_out
from analysis.estimands.used import LEFT, USED, used_and_left_out
from analysis.estimate import Estimate
from analysis.evidence import claims
from analysis.market.parameters import market_named, named
from analysis.verdicts import Verdict

if TYPE_CHECKING:
    from analysis.estimands.design import Sample
    from analysis.market.truth import Truth
    from analysis.panel import Panel

Sections = list[tuple[str, pd.DataFrame]]
NOT_REPRESENTATIVE: Population = "not representative"  # of the sellers that claims are about
SAID = {"census": "said to be a census", "sample": "said to be a sample with weights"}  # of a population, else itself
ENOUGH = 0.9  # of the origin's firms, and of their sales, that must be known for a word on totals
QUANTILES = ("least", "quarter", "half", "three quarters", "most")
ASKED = ("comparison", "post_from", "post_to", "base_months", "anticipation", "cluster")  # of a design, by a notebook


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """One panel, and how it is looked at.

    Attributes
    ----------
    event : Event
    panel : Panel
    design : Design
        The default design, from the parameters of the notebook.
    tier : str
        "panel" or "sim".
    market : str
        Closures and seed of a simulated market in words, or the name of the file of a simulated panel; empty if real.
    truth : Truth or None
        Known of a market that was simulated here.
    file : str
        Name of the file of a panel that was brought; empty if there is none.
    """

    event: Event
    panel: Panel
    design: Design
    tier: str
    market: str
    truth: Truth | None
    file: str = ""

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Study:
        """Open the panel that the parameters of a notebook name, or simulate their market where they name none.

        Parameters
        ----------
        settings : mapping
            `event`; `panel_path` and `panel_map` (empty: the file has the schema's own columns), or `sim_preset` and
            `seed`; and of `Design` the fields `ASKED` where they are parameters, and `conf`, its level. A path goes
            from the working directory, or from the project's folder where there is no such file.

        Raises
        ------
        DesignError
            If the design cannot be, the market is of another event, or closures are not those of the event.
        DataError
            If the event or the panel cannot be read.
        """
        event, path = read_event(settings["event"]), str(settings.get("panel_path", ""))
        tier = "panel" if path else "sim"
        its: dict[str, Any] = {name: getattr(event, name) for name in ("origin", "destinations", "opened")}
        its |= {name: settings[name] for name in ASKED if name in settings}
        design = Design(**its, level=settings["conf"])
        if path:
            from analysis.panel import read_panel

            platforms = tuple(event.platforms)
            map = located("panel_map", settings["panel_map"]) if settings["panel_map"] else None
            panel = read_panel(located("panel_path", path), map=map, home=event.home, platforms=platforms)
            file = Path(path).name
            study = cls(event, panel, design, tier, file if panel.provenance == "simulated" else "", None, file)
        else:
            from analysis.market import simulate

            panel, truth = simulate(settings["sim_preset"], settings["seed"])
            study = cls(event, panel, design, tier, market_named(settings["sim_preset"], settings["seed"]), truth)
        study._refuse_other_event()
        return study

    def _refuse_other_event(self) -> None:
        """Refuse another home, closures before the event's first wave, which would date it, and none in any wave."""
        title, first = self.event.title, self.event.waves[0]
        if self.panel.platforms[0] != self.event.home:
            raise DesignError(
                f"the event with home platform {self.event.home} was asked for in a simulated market, which closes "
                f"accounts on {self.panel.platforms[0]}; bring a panel of the event, or choose amazon_2021"
            )
        months = self.closed_by_month
        early, in_waves = months[months.index < first], months.index.isin(self.event.waves)
        found = ", ".join(f"{month} ({number})" for month, number in (months if early.empty else early).items())
        if len(early):
            raise DesignError(
                f"closures from {first} on were asked for, the first wave of the event ({title}); found "
                f"{early.sum():,} firms closed before it: {found}; leave them out of the panel, or add the month to "
                "`waves` in a copy of the event's file and name it with --event"
            )
        if len(months) and not in_waves.any():
            raise DesignError(
                f"closures in the waves of the event ({title}; {', '.join(self.event.waves)}) were asked for; found "
                f"{months.sum():,} firms closed in other months only: {found}; name the event of this panel with "
                "--event, or correct its `waves`"
            )

    def __repr__(self) -> str:
        return f"Study of {self.event.title}\n{self.panel}\n{self.design}"

    @property
    def mark(self) -> str:
        """Provenance of what is estimated from the panel: "simulated" or "estimate"."""
        return "simulated" if self.market else "estimate"

    @property
    def closed_by_month(self) -> pd.Series:
        """Number of firms closed within the panel, in whole or in part, by month."""
        cohorts = self.panel.cohorts(cut=np.finfo(float).tiny)
        return cohorts.set_index(cohorts["month"].astype(str))["firms"]

    @property
    def own(self) -> str:
        """Firms of the origin that is asked about, in print."""
        return f"{self.event.origin_name} firms"

    @property
    def home(self) -> str:
        """The platform that closed accounts, in print."""
        return self.event.platforms[self.event.home]

    @property
    def there(self) -> str:
        """The platforms to which closed firms are said to have gone, in print."""
        return " and ".join(self.event.platforms[code] for code in self.event.destinations)

    @property
    def words(self) -> dict[str, str]:
        """Names in print of the codes of platforms and of the origin."""
        return {**self.event.platforms, self.event.origin: self.event.origin_name}

    @property
    def named(self) -> dict[str, str]:
        """What the event has in place of the names in the glossary, which are those of the event on record."""
        return {"Amazon": self.home, "Chinese": self.event.origin_name}

    @property
    def aside(self) -> str:
        """Of which firms alone it speaks where the panel does not stand for others; else empty."""
        apart = self.panel.population == NOT_REPRESENTATIVE
        return f"In this panel of {len(self.panel.firms):,} firms, not representative:" if apart else ""

    def read(self, *files: str) -> list[str]:
        """Leave those out of some files of `data` that a report of this event says nothing from.

        What the event holds itself is of no file, and nothing simulated met the threats of the register.
        """
        event = self.event
        said = {"claims": None in event.claims.values(), "readings": bool(event.asked)}
        said |= {"threats": None in event.threats.values() and not self.market}
        return [name for name in files if said.get(name, True)]

    @property
    def like(self) -> tuple[str, int]:
        """Preset of the market, empty for a panel that was brought, and closed firms: what grades go by."""
        return self.truth.market.preset if self.truth else "", self.panel.count_closed(cut=self.design.cut)

    def graded(self, rows: pd.DataFrame, named: Mapping[str, str] | None = None) -> pd.DataFrame:
        """Return rows with names in print for codes, and the grades of the design audit for a panel such as this.

        `named` are names in print beside those of platforms and of the origin, such as of what a reason is about.

        Of an Estimate, such as a refusal, it is the reason that gets them. The audit's windows begin when all firms are
        closed: an estimate of a window that does not has no grade.
        """
        words = self.words | dict(named or {})
        if isinstance(rows, Estimate):
            return replace(rows, reason=written_out(rows.reason, words))
        grade = rows["id"].map(grades.worst(*self.like)["grade"]).fillna(grades.NOT_GRADED)
        early = _too_early(rows, self.design.sample(self.panel))
        return in_words(rows.assign(grade=grade.mask(early, grades.TOO_EARLY)), words)

    def judge(
        self,
        question: str,
        found: Estimate,
        *,
        margin: float | None = None,
        placebo: pd.DataFrame | None = None,
        **said: Any,
    ) -> Verdict | None:
        """Judge the reading of a claim by which the event asks a question; None where it asks no such thing.

        Parameters
        ----------
        question : str
            Key of `readings` in the event's file.
        found : Estimate
            One term, or a refusal.
        margin : float, optional
            In the reading's unit, set in advance.
        placebo : DataFrame, optional
            Its last row, with `estimate`, `conf_low` and `conf_high`, should lie inside the margin; without one it says
            nothing.
        **said
            `kind`, `window` and `n`: what its interval is, the time that it holds for, and from how many of what;
            `unit` where it is not the reading's own.
        """
        if question not in self.event.asked:
            return None
        known, share = self._known
        audited = grades.worst(*self.like)
        if found.estimand in audited.index and not self.design.sample(self.panel).still_open:
            grade, preset, _ = audited.loc[found.estimand]
            said |= {"grade": grade, "graded": named(preset)}
        said |= {} if margin is None else {"margin": margin}
        said |= {} if placebo is None or margin is None else claims.checked(placebo, margin)
        if found.refused:
            said["change"] = "A panel that can tell it: why this one cannot is said in its report."
        if not np.isnan(found.value[0]):
            said["estimate"] = float(found.value[0])
        return claims.judge(
            *self.event.asked[question],
            event=self.event,
            tier=self.tier,
            provenance=self.mark,
            market=self.market,
            interval=found.bounds(found.terms[0]),
            aside=self.aside,
            gaps=f"Only {known}, too few for a word on totals." if share < ENOUGH else "",
            **said,
        )

    @property
    def _known(self) -> tuple[str, float]:
        """How many firms of the origin are known at home in all months compared, in words; and which share is.

        It is that of firms, or that of their sales a year before if it is smaller. Nothing is said where all are known.
        """
        panel, design = self.panel, self.design.fitted(self.panel)
        if design is None:
            return "", 1.0
        wave = int(panel.first_treated(cut=design.cut).min())
        start, stop = wave + design.post_from, wave + design.post_to + 1
        home = panel.sales[(panel.firms["origin"] == design.origin).to_numpy(), 0]
        before, after = home[:, start - 12 : stop - 12], home[:, start:stop]
        known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        if known.all():
            return "", 1.0
        sold = np.nansum(before, axis=1)
        share = min(known.mean(), sold[known].sum() / (sold.sum() or 1.0))
        return f"{known.sum():,} of {len(known):,} {self.own} have all months that are compared", float(share)

    @property
    def caveats(self) -> str:
        """What a panel that was brought is said to be, what is not known and what is doubtful, in short; else empty."""
        if not self.file:
            return ""
        panel = self.panel
        size = f"{_counted(len(panel.firms), 'firm')}, {panel.months[0]} to {panel.months[-1]}"
        parts = [size, SAID.get(panel.population, panel.population), *filter(None, [self._known[0]])]
        doubts = "; ".join(doubt.partition(":")[0] for doubt in panel.doubts)
        told = f" Doubtful: {doubts}; what to do stands under Data in the reports on it." if doubts else ""
        return f"Panel {self.file}: {', '.join(parts)}.{told}"

    @property
    def speaks(self) -> str:
        """What the panel may speak for, in a sentence: whether it gives a word on totals, and in which readings."""
        ledger, asked = claims.readings(event=self.event), list(self.event.asked.values())
        totals = {*ledger[ledger["totals"]][["claim_id", "reading"]].itertuples(index=False, name=None)}
        on = f"a word on totals ({', '.join(' '.join(pair) for pair in asked if pair in totals) or 'none is asked'})"
        if self.market:
            return f"Population: {self.panel.population}; the panel is simulated, so it gives no claim a word."
        if not self.aside and self._known[1] < ENOUGH:
            return f"Population: {self.panel.population}; the panel does not give {on}: only {self._known[0]}."
        if not self.aside:
            return f"Population: {self.panel.population}; the panel gives {on} too."
        return (
            f"Population: not representative of all sellers, or not said; the panel does not give {on}. Write "
            "`population: census` in its map if it holds all sellers, or `population: sample` and a column weight."
        )

    @property
    def lines(self) -> list[str]:
        """The event with the closures in its waves and in other months, what is not known, and each doubt."""
        months = self.closed_by_month
        other = months[~months.index.isin(self.event.waves)]
        apart = ", ".join(f"{month} ({number})" for month, number in other.items())
        event = (
            f"Event: {self.event.title}{', as simulated' if self.market else ''}; firms closed, in whole or part, in "
            f"its waves: {months.sum() - other.sum():,}, in other months: {apart or 'none'}."
        )
        known, share = self._known
        gaps = f"{known}, {share:.0%} of them or of their sales: an empty cell in one of these leaves its firm out."
        return [event, *([gaps] if known else []), *(f"Doubtful: {doubt}" for doubt in self.panel.doubts)]

    @property
    def line(self) -> str:
        """The same on one line, for the data of a report, with what a panel that was brought is said to be."""
        said = f"The panel is {SAID.get(self.panel.population, self.panel.population)}."
        return " ".join([*self.lines, *([said] if self.file else [])])

    def true(self) -> dict[str, float]:
        """Return the true value of every estimand in the design's window, by id; empty where it is not known."""
        if self.truth is None:
            return {}
        window = self.design.post_from, self.design.post_to
        known = {"placebo": 0.0, "mechanical": self.truth.mechanical(*window)}  # nothing happened a year before
        return known | self.truth.scalars(*window)


# What a panel holds, and what a design can learn from it: printed before anything is estimated, so without effects


def sentence(panel: Panel, names: Mapping[str, str] | None = None) -> str:
    """Return the line that a report says about its data; `names` in print are by code of platform or origin."""
    waves, known = panel.cohorts(cut=Design.cut), panel.sales[~np.isnan(panel.sales)]
    count = int(waves["firms"].sum())
    when = f" in {_counted(len(waves), 'month')} from {waves['month'].iloc[0]}" if len(waves) else ""
    counts, words = panel.firms["origin"].value_counts(), dict(names or {})
    origins = ", ".join(f"{number:,} {words.get(str(code), code)}" for code, number in counts.items())
    platforms = [words.get(code, code) for code in panel.platforms]
    left = panel.dropped[panel.dropped["rule"] == "left out: no known sales in any month"]
    parts = [
        f"{_counted(len(panel.firms), 'firm')} ({origins}) on {', '.join(platforms)}, {panel.months[0]} to "
        f"{panel.months[-1]}, in {panel.unit}, {panel.provenance}",
        f"{_counted(count, 'firm')} closed{when}",
        f"{_percent(known == 0)} of the known sales of a firm, platform and month are 0, "
        f"{_percent(np.isnan(panel.sales))} are not known",
        *(f"{count:,} firms {rule}" for rule, count in zip(left["rule"], left["count"], strict=True)),
    ]
    return "; ".join(parts) + "."


def inventory(panel: Panel) -> Sections:
    """Count what a panel holds, in titled tables."""
    cut = Design.cut
    sales, firms, unknown = panel.sales, panel.firms, np.isnan(panel.sales)
    sold, gaps = sales.sum(axis=(0, 2), where=~unknown), unknown.any(axis=(1, 2)).sum()
    whole = [
        ("firms", f"{len(firms):,}"),
        *((f"  of origin {name}", f"{number:,}") for name, number in firms["origin"].value_counts().items()),
        ("brand groups", f"{firms['brand_group'].nunique():,}"),
        ("categories", f"{firms['category'].nunique():,}"),
        ("firms with a risk", f"{firms['risk'].notna().sum():,}"),
        ("home platform", panel.platforms[0]),
        ("months", f"{len(panel.months)}, {panel.months[0]} to {panel.months[-1]}"),
        ("keys (firm or account, platform, month) that come twice", "none, or the file would have been refused"),
        ("months without any row", f"{unknown.all(axis=(0, 1)).sum()}"),
        ("cells (firm, platform, month)", f"{sales.size:,}"),
        ("  of them 0", f"{(sales == 0).sum():,} ({_percent(sales == 0)})"),
        ("  of them not known", f"{unknown.sum():,} ({_percent(unknown)}), in {gaps:,} firms"),
        ("provenance and unit", f"{panel.provenance}, {panel.unit}"),
        ("digest", panel.digest[:16]),
    ]
    platforms = pd.DataFrame(
        {
            "platform": list(panel.platforms),
            "firms that sold": (sales > 0).any(axis=2).sum(axis=0),
            "months covered": [f"{np.sum(~gap)} of {len(gap)}" for gap in np.array(unknown.all(axis=0))],
            "% of sales": 100 * sold / sold.sum(),
            "% zeros": 100 * (sales == 0).mean(axis=(0, 2)),
            "not known": unknown.sum(axis=(0, 2)),
        }
    )
    waves, dose = panel.cohorts(cut=cut), firms["dose"].to_numpy(float)
    part = (dose < cut) & np.isfinite(panel.first_treated(cut=np.finfo(float).tiny))
    closures = [
        *zip(waves["month"].astype(str), waves["firms"], waves["brand_groups"], strict=True),
        (f"in part, a dose below {cut:g}", int(part.sum()), int(firms["brand_group"][part].nunique())),
        ("after the last month: not closed within the panel", panel.censored, np.nan),
    ]
    columns = ["closed", "firms", "brand groups"]
    return [
        ("The panel", pd.DataFrame(whole, columns=["what", "found"])),
        ("Platforms", platforms),
        ("Added up, linked and left out", panel.dropped),
        ("Closures by wave", pd.DataFrame([row for row in closures if row[1]], columns=columns)),
    ]


def by_year(panel: Panel) -> Sections:
    """Return in a titled table what was sold at home in each year, which shows wrong rates and a part for a whole."""
    home, year = np.nansum(panel.sales[:, 0], axis=0) / 1e6, panel.months.year
    rows = pd.DataFrame({"year": year.astype(str), "months": 1, f"million {panel.unit}": home})
    return [(f"Sales on {panel.platforms[0]} by year", rows.groupby("year").sum().reset_index())]


def window(panel: Panel, design: Design) -> Sections:
    """Say in a table which months the panel can carry, and which window of them is nearest to what a design asks for.

    Empty where no firm is closed.
    """
    closures = panel.first_treated(cut=design.cut)
    if not np.isfinite(closures).any():
        return []
    wave, fitted = int(closures.min()), design.fitted(panel)
    first, last = max(0, 12 - wave), min(LATEST, len(panel.months) - 1 - wave)
    rows = [
        ("first wave", f"{panel.months[wave]}, after {_counted(wave, 'month')}; {len(panel.months) - wave} from it on"),
        ("base_months can be", f"{FEWEST_BASE} to {wave}" if wave >= FEWEST_BASE else "none: too few before the wave"),
        (
            "months of the window can be",
            f"{first} to {last}" if first <= last else "none: each needs one a year earlier",
        ),
        ("asked for", design.given),
        ("nearest that fits", fitted.given if fitted else "none"),
    ]
    return [("Window", pd.DataFrame(rows, columns=["what", "found"]))]


def estimable(panel: Panel, design: Design) -> Sections:
    """Say in titled tables which firms a design uses, how exposed they are, and which effects they would show.

    Of an estimand there is whether it can be estimated or why not, and the smallest effect seen with a power of 80 per
    cent, from its standard error; of E1a also that from placebo closures of firms not closed; the firms that it uses,
    and those left out with the reason; and the grade of its method with where that comes from. No estimate is shown. A
    panel without a closed firm, or that cannot carry the design, is a `DesignError`.
    """
    sample = design.sample(panel)
    compared = [
        ("closed by the end of the window", int(sample.closed.sum())),
        *([("so what the window shows has no grade", sample.still_open)] if sample.still_open else []),
        (f"compared with them ({design.comparison})", int(sample.comparison.sum())),
        ("not closed, not even in part", int(sample.never_closed.sum())),
        ("base months, for shares and exposure", sample.months(sample.base)),
        ("months before", sample.year_ago),
        ("window", sample.window),
    ]
    origin = panel.firms["origin"]
    share = pd.Series(100 * sample.exposure, index=origin.index).where(sample.never_closed)
    by_origin, quantiles = share.groupby(origin, sort=False), np.linspace(0, 1, 5)
    exposed = pd.DataFrame(
        {
            "firms": by_origin.count(),
            f"below {100 * design.low:g}": (share < 100 * design.low).groupby(origin, sort=False).sum(),
            **{name: by_origin.quantile(at) for name, at in zip(QUANTILES, quantiles, strict=True)},
        }
    )
    placebos = attempt(smallest_effect, panel, design)  # first, for it needs most memory
    rows = estimate_all(panel, design).rows
    able, early = np.isfinite(rows["std_error"].to_numpy(float)), rows["id"][_too_early(rows, sample)]
    rows["reason"] = rows["reason"].replace("", "no error can be given")
    whys = [*dict.fromkeys(rows["reason"][~able])]
    effects = pd.DataFrame(
        {
            "estimand": rows["label"],
            "firms": [f"{number:,.0f}" if one else "" for number, one in zip(rows["n"], able, strict=True)],
            "smallest effect seen": rows["mde"],
            "unit": rows["unit"],
            "estimable": np.where(
                able, "estimable", rows["reason"].map({why: f"no ({place})" for place, why in enumerate(whys, 1)})
            ),
            "id": rows["id"],
        }
    )
    smallest = pd.DataFrame({"what": ["not estimable"], "found": [placebos.reason]})
    if not placebos.refused:
        asked = {
            "fall seen in four of five draws, by a test that is right on this panel": "fall",
            "fall seen in four of five draws, by the interval of the reports": "fall, usual",
            "the interval of the reports finds what is not there": "size, usual",
        }
        rows = placebos[list(asked.values())].rows
        smallest = rows.assign(what=[*asked]).rename(columns={"estimate": "per cent", "std_error": "Monte Carlo error"})
        smallest["placebo closures"] = f"{placebos.counts['draws']} draws, within {placebos.details['within']}"
        smallest = smallest[["what", "per cent", "Monte Carlo error", "placebo closures"]]
    used = used_and_left_out(panel, design)
    words = [(name, meaning) for name, meaning in (USED | LEFT).items() if name in used]
    audited = grades.worst("", panel.count_closed(cut=design.cut)).reindex(effects["id"][able])
    audited["grade"] = audited["grade"].fillna(grades.NOT_GRADED)
    audited.loc[audited.index.isin(early)] = grades.TOO_EARLY, "", ""
    graded = pd.DataFrame(
        {
            "estimand": effects["estimand"][able],
            "grade": audited["grade"].to_numpy(),
            "worst in": [named(preset) if preset else "" for preset in audited["preset"].fillna("")],
            "id": audited.index,
        }
    )
    return [
        ("Firms and months compared", pd.DataFrame(compared, columns=["what", "found"])),
        ("Exposure of firms not closed, per cent of their category", exposed.rename_axis("origin").reset_index()),
        ("What can be estimated", effects),
        ("Why not", pd.DataFrame({"no": [f"({place})" for place in range(1, len(whys) + 1)], "reason": whys})),
        ("Firms used and left out, each once", used),
        ("What these columns count: the first three are used", pd.DataFrame(words, columns=["column", "firms"])),
        ("Smallest effect on closed firms (E1a), by placebo closures of firms not closed", smallest),
        ("Grade of each method, the worst in panels that this one could be", graded),
    ]


def _too_early(rows: pd.DataFrame, sample: Sample) -> pd.Series:
    """Mark the rows that are of the window where that begins before all firms are closed."""
    return rows["months"] == sample.window if sample.still_open else pd.Series(False, rows.index)


def printed(sections: Sections) -> str:
    """Return sections as text: titles, and tables below them, words on the left and numbers on the right."""
    return "\n\n".join(f"{title}\n{_table(frame)}" for title, frame in sections)


def _table(frame: pd.DataFrame) -> str:
    columns = []
    for name in frame:
        cells = [str(name), *map(_cell, frame[name])]
        justify = str.rjust if pd.api.types.is_numeric_dtype(frame[name]) else str.ljust
        columns.append([justify(cell, max(map(len, cells))) for cell in cells])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True)) if len(frame) else "none"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _percent(marked: np.ndarray) -> str:
    return f"{100 * marked.mean():.1f} %"
