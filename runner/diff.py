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
from runner.release import Entry, Release

FILE = "changes.json"  # in a release
ESTIMATES = ".estimates.csv"
# of verdicts
JUDGED = ("word", "confidence", "grade", "margin", "claimed")
TEXTS = ("statement", "why", "change")
NUMBERS = ("estimate", "conf_low", "conf_high")
# parameters that change no number by themselves
SET_BY_RUN = {"as_of", "verdict_file", "verdict_folder", "since", "changed", "corrected"}
# verdict_file is in releases before 2026-12
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
        moved = f"{self.name} in {self.report}: {change(self.old, self.new)} {self.unit}".rstrip()
        if self.errors is None:
            return moved
        return f"{moved} ({_errors(abs(self.errors))})"


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

    `renamed` lists the reports that have a new name. `compared` counts the numbers in both,
    `rounded` those that moved by less than the printed digits show. `data`, `made_of` (by kind) and
    `causes` (by report) list what may have moved them.
    """

    since: str
    until: str
    reports: list[str]
    renamed: list[str]
    words: list[Word]
    numbers: list[Number]
    compared: int
    rounded: int
    data: list[Cell]
    made_of: dict[str, list[str]]
    causes: dict[str, list[str]]

    @property
    def moved(self) -> bool:
        """Whether a word, a number or a report changed."""
        return bool(self.words or self.numbers or self.reports or self.renamed)

    def as_json(self) -> dict[str, Any]:
        """Return the changes as a JSON object, with a description of each part."""
        texts = {"line": summary_line(self), "told": headed_lines(self)}
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
    was = _without_briefs(old)
    now = _without_briefs(new)
    names = former_names(was, now)
    both = {name: (was[before[0]], now[name]) for name, before in names.items()}
    words = [*_words(_judged_before(old, names), _judgements(new, both))]
    pairs = [
        (name, *pair)
        for name, before in names.items()
        for pair in _estimate_pairs(old, before, new, name)
    ]
    moved = [_number(*each) for each in pairs if _values(each[1]) != _values(each[2])]
    numbers = [each for each in moved if each.old != each.new]
    files = unlike(old.manifest.inputs["data"], new.manifest.inputs["data"])
    cells = [*compared(_tables(old, files), _tables(new, files))]
    made_of = _made_of(old, new, both)
    changed = {cell.file for cell in cells}
    moving = dict.fromkeys([*(word.report for word in words), *(each.report for each in numbers)])
    return Changes(
        since=old.folder.name,
        until=new.manifest.release,
        reports=_come_or_gone(was, now, names),
        renamed=[
            f"{old_name} is now {name}"
            for name, before in names.items()
            for old_name in before
            if old_name != name
        ],
        words=words,
        numbers=numbers,
        compared=sum(bool(before and after) for _, before, after in pairs),
        rounded=len(moved) - len(numbers),
        data=cells,
        made_of={part: some for part, some in made_of.items() if some},
        causes={
            name: _causes(*both[name], made_of, changed & _reads(new, name, changed))
            for name in moving
        },
    )


def _without_briefs(release: Release) -> dict[str, Entry]:
    reports = release.manifest.reports.items()
    return {name: entry for name, entry in reports if schedule.number(name) != "00"}


def former_names(was: Mapping[str, Entry], now: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Return, for each report in both releases, its names in the old one.

    They are its own name, or those that its entry says it had. One report may follow several.
    """
    names = dict[str, list[str]]()
    for name, entry in now.items():
        before = [name] if name in was else [each for each in entry.formerly if each in was]
        if before:
            names[name] = before
    return names


def _come_or_gone(
    was: Mapping[str, Entry], now: Mapping[str, Entry], names: Mapping[str, list[str]]
) -> list[str]:
    """Say which reports are new, and which are gone."""
    gone = {*was} - {each for before in names.values() for each in before}
    new = {*now} - {*names}
    return [f"{name} is {'new' if name in new else 'gone'}" for name in sorted(gone | new)]


def _judged_before(release: Release, names: Mapping[str, list[str]]) -> Verdicts:
    """Return the verdicts of an old release, under the present names of their reports."""
    verdicts = release.verdicts()
    rows = [
        {**row, "report": name}
        for name, before in names.items()
        for each in before
        for row in verdicts[each]
    ]
    return {identity(row): row for row in rows}


def _judgements(release: Release, reports: Iterable[str]) -> Verdicts:
    """Return the verdicts of reports."""
    verdicts = release.verdicts()
    return {identity(row): row for name in reports for row in verdicts[name]}


