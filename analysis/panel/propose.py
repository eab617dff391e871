"""Inspect a panel file and propose a map for it in YAML.

Each line has a reason, and what the file does not reveal becomes a question. Columns are recognised
by their names, in English or Chinese, and by their values; they are never guessed. A question is a
line that begins with ``# ?``. If the key has a default, the key follows with the value ``"?"``,
which is invalid in a map, so that the default applies only if the user chooses it. Invalid cells
are left to the reader, which reports them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from fewtreated.errors import refuse

from analysis.panel.file import File, parquet_copies
from analysis.panel.formats import CHINA, MONEY, UNKNOWN, number_signs, parse_dates, platform_code
from analysis.panel.map import RECOGNISED, Map, columns, phrase, refusal_words
from analysis.panel.opening import encoding_of, read_header, refuse_file, sheets
from analysis.panel.rows import as_date, file_rows, quoted
from analysis.untrusted import MISSING_SIGN, is_printable, refuse_more

NAMES, KINDS, PLATFORMS = (RECOGNISED[name] for name in ("names", "values", "platforms"))
IN_CHINA = "|".join(["mainland china", *map(re.escape, CHINA)])
BY_WORDS = {
    "platform": f".*({'|'.join(PLATFORMS.values())}).*",
    "origin": IN_CHINA,
    "currency": MONEY,
}
ASK = '"?"'
# the last are characters in a cell
ROWS_LOOKED_AT = 1 << 20
COLUMNS_LOOKED_AT = 1000
LONGEST_LOOKED_AT = 2000
ROWS_ABOVE = 10  # at most, above the header
STRAYS = 0.1  # largest share of values in a column of dates that are not dates
LABELS = 100  # at most, for platforms, origins and currencies


def propose(path: Path, second: Path | None = None) -> str:
    """Propose a map for a file, with questions about what the file does not reveal.

    Parameters
    ----------
    path : Path
        The file with the sales.
    second : Path, optional
        A file with attributes, to be joined by the first column of both whose values all differ in
        it.

    Raises
    ------
    DataError
        If a file is of an unsupported type or has no rows or rows of weeks, or the files have no
        key in common.
    """
    columns, of_file = _read(path)
    if second:
        of_file.append(_joined(columns, second, os.path.relpath(second, path.parent)))
    look = _Look(path, columns)
    head = phrase("proposed", path=_told([path.name], 200), rows=len(columns[0].text))
    rest = (look.labels, look.dates, look.numbers, look.currency, look.rows)
    lines = (line for of_part in rest for line in of_part())
    return "\n".join([head, *look.columns(), *of_file, *lines, *_ask("population")]) + "\n"


def _joined(columns: list[_Column], second: Path, name: str) -> str:
    """Add the columns of a second file, and return the map line about it."""
    texts = {column.called: column.text for column in columns}
    others = _read(second)[0]
    keys = [column for column in others if column.called in texts and column.text.is_unique]
    if not (keys := [column for column in keys if texts[column.called].isin(column.text).any()]):
        expected = "a column of the first file, with another value in each row"
        do = "give the two columns one name"
        refuse(second, expected, ", ".join(column.name for column in others), do)
    at = pd.Index(keys[0].text).get_indexer(texts[keys[0].called])
    for column in (column for column in others if column.called not in texts):
        columns.append(
            replace(column, text=column.text.reindex(at).fillna("").reset_index(drop=True))
        )
    found = f"of {len(at):,} rows, {sum(at >= 0):,} have one of its {len(keys[0].text):,} keys"
    return f"join: {{file: {_json(name)}, key: {_json(keys[0].called)}}}  # {found}"


def _read(path: Path) -> tuple[list[_Column], list[str]]:
    """Return a file's columns, and the map lines about the file itself."""
    refuse_file(path)
    encoding = encoding_of(path)
    names = sheets(path)
    lines = ["encoding: gbk  # the file is not valid UTF-8"] * (encoding == "gbk")
    if len(names) > 1:
        lines = _ask("sheet", map(_yaml, names), count=len(names))
    for row in (*range(1, ROWS_ABOVE + 2), 1):  # a title may stand above the header
        named = Map.model_construct(
            encoding=encoding, sheet=next(iter(names), None), header_row=row
        )
        header, _, table = read_header(path, named)
        if sum(map(bool, header)) > max(1, len(header) / 2):
            break
    lines += [f"header_row: {row}  # the first row in which most cells are filled"] * (row > 1)
    refuse_more(path, len(header), COLUMNS_LOOKED_AT, "columns", "write a map by hand")
    if not (
        once := {name: name for name in header if header.count(name) == 1}
    ):  # a map cannot name others
        refuse(path, "columns with different names", ", ".join(header), "rename them")
    twice = [name for name in dict.fromkeys(header) if name not in once]
    lines += [
        f"# not used: {_told([name])}, which occurs in the header more than once" for name in twice
    ]
    file = File(path, None, named, header, {}, None, once, {}, table, [path])
    with (
        parquet_copies(file, ROWS_LOOKED_AT) as paths,
        file_rows(file, paths, ordered=True) as rows,
    ):
        rows.refuse_long(LONGEST_LOOKED_AT)
        cells = {name: as_date(named, quoted(name), of) for name, of in rows.types.items()}
        texts = (
            f"COALESCE(CAST({cell} AS VARCHAR), '') AS c{at}"
            for at, cell in enumerate(cells.values())
        )
        every = rows.query(
            f"SELECT {', '.join(texts)} {rows.base} LIMIT {ROWS_LOOKED_AT}"
        ).to_pandas()
    if every.empty:
        refuse(path, "rows below a header", "none", "export it again")
    if len(every) == ROWS_LOOKED_AT:
        lines.append(f"# only the first {ROWS_LOOKED_AT:,} rows were inspected")
    named_texts = zip(cells.items(), every, strict=True)
    return [
        _Column(name, every[at], cell != quoted(name)) for (name, cell), at in named_texts
    ], lines


