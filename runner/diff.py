"""Compare two releases: which verdicts and numbers changed, by how much, and why.

The reason is data, parameters or code.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from analysis.data import DESCRIPTOR
from analysis.numbers import number, quantity, span
from runner import ReportError, Said, schedule
from runner.publish import identity, name_of, unlike
from runner.release import Release

FILE = "changes.json"  # in a release
ESTIMATES = ".estimates.csv"
# of verdicts
JUDGED = ("word", "confidence", "grade", "margin", "claimed")
TEXTS = ("statement", "why", "change")
NUMBERS = ("estimate", "conf_low", "conf_high")
# parameters that change no number by themselves
SET_BY_RUN = {"as_of", "verdict_file", "verdict_folder", "since", "changed", "corrected"}
UNDER = ("code", "layout", "words", "versions")
MOST = 12  # lines under one heading at most

Row = Mapping[str, str]
Verdicts = Mapping[tuple[str, ...], dict[str, Any]]  # by `identity`


@dataclass(frozen=True)
class Word:
    """A verdict that changed, appeared or disappeared.

    `moved` contains its old and new values, by field.
    """

    report: str
    claim: str
    market: str
    aside: str  # the case it covers, if that is not the one that decides the claim
    statement: str
    moved: Mapping[str, tuple[Any, Any]]

    @property
    def said(self) -> str:
        """Describe the change in words."""
        parts = [
            f"{name} {change(old, new)}"
            for name, (old, new) in self.moved.items()
            if name in JUDGED
        ]
        texts = [name for name in TEXTS if name in self.moved]
        parts += [f"reworded: {', '.join(texts)}"] if texts and not parts else []
        return f"{self.claim} in {self.report}: {'; '.join(parts)}. {self.statement}"


@dataclass(frozen=True)
class Number:
    """An estimate that moved, as printed before and after.

    `errors` is the move in standard errors, if known.
    """

    report: str
    name: str
    market: str
    unit: str
    old: str
    new: str
    errors: float | None

    @property
    def said(self) -> str:
        """Describe the change in words."""
        if self.errors is None:
            by = ""
        else:
            by = f" ({_errors(abs(self.errors))})"
        return (
            f"{self.name} in {self.report}: {change(self.old, self.new)} {self.unit}".rstrip() + by
        )


@dataclass(frozen=True)
class Cell:
    """A change in the data: to a cell, a row or a whole file.

    If there is no column, a row was added or removed; if there is no key either, the whole file
    changed.
    """

    file: str
    key: str
    column: str
    old: str
    new: str

    @property
    def said(self) -> str:
        """Describe the change in words."""
        if self.column:
            what = f"{self.column} {change(self.old, self.new)}"
        else:
            what = self.new or self.old
        return f"{', '.join(filter(None, [self.file, self.key]))}: {what}"


@dataclass(frozen=True)
class Changes:
    """All changes from one release to another.

    `compared` counts the numbers in both, `rounded` those that moved by less than the printed
    digits show. `data`, `made_of` (by kind) and `causes` (by report) list what may have moved them.
    """

    since: str
    until: str
    reports: list[str]
    words: list[Word]
    numbers: list[Number]
    compared: int
    rounded: int
    data: list[Cell]
    made_of: dict[str, list[str]]
    causes: dict[str, list[str]]

    def as_json(self) -> dict[str, Any]:
        """Return the changes as a JSON object, with a description of each part."""
        texts = {"line": line(self), "told": sections(self)}
        content: dict[str, Any] = json.loads(json.dumps(asdict(self) | texts, allow_nan=False))
        return content


# Comparing


def between(old: Release, new: Release) -> Changes:
    """Compare two releases, leaving out the briefs, which repeat other reports.

    Raises
    ------
    ReportError
        If a file to compare does not match its manifest, or is not what a run writes.
    """
    try:
        return _between(old, new)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, csv.Error) as error:
        both = f"{old.folder} cannot be compared with {new.folder.name}"
        raise ReportError(f"{both} ({type(error).__name__}: {error}).") from error


def _between(old: Release, new: Release) -> Changes:
    sets = [each.manifest.reports.items() for each in (old, new)]
    was, now = ({name: entry for name, entry in of if schedule.number(name) != "00"} for of in sets)
    both = [name for name in now if name in was]
    reports = [
        f"{name} is {'new' if name in now else 'gone'}"
        for name in unlike(was, now)
        if name not in both
    ]
    said = (old.verdicts(), new.verdicts())
    words = [
        *_words(*({identity(row): row for name in both for row in each[name]} for each in said))
    ]
    moved = list[Number]()
    shared = 0
    for name in both:
        before = _estimates(old, name)
        after = _estimates(new, name)
        shared += len(before.keys() & after.keys())
        pairs = [(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
        moved += [_number(name, *pair) for pair in pairs if _values(pair[0]) != _values(pair[1])]
    numbers = [each for each in moved if each.old != each.new]
    inputs = {
        part: (old.manifest.inputs[part], new.manifest.inputs[part]) for part in ("data", *UNDER)
    }
    files = unlike(*inputs.pop("data"))
    cells = [*compared(_tables(old, files), _tables(new, files))]
    parameters = {name: changed_values(was[name].parameters, now[name].parameters) for name in both}
    made_of = {part: unlike(*pair) for part, pair in inputs.items()} | {
        "versions": changed_values(*inputs["versions"]),
        "parameters": [f"{name}: {pair}" for name in both for pair in parameters[name]],
        "notebooks": [
            name for name in both if was[name].notebook_sha256 != now[name].notebook_sha256
        ],
    }
    changed = {cell.file for cell in cells}
    causes = dict[str, list[str]]()
    for name in dict.fromkeys(
        [*(word.report for word in words), *(each.report for each in numbers)]
    ):
        mine = [f"data {file}" for file in sorted(changed & _reads(new, name, changed))]
        mine += [f"parameter {pair}" for pair in parameters[name]] + ["its notebook"] * (
            name in made_of["notebooks"]
        )
        mine += [f"its own file {file}" for file in unlike(was[name].files, now[name].files)]
        mine += ["code"] * bool(made_of["code"]) + [
            f"version of {pair}" for pair in made_of["versions"]
        ]
        causes[name] = mine or ["the as-of date"] * (was[name].as_of != now[name].as_of)
    shown = {part: some for part, some in made_of.items() if some}
    counts = (shared, len(moved) - len(numbers))
    return Changes(
        old.folder.name,
        new.manifest.release,
        reports,
        words,
        numbers,
        *counts,
        cells,
        shown,
        causes,
    )


def _reads(release: Release, report: str, files: set[str]) -> set[str]:
    """Return the data files that a report read, or all the given files if it recorded none."""
    if not files:
        return files
    from runner import exports  # imports pandas

    recorded = exports.facts(release.folder / f"{report}.ipynb")
    return {*recorded.loc[recorded["what"] == "file", "name"]} or files


def changed_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describe the values that differ between two mappings, such as versions by name."""
    return [
        f"{name} {change(old.get(name), new.get(name))}"
        for name in unlike(old, new)
        if name not in SET_BY_RUN
    ]