def _estimate_pairs(
    old: Release, names: list[str], new: Release, report: str
) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield each estimate of a report before and after, with None where there is none.

    In a report that had other `names` the tables may be others, so only what both have is compared.
    """
    renamed = names != [report]
    before = dict[tuple[Any, ...], Row]()
    for name in names:
        before |= _estimates(old, name, by_table=not renamed)
    after = _estimates(new, report, by_table=not renamed)
    for key in dict.fromkeys([*before, *after]):
        if renamed and not (key in before and key in after):
            continue
        yield before.get(key), after.get(key)


def _made_of(
    old: Release, new: Release, both: Mapping[str, tuple[Entry, Entry]]
) -> dict[str, list[str]]:
    """List the inputs that differ between two releases, by kind, for reports in `both`."""
    inputs = {part: (old.manifest.inputs[part], new.manifest.inputs[part]) for part in UNDER}
    return {part: unlike(*pair) for part, pair in inputs.items()} | {
        "versions": changed_values(*inputs["versions"]),
        "parameters": [
            f"{name}: {pair}"
            for name, (was, now) in both.items()
            for pair in changed_values(was.parameters, now.parameters)
        ],
        "notebooks": [
            name for name, (was, now) in both.items() if was.notebook_sha256 != now.notebook_sha256
        ],
    }


def _causes(
    was: Entry, now: Entry, made_of: Mapping[str, list[str]], files: Iterable[str]
) -> list[str]:
    """List what may have moved a report, which read these changed data files."""
    causes = [f"data {file}" for file in sorted(files)]
    causes += [f"parameter {pair}" for pair in changed_values(was.parameters, now.parameters)]
    if was.notebook_sha256 != now.notebook_sha256:
        causes.append("its notebook")
    causes += [f"its own file {file}" for file in unlike(was.files, now.files)]
    if made_of["code"]:
        causes.append("code")
    causes += [f"version of {pair}" for pair in made_of["versions"]]
    if not causes and was.as_of != now.as_of:
        causes.append("the as-of date")
    return causes


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


def _estimates(release: Release, report: str, *, by_table: bool) -> dict[tuple[Any, ...], Row]:
    """Return a report's estimates by key, with the number of their table or without.

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
        table = row["table"] if by_table else ""
        key = (table, row["estimand"], label, row["unit"], row["window"], row["comparison"])
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
    interval = ""
    if low is not None and high is not None:
        interval = span(low, high, row["unit"])
    if value is None:
        return interval
    point = quantity(value, row["unit"])
    if interval:
        return f"{point} ({interval})"
    return point


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
    old = _by_key(keys, before)
    new = _by_key(keys, after)
    if old is None or new is None:
        yield Cell(file, "", "", "", "the file changed")
        return
    for key in dict.fromkeys([*old, *new]):
        if key not in old or key not in new:
            yield _whole(file, key, "row", key in new)
            continue
        for column in dict.fromkeys([*old[key], *new[key]]):
            if (was := old[key].get(column) or "") != (now := new[key].get(column) or ""):
                yield Cell(file, key, str(column), was, now)


def _by_key(keys: list[str], table: bytes) -> dict[str, Row] | None:
    """Return the rows of a table by key, or None if there is no key or two rows share one."""
    if not keys:
        return None
    rows = [*csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""))]
    by_key = {", ".join(f"{key} {row.get(key)}" for key in keys): row for row in rows}
    if len(by_key) != len(rows):
        return None
    return dict(by_key)


def change(old: Any, new: Any) -> str:
    """Format an old and a new value, with "none" for a missing value."""
    was, now = ("none" if value in (None, "") else value for value in (old, new))
    return f"{was}, now {now}"


# In words


def headed_lines(changes: Changes) -> list[tuple[str, list[str]]]:
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
    parts += [("Renamed", changes.renamed), ("Reports", changes.reports)]
    parts += [("What may have moved them", causes), ("Data", cells)]
    parts += [(name.capitalize(), lines) for name, lines in changes.made_of.items()]
    return [(heading, first(lines, MOST)) for heading, lines in parts if lines]


def first(lines: list[str], most: int) -> list[str]:
    """Shorten a list of lines, ending it with a count of those left out."""
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"and {len(lines) - most} more"]


def summary_line(changes: Changes) -> str:
    """Summarise the changes in reports on real data in one line for the brief."""
    words = [word for word in changes.words if not word.market and {*JUDGED} & word.moved.keys()]
    numbers = [number for number in changes.numbers if not number.market]
    clauses = []
    if words:
        clauses.append(f"{_count(len(words), 'verdict')} moved")
    if numbers:
        clauses.append(f"{_count(len(numbers), 'number')} moved")
    if known := [abs(number.errors) for number in numbers if number.errors is not None]:
        clauses[-1] += f", by at most {_errors(max(known))} where known"
    if changes.renamed:
        clauses.append(f"{_count(len(changes.renamed), 'report')} renamed")
    if changes.reports:
        clauses.append(f"{_count(len(changes.reports), 'report')} came or went")
    return f"Since the release of {changes.since}: {'; '.join(clauses) or 'nothing moved'}."


def turned(changes: Changes) -> Iterator[Said]:
    """Describe the claims whose verdict or margin changed, except in new and removed reports."""
    for word in (word for word in changes.words if not word.market and not word.aside):
        for what, lead in (("word", ""), ("margin", "margin ")):
            if what in word.moved:
                old, new = (f"no {what}" if each is None else each for each in word.moved[what])
                said = f"{word.claim} in {word.report}: {lead}{old} before, {new} now"
                yield Said(about=word.report, said=said)
                break


def _count(many: int, what: str) -> str:
    return f"{many} {what}{'' if many == 1 else 's'}"