@dataclass(frozen=True, eq=False)
class _Column:
    """A column of a file: its name, and its cells as text.

    It also tells whether the file declares the cells as dates.
    """

    called: str
    text: pd.Series
    typed: bool

    @property
    def name(self) -> str:
        """Name of the column, on one line."""
        return _told([self.called], len(self.called))

    @cached_property
    def words(self) -> dict[str, int]:
        """Frequency of each text value, in descending order."""
        return {word: count for word, count in self.text.value_counts().to_dict().items() if word}

    @cached_property
    def dates(self) -> tuple[dict[str, str], list[str], list[list[str]]]:
        """Values parsed as dates; see `formats.parse_dates`."""
        return parse_dates(self.words, STRAYS)

    @cached_property
    def numbers(self) -> list[tuple[str, str]]:
        """Pairs of thousands and decimal separators that fit the values."""
        bare = [
            re.sub(MONEY, "", word.lower()).strip() for word in self.words if re.search(r"\d", word)
        ]
        if len(bare) > len(self.words) / 2:
            return number_signs(bare)
        return []

    @property
    def kind(self) -> str:
        """Kind of value: "empty", "date", "number" or "text"."""
        if not self.words or any(self.dates):
            if self.words:
                return "date"
            return "empty"
        if self.numbers:
            return "number"
        return "text"

    def can_be(self, ours: str) -> bool:
        """Return whether the values suit a column of the schema."""
        listed = ours not in ("platform", "origin", "currency") or len(self.words) <= LABELS
        return listed and (
            self.kind in KINDS[ours].split() if ours in KINDS else self.kind != "date"
        )

    @property
    def summary(self) -> str:
        """Short summary of the column's values."""
        if days := sorted(self.dates[0].values()):
            return f"{days[0][:7]} to {days[-1][:7]}"
        rows = sum(self.words.values()) / max(1, len(self.words))
        return (
            f"{len(self.words):,} different, {rows:,.0f} rows each, such as"
            f" {_told([*self.words][:3])}"
        )