def _words(old: Verdicts, new: Verdicts) -> Iterator[Word]:
    for key in dict.fromkeys([*new, *old]):
        before = old.get(key, {})
        after = new.get(key, {})
        pairs = {name: (before.get(name), after.get(name)) for name in (*JUDGED, *TEXTS)}
        pairs = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        verdict = after or before
        if pairs:
            market, aside, statement = (
                verdict.get(name, "") for name in ("market", "aside", "statement")
            )
            yield Word(key[0], name_of(verdict), market, aside, statement, pairs)


def _estimates(release: Release, report: str) -> dict[tuple[Any, ...], Row]:
    """Return a report's estimates by key.

    A claim is keyed by its name, since its wording may change.
    """
    file = f"{report}{ESTIMATES}"
    if file not in release.manifest.reports[report].made:
        return {}
    seen = Counter[tuple[str, ...]]()
    rows = dict[tuple[Any, ...], Row]()
    for row in csv.DictReader(io.StringIO(release.read(file).decode())):
        if row["table"] == "0":
            label = row["label"].partition(":")[0]
        else:
            label = row["label"]
        key = (row["table"], row["estimand"], label, row["unit"], row["window"], row["comparison"])
        rows[*key, seen[key]] = row
        seen[key] += 1
    return rows


def _values(row: Row | None) -> list[str]:
    return [(row or {}).get(name, "") for name in NUMBERS]


def _number(report: str, old: Row | None, new: Row | None) -> Number:
    """Describe how an estimate moved."""
    row = new or old or {}
    errors = None
    if old and new and float(old["std_error"] or 0) > 0 and old["estimate"] and new["estimate"]:
        errors = (float(new["estimate"]) - float(old["estimate"])) / float(old["std_error"])
    name = ", ".join(filter(None, [row["label"].rstrip("."), row["comparison"], row["window"]]))
    return Number(report, name, row["market"], row["unit"], _written(old), _written(new), errors)


def _errors(many: float) -> str:
    return f"{number(many, 1) if many >= 0.05 else 'less than 0.1'} standard errors"


def _written(row: Row | None) -> str:
    """Format an estimate and its interval as in a report."""
    if row is None:
        return ""
    value, low, high = (float(row[name]) if row[name] else None for name in NUMBERS)
    if low is not None and high is not None:
        interval = span(low, high, row["unit"])
    else:
        interval = ""
    if value is None:
        return interval
    return quantity(value, row["unit"]) + (f" ({interval})" if interval else "")


