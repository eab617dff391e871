"""Notebook set-up and closing block.

The closing block records the inputs, parameters and code of a report for the annex of the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython import get_ipython

from analysis import data, parameters, provenance
from analysis.event import Event, read_event, told_by
from analysis.evidence import claims, verdicts
from analysis.evidence.verdicts import Verdict
from analysis.exhibits import answers, blocks, style
from analysis.exhibits.blocks import NOTHING, Block, link, note
from analysis.exhibits.payload import of_facts, of_verdicts
from analysis.simulated import market_of

if TYPE_CHECKING:
    from analysis.estimate import Estimate
    from analysis.panel import Panel
    from analysis.study import Study

HIDDEN = ("verdict_folder",)  # where the verdicts of a run stand does not affect results
FILES = (
    "panel_path",
    "panel_map",
    "event",
    "share_draws",
)  # only the name of a file counts, not its folder


@dataclass
class Current:
    """The notebook that is running: its name, parameters and event."""

    notebook: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    event: Event | None = None


current = Current()


def start(notebook: str, *, on_record: bool = True) -> Event:
    """Set up a notebook on public figures, and return its event.

    This checks the parameters and sets the style for real data.

    Parameters
    ----------
    notebook : str
        Its path in ``notebooks/`` without the ending, such as ``"02_growth"``.
    on_record : bool
        Whether the notebook needs public figures of the event; the brief does not.

    Raises
    ------
    DesignError
        If a parameter is invalid, or the public figures are needed and about another event.
    """
    settings = _checked(notebook)
    style.use("real", folder=notebook.rpartition("/")[0])
    return _study(read_event(str(settings["event"]), record=told_by(notebook) if on_record else ""))


def start_simulated(notebook: str) -> str:
    """Set up a notebook on a simulated market, and return the name of the market.

    Parameters and exceptions are as for :func:`start`.
    """
    settings = _checked(notebook)
    if "event" in settings:
        _study(read_event(str(settings["event"]), record=data.SHIPPED))
    market = market_of(parameters.NOTEBOOKS / f"{notebook}.ipynb", settings)
    style.use("simulated")
    return market


def start_panel(notebook: str, open_study: Callable[[Mapping[str, Any]], Study]) -> Study:
    """Set up a notebook on a panel, and return the study described by its parameters.

    `open_study` is either `Study.open` or the function in :mod:`market` that simulates a panel if
    no file is specified.
    """
    study = open_study(_checked(notebook))
    style.use(study.mark, study.file)
    _study(study.event)
    return study


def _study(event: Event) -> Event:
    """Make an event that of the notebook; short names of tables are of it from now on."""
    current.event = event
    data.study(event.record)
    return event


def _checked(notebook: str) -> Mapping[str, Any]:
    """Record a notebook as the one that is running, and return its checked parameters."""
    settings = parameters.checked_parameters(f"{notebook}.ipynb", get_ipython().user_ns)
    current.notebook = notebook
    current.settings = settings
    current.event = None
    return settings


def judge(question: str, evidence: Estimate | None = None, **finding: Any) -> Verdict:
    """Judge a claim about the event of the notebook by its rule.

    Parameters
    ----------
    question : str
        A question of the event, such as ``"growth_not_lower"``, or a claim and its reading, such as
        ``"C08 market"``.
    evidence : Estimate, optional
        Estimate of one term, whose numbers and interval are judged.
    **finding
        What else :class:`analysis.evidence.claims.Finding` takes, such as `tier` and `window`.

    Raises
    ------
    DesignError
        As :func:`analysis.evidence.claims.judge`.
    """
    event = current.event
    asked = event.asked if event else {}
    claim, reading = asked.get(question) or question.partition(" ")[::2]
    given = finding
    if evidence is not None:
        given = {**_as_finding(evidence), **finding}
    return claims.judge(claim, reading, claims.Finding(**given), event=event)


def _as_finding(evidence: Estimate) -> dict[str, Any]:
    """Return the numbers of an estimate by their names in a finding."""
    row = evidence.rows.iloc[0]
    found = {
        "interval": (row["conf_low"], row["conf_high"]),
        "kind": evidence.interval,
        "provenance": "estimate",
    }
    if pd.notna(row["estimate"]):
        found |= {
            "estimate": row["estimate"],
            "kind": f"{evidence.level:.0%} {evidence.interval}",
        }
    return found


def finish(
    *judged: Verdict,
    read: Sequence[str] = (),
    sources: Sequence[pd.DataFrame] = (),
    panel: Panel | None = None,
) -> Block:
    """Return the closing block of a notebook, which hands on its verdicts.

    Parameters
    ----------
    *judged : Verdict
        In the order in which they are shown.
    read : sequence of str
        Names in ``data/datapackage.json`` of the files that were read, such as ``data.LOADED``.
    sources : sequence of DataFrame
        Sources of the figures shown, with columns `source_publisher` and `source_url`.
    panel : Panel, optional
        The panel from which effects were estimated.
    """
    settings = current.settings
    rows = verdicts.as_rows(
        judged,
        as_of=str(settings["as_of"]),
        notebook=current.notebook,
        resources=read,
        digests=[panel.digest] if panel else [],
    )
    closing = colophon(settings, read, sources, panel)
    handed_on = of_verdicts(rows)
    return replace(closing, parts=(*answers.of_judged(judged), *closing.parts, handed_on))


def colophon(
    settings: Mapping[str, Any],
    resources: Sequence[str],
    sources: Sequence[pd.DataFrame],
    panel: Panel | None,
) -> Block:
    """Return the closing block of a report: commit and sources.

    Other facts about the report go to the annex of the run.

    Parameters
    ----------
    settings : mapping
        Parameters as run, with `as_of`, the date of the information used, and `stale_after_days`,
        the age of the newest file above which a warning is printed.
    resources : sequence of str
        Names in datapackage.json of the files that were read; empty if all data came from a panel.
    sources : sequence of DataFrame
        Sources of the figures shown, with columns `source_publisher`, `source_url`.
    panel : Panel, optional
        The panel from which effects were estimated; its digest and the rows that rules left out are
        recorded.
    """
    cards = [data.card(name) for name in resources]
    cited = data.documents(pd.concat([blocks.source_addresses(*resources), *sources])).sort_values(
        "cited"
    )
    commit = os.environ.get(provenance.COMMIT) or provenance.commit()
    commit = commit or "unknown (not a git checkout)"
    facts: list[tuple[str, ...]] = [
        *_parameter_facts(settings),
        *map(_file_fact, cards),
        *(("source", *pair) for pair in zip(cited["cited"], cited["source_url"], strict=True)),
        *([_panel_fact(panel)] if panel is not None else []),
        *(("version", *pair) for pair in {"commit": commit, **provenance.versions()}.items()),
    ]
    annex = link("annex", provenance.ANNEX)
    short = re.sub(r"^([0-9a-f]{12})[0-9a-f]+", r"\1", commit)  # keeps text after the hash
    lines = [f"Commit {short}. Parameters, files and versions: {annex}."]
    first = cited.drop_duplicates("publisher").sort_values("publisher")
    if len(first):
        names = "; ".join(map(link, first["publisher"], first["source_url"]))
        lines.append(f"<strong>Sources</strong> (each document, with its date: {annex}). {names}.")
    html = "\n".join(f"<p>{line}</p>" for line in lines)
    closing = Block(html, "Commit and sources", (of_facts(facts),))
    return _age_warning(settings, cards) + closing


def _age_warning(settings: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> Block:
    """Return a warning if the newest of the files read is older than the settings allow."""
    if not cards:
        return NOTHING
    newest = max(card["vintage"] for card in cards)
    age = (date.fromisoformat(settings["as_of"]) - date.fromisoformat(newest)).days
    if age <= settings["stale_after_days"]:
        return NOTHING
    old = f"The newest file is of {newest}, {age} days before this report: look for newer figures."
    return note(old, warning=True)


def _parameter_facts(settings: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the parameters that are set and not hidden, with the names of files for paths."""
    hidden = set(HIDDEN)
    if settings.get("panel_path"):
        hidden.add("sim_preset")  # own panels have no preset
    shown = {
        name: Path(str(value)).name if name in FILES else str(value)
        for name, value in settings.items()
        if name not in hidden
    }
    return [("parameter", name, value) for name, value in shown.items() if value]


def _file_fact(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hash of a file, its date, what it holds, and what it is not."""
    about = f"{card['title']}. {card['notThis']}"
    return ("file", card["path"], card["hash"], card["vintage"], about)


def _panel_fact(panel: Panel) -> tuple[str, ...]:
    """Return the digest of a panel, and the rows that rules left out of it."""
    rules = [
        f"{row['count']:,} × {row['what']}, rule: {row['rule']}"
        for row in panel.dropped.to_dict("records")
    ]
    about = "nothing was left out"
    if rules:
        about = f"as read: {'; '.join(rules)}"
    return ("panel", panel.provenance, panel.digest, "", about)