@dataclass(frozen=True, eq=False)
class _Look:
    """Columns of a file, matched to the panel schema."""

    path: Path
    all: list[_Column]

    @cached_property
    def wide(self) -> tuple[str, list[_Column]]:
        """Prefix shared by a wide file's month columns, and those columns.

        Both are empty if there are fewer than three.
        """
        groups = dict[str, list[_Column]]()
        for column in self.all:
            if named := re.fullmatch(
                r"(.*?)((?:19|20)\d\d.*|[A-Z][a-z]{2,8}[ -]?\d{2,4})", column.called
            ):
                groups.setdefault(named[1], []).append(column)
        for prefix, group in groups.items():
            if len(group) >= 3 and any(
                parse_dates((column.called.removeprefix(prefix) for column in group), STRAYS)
            ):
                return prefix, group
        return "", []

    @cached_property
    def may_be(self) -> dict[str, list[_Column]]:
        """Candidates for each schema column, found by name or content.

        A single candidate is taken as certain.
        """
        matches = dict[str, list[_Column]]()
        left = [column for column in self.all if column not in self.wide[1]]
        for column in [*left]:
            named = [
                ours
                for ours in NAMES
                if re.search(NAMES[ours], column.name.lower()) and column.can_be(ours)
            ]
            if ours := column.called if column.called in columns() else next(iter(named), ""):
                matches.setdefault(ours, []).append(column)
                left.remove(column)
        for ours, words in BY_WORDS.items():
            able = [column for column in left if ours not in matches and column.can_be(ours)]
            group = [
                column
                for column in able
                if any(re.fullmatch(words, word.lower()) for word in column.words)
            ]
            matches |= {ours: group} if group else {}
        return {ours: _certain(ours, group) for ours, group in matches.items()}

    def column(self, ours: str) -> _Column | None:
        """Return the only candidate for a schema column, or None if there is not exactly one."""
        if len(self.may_be.get(ours, [])) == 1:
            return self.may_be[ours][0]
        return None

    def columns(self) -> Iterator[str]:
        """Yield the map lines for `columns`, and comments on unused columns."""
        used = {column for group in self.may_be.values() for column in group} | {*self.wide[1]}
        for ours, about in columns().items():
            group = self.may_be.get(ours, [])
            if len(group) == 1:
                yield f"  {ours}: {_yaml(group[0].called)}  # {group[0].summary}"
                continue
            if not group and (
                about.get("optional") or (self.wide[1] and ours in ("month", "sales"))
            ):
                continue
            yield f"  # ? which column is {ours}? {about['description'].partition('.')[0]}"
            left = [column for column in self.all if column not in used]
            named = [column for column in left if re.search(NAMES[ours], column.name.lower())]
            alike = self.may_be.get({"brand_group": "firm", "firm": "account"}.get(ours, ""), [])
            for column in group or named or alike:
                yield f"  # ? {ours}: {_yaml(column.called)}  # {column.summary}"
                used.add(column)
        yield from (
            f"# not used: {column.name}  # {column.summary}"
            for column in self.all
            if column not in used
        )

    def labels(self) -> Iterator[str]:
        """Yield the map lines for platform and origin labels, with our codes."""
        if (column := self.column("platform")) and not {*column.words} <= PLATFORMS.keys():
            yield "platforms:  # their label: our code; sites of one platform are added up"
            for word, count in column.words.items():
                line = f"{_yaml(word)}: {platform_code(word) or 'WMT'}  # {count:,} rows"
                yield (
                    f"  {line}"
                    if platform_code(word)
                    else f"  # ? {line}; WMT also covers other marketplaces, OWN own sites"
                )
        if (column := self.column("origin")) and not {*column.words} <= {"CN", "other"}:
            codes = {
                word: "CN" if re.fullmatch(IN_CHINA, word.lower()) else "other"
                for word in column.words
            }
            if "CN" in codes.values():
                ask = ""
            else:
                ask = f"# ? which label in {column.name} is China?\n"
            yield f"{ask}origins:  # CN for China"
            for word, count in column.words.items():
                line = f"{_yaml(word)}: {codes[word]}  # {count:,} rows"
                yield (
                    f"  # ? {line}; or CN?"
                    if re.fullmatch(RECOGNISED["near"], word.lower())
                    else f"  {line}"
                )

    def dates(self) -> Iterator[str]:
        """Yield the map lines for month and closure date formats."""
        prefix, group = self.wide
        if group:
            _, formats, undecided = parse_dates(
                (column.called.removeprefix(prefix) for column in group), STRAYS
            )
            if len(formats) == 1 and not undecided:
                pattern = _json(formats[0])
            else:
                pattern = ASK
            yield (
                f"wide: {{prefix: {_json(prefix)}, format: {pattern}}}  # {len(group)} columns of"
                " sales"
            )
        usual = ["%Y-%m"]
        for ours, key in (("month", "month_format"), ("closed_on", "closed_format")):
            column = self.column(ours)
            if column is None or column.kind != "date" or column.typed:
                continue
            days, formats, undecided = column.dates
            if undecided:
                answers = [
                    _json([*formats, pattern]) for patterns in undecided for pattern in patterns
                ]
                word = next(word for word in column.words if word not in days)
                yield from _ask(key, answers, name=column.name, word=_told([word]))
                continue
            if ours == "closed_on" and any(day[8:] != "01" for day in days.values()):
                yield (
                    "# the month of each closure date is taken as the first month without the"
                    " accounts"
                )
            if formats != usual:
                yield f"{key}: {_json(formats)}"
            usual = formats

    def _sales(self) -> _Column | None:
        """Return the sales column, or None if there is none.

        The months of a wide file are joined in one column.
        """
        group = self.wide[1]
        if group:
            return _Column("sales", pd.concat([column.text for column in group]), False)
        return self.column("sales")

    def numbers(self) -> Iterator[str]:
        """Yield the map lines for number separators and missing values."""
        if not (sales := self._sales()):
            return
        separators = [
            f"{_json(thousands)}\ndecimal: {_json(decimal)}" for thousands, decimal in sales.numbers
        ]
        if len(separators) > 1:
            yield from _ask(
                "thousands", separators, word=_told([max(sales.words, key=len)]), name=sales.name
            )
        elif separators and separators != ['""\ndecimal: "."']:
            yield f"thousands: {separators[0]}"
        if unknown := [word for word in sales.words if re.fullmatch(UNKNOWN, word.lower())]:
            yield (
                f"missing: {json.dumps(unknown, ensure_ascii=False)}  # marks unknown values in"
                f" {sales.name}"
            )

    def currency(self) -> Iterator[str]:
        """Yield the map lines for the sales currency and its exchange rates."""
        sales = self._sales()
        by_row = self.column("currency")
        if by_row:
            other = [word for word in by_row.words if word != "USD"]
        else:
            other = []
        if by_row:
            yield from [phrase("rates by row")] * bool(other)
            for word in other:
                if re.fullmatch(RECOGNISED["dollars"], word.lower()):
                    rate = "1"
                else:
                    rate = ASK
                yield f"  {_yaml(word)}: {rate}  # {by_row.words[word]:,} rows"
        elif sales:
            texts = [self.wide[0] or sales.name, *sales.words]
            signs = {sign for word in texts for sign in re.findall(MONEY, word.lower())}
            if not (len(signs) == 1 and re.fullmatch(RECOGNISED["dollars"], *signs)):
                yield from _ask("currency", name=sales.name, signs=", ".join(signs) or "none")

    def rows(self) -> Iterator[str]:
        """Yield the map lines for the period that a row covers and the meaning of absent rows."""
        firm, account, platform, month, sales = map(
            self.column, ("firm", "account", "platform", "month", "sales")
        )
        unit = account or firm
        if not (unit and platform and month and sales) or month.dates[2] or not month.dates[0]:
            return
        keys = pd.DataFrame(
            {"unit": unit.text, "platform": platform.text, "day": month.text.map(month.dates[0])}
        )
        by_day = len(keys.drop_duplicates())
        again = keys.duplicated().any() or sales.text.str.startswith("-").any()
        keys = keys.assign(day=keys["day"].str[:7]).drop_duplicates()
        apart = (
            pd.Series(pd.to_datetime(sorted({*month.dates[0].values()}))).diff().dt.days.median()
        )
        if by_day > len(keys):
            if apart == 7:
                first, second = sorted({*month.dates[0].values()})[:2]
                where = f"{self.path}, column {month.name}"
                refuse(where, *refusal_words("weekly", first=first, second=second))
            if apart == 1:
                of = "order" if again else "day"
                yield (
                    f"rows: {of}  # judging by the time between dates, several a day and returns;"
                    " added up to months"
                )
            else:
                yield from _ask("rows", apart=apart)
        if absent := len(keys[["unit", "platform"]].drop_duplicates()) * keys[
            "day"
        ].nunique() - len(keys):
            zeros = sales.text.str.fullmatch("0+([.,]0*)?").sum()
            yield from _ask("absent", absent=absent, cells=absent + len(keys), zeros=zeros)