def _tables(release: Release, files: Iterable[str]) -> dict[str, bytes]:
    tables = release.data
    return {name: tables[name] for name in {*files, DESCRIPTOR} & tables.keys()}


# Which cells of the data differ


def compared(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[Cell]:
    """Yield the changes between two sets of data files.

    Tables are compared by the keys that the descriptor declares, and other files as a whole.
    """
    cards = [
        card
        for tables in (old, new)
        for card in json.loads(tables.get(DESCRIPTOR, b"{}")).get("resources", [])
    ]
    keys = {
        card["path"]: card["schema"].get("primaryKey", []) for card in cards if "schema" in card
    }
    for file in sorted({*old, *new} - {DESCRIPTOR}):
        before = old.get(file)
        after = new.get(file)
        key = keys.get(file, [])
        if before is None or after is None:
            yield _whole(file, "", "file", before is None)
        elif before != after:
            yield from _of_tables(file, [key] if isinstance(key, str) else key, before, after)


def _whole(file: str, key: str, what: str, new: bool) -> Cell:
    return Cell(
        file, key, "", "" if new else f"the {what} is gone", f"the {what} is new" if new else ""
    )


def _of_tables(file: str, keys: list[str], before: bytes, after: bytes) -> Iterator[Cell]:
    tables = []
    for content in (before, after):
        if keys:
            rows = [*csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))]
        else:
            rows = []
        tables.append({", ".join(f"{key} {row.get(key)}" for key in keys): row for row in rows})
        if not keys or len(tables[-1]) != len(rows):
            yield Cell(file, "", "", "", "the file changed")
            return
    old, new = tables
    for key in dict.fromkeys([*old, *new]):
        if key not in old or key not in new:
            yield _whole(file, key, "row", key in new)
            continue
        for column in dict.fromkeys([*old[key], *new[key]]):
            if (was := old[key].get(column) or "") != (now := new[key].get(column) or ""):
                yield Cell(file, key, str(column), was, now)


def change(old: Any, new: Any) -> str:
    """Format an old and a new value, with "none" for a missing value."""
    was, now = ("none" if value in (None, "") else value for value in (old, new))
    return f"{was}, now {now}"


# In words


def sections(changes: Changes) -> list[tuple[str, list[str]]]:
    """List changes and their causes under headings.

    Simulated reports have headings of their own.
    """
    parts = list[tuple[str, list[str]]]()
    for simulated, of in ((False, ""), (True, " in simulated markets, which decide no claim")):
        words = [item.said for item in changes.words if bool(item.market) == simulated]
        numbers = [item.said for item in changes.numbers if bool(item.market) == simulated]
        parts += [(f"Words that moved{of}", words), (f"Numbers that moved{of}", numbers)]
    causes = [
        f"{name}: {'; '.join(of) or 'nothing in the manifests'}"
        for name, of in changes.causes.items()
    ]
    cells = [cell.said for cell in changes.data]
    parts += [("Reports", changes.reports), ("What may have moved them", causes), ("Data", cells)]
    parts += [(name.capitalize(), lines) for name, lines in changes.made_of.items()]
    return [(heading, first(lines, MOST)) for heading, lines in parts if lines]


def first(lines: list[str], most: int) -> list[str]:
    """Shorten a list of lines, ending it with a count of those left out."""
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"and {len(lines) - most} more"]


def line(changes: Changes) -> str:
    """Summarise the changes in reports on real data in one line for the brief."""
    words = [word for word in changes.words if not word.market and {*JUDGED} & word.moved.keys()]
    numbers = [number for number in changes.numbers if not number.market]
    most = max(
        (abs(number.errors) for number in numbers if number.errors is not None), default=None
    )
    if most is None:
        by = ""
    else:
        by = f", by at most {_errors(most)} where known"
    if words:
        clauses = [f"{_count(len(words), 'verdict')} moved"]
    else:
        clauses = []
    clauses += [f"{_count(len(numbers), 'number')} moved{by}"] if numbers else []
    clauses += [f"{_count(len(changes.reports), 'report')} came or went"] if changes.reports else []
    return f"Since the release of {changes.since}: {'; '.join(clauses) or 'nothing moved'}."


def turned(changes: Changes) -> Iterator[Said]:
    """Describe the claims whose verdict or margin changed, except in new and removed reports."""
    for word in (word for word in changes.words if not word.market and not word.aside):
        if "word" in word.moved:
            what = "word"
        else:
            what = "margin"
        old, new = (
            f"no {what}" if each is None else each for each in word.moved.get(what, ("", ""))
        )
        said = (
            f"{word.claim} in {word.report}: {'' if what == 'word' else 'margin '}{old} before,"
            f" {new} now"
        )
        yield from [Said(about=word.report, said=said)] * (old != new)


def _count(many: int, what: str) -> str:
    return f"{many} {what}{'' if many == 1 else 's'}"