def _certain(ours: str, group: list[_Column]) -> list[_Column]:
    """Narrow candidates to a single column, if possible.

    It is the column with our name, or the first if the others merely repeat it.
    """
    for pattern in (re.escape(ours), NAMES.get(ours, "")):
        if (
            len(
                called := [column for column in group if re.fullmatch(pattern, column.name.lower())]
            )
            == 1
        ):
            return called
    pairs = pd.DataFrame(
        {number: column.text for number, column in enumerate(group)}
    ).drop_duplicates()
    # an id and its name
    if all(len(pairs) == column.text.nunique() for column in group):
        return group[:1]
    return group


def _ask(key: str, answers: Iterable[str] = (), **values: Any) -> list[str]:
    """Return a question and its answers as lines, followed by its key with the value "?"."""
    lines = "\n".join([phrase(key, **values), *(f"{key}: {answer}" for answer in answers)])
    return [*(f"# ? {line}" for line in lines.split("\n")), f'{key}: "?"']


def _told(words: Iterable[str], most: int = 30) -> str:
    """Join text values for a comment, without line breaks or invisible characters."""
    shown = (
        "".join(sign if is_printable(sign) else MISSING_SIGN for sign in " ".join(word.split()))
        for word in words
    )
    return ", ".join(word[:most] for word in shown)


def _json(value: str | list[str]) -> str:
    """Quote text or a list for YAML, writing a list of one as text."""
    text = json.dumps(
        value[0] if isinstance(value, list) and len(value) == 1 else value, ensure_ascii=False
    )
    return "".join(sign if is_printable(sign) else f"\\U{ord(sign):08x}" for sign in text)


def _yaml(word: str) -> str:
    """Quote text for YAML if necessary."""
    if re.fullmatch(r"\w([\w.()/ -]*[\w.()/])?", word):
        return word
    return _json(word)
