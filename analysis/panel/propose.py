"""Inspect a panel file and propose a map for it in YAML.

Each line has a reason, and what the file does not reveal becomes a question. Columns are recognised
by their names, in English or Chinese, and by their values; they are never guessed. A question is a
line that begins with ``# ?``, and a key with the value ``"?"`` below it, which is invalid in a map:
a map is finished once each of these has its answer. Invalid cells are left to the reader, which
reports them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from fewtreated.errors import refuse

from analysis.data import SHIPPED
from analysis.event import Event, read_event
from analysis.panel.database import DatabaseTable, quoted
from analysis.panel.file import File
from analysis.panel.formats import (
    CHINA,
    MONEY,
    TOTALS,
    UNKNOWN,
    number_signs,
    parse_dates,
    platform_code,
)
from analysis.panel.map import RECOGNISED, Map, columns, phrase, refusal_words
from analysis.panel.opening import encoding_of, read_header, refuse_file, sheets
from analysis.panel.rows import as_date, opened_rows, refuse_long_text
from analysis.untrusted import MISSING_SIGN, is_printable, refuse_more, unseen

NAMES, KINDS, PLATFORMS = (RECOGNISED[name] for name in ("names", "values", "platforms"))
IN_CHINA = "|".join(["mainland china", *map(re.escape, CHINA), RECOGNISED["places"]])
BY_WORDS = {
    "platform": f".*({'|'.join(PLATFORMS.values())}).*",
    "origin": IN_CHINA,
    "currency": MONEY,
}
LABELLED = ("firm", "account", "platform", "origin", "category")  # in which totals have a name
ASK = '"?"'
KEYS = ["unit", "platform", "day"]
# the last are characters in a cell
ROWS_LOOKED_AT = 1 << 20
COLUMNS_LOOKED_AT = 1000
LONGEST_LOOKED_AT = 2000
ROWS_ABOVE = 10  # at most, above the header
STRAYS = 0.1  # largest share of values in a column of dates that are not dates
LABELS = 100  # at most, for platforms, origins and currencies


def propose(
    path: Path, second: Path | None = None, *, engine: str = "", event: str = SHIPPED
) -> str:
    """Propose a map for a file, with questions about what the file does not reveal.

    Parameters
    ----------
    path : Path
        The file with the sales, or the name of a table.
    second : Path, optional
        A file with attributes, to be joined by the first column of both whose values all differ in
        it. If that column is not the account, it is the firm.
    engine : str, optional
        Address of the database in which `path` names a table, as TABLE or SCHEMA.TABLE, or the name
        of an environment variable that has it.
    event : str, optional
        The event that the panel covers, whose platforms and origin the labels are matched to.

    Raises
    ------
    DataError
        If a file is of an unsupported type or has no rows or rows of weeks, the files have no key
        in common, or the table cannot be opened.
    """
    columns, of_file = _read(path, engine)
    rows = len(columns[0].text)
    key = ""
    if second:
        key, line = _joined(columns, second, os.path.relpath(second, path.parent))
        of_file.append(line)
    look = _Look(path, columns, read_event(event), key).without_totals()
    head = phrase("proposed", path=_told([path.name], 200), rows=rows)
    rest = (
        look.platforms,
        look.origins,
        look.dates,
        look.numbers,
        look.currency,
        look.rows,
        look.absent,
        look.closures,
    )
    lines = (line for of_part in rest for line in of_part())
    return "\n".join([head, *look.columns(), *of_file, *lines, *_ask("population")]) + "\n"


def _joined(columns: list[_Column], second: Path, name: str) -> tuple[str, str]:
    """Add the columns of a second file, and return its key and the map line about it."""
    if odd := unseen(name.replace("\n", "").replace("\t", "")):
        expected = "a name whose characters are all seen, since the map has it"
        refuse(second, expected, f"{odd} in it", "rename the file or folder")
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
    key = keys[0].called
    return key, f"join: {{file: {_json(name)}, key: {_json(key)}}}  # {found}"


def _opened(path: Path) -> tuple[Map, list[str]]:
    """Return a map by which a file can be opened, and its lines."""
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
        header, _, _ = read_header(path, named)
        if sum(map(bool, header)) > max(1, len(header) / 2):
            break
    lines += [f"header_row: {row}  # the first row in which most cells are filled"] * (row > 1)
    return named, lines


def _read(path: Path, engine: str = "") -> tuple[list[_Column], list[str]]:
    """Return the columns of a file or table, and the map lines about the file itself."""
    in_database = None
    table = None
    if engine:
        in_database = DatabaseTable(str(path), engine)
        named, lines = Map(), list[str]()
        header: Sequence[str] = in_database.header()
    else:
        named, lines = _opened(path)
        header, _, table = read_header(path, named)
    refuse_more(path, len(header), COLUMNS_LOOKED_AT, "columns", "write a map by hand")
    if not (
        once := {name: name for name in header if header.count(name) == 1}
    ):  # a map cannot name others
        refuse(path, "columns with different names", ", ".join(header), "rename them")
    twice = [name for name in dict.fromkeys(header) if name not in once]
    lines += [
        f"# not used: {_told([name])}, which occurs in the header more than once" for name in twice
    ]
    file = File(path, None, named, header, {}, None, once, {}, table, [path], in_database)
    with opened_rows(file, ROWS_LOOKED_AT, LONGEST_LOOKED_AT) as rows:
        refuse_long_text(file, rows, LONGEST_LOOKED_AT)
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

    @property
    def is_refund(self) -> bool:
        """Whether the column has what was paid back, by its name."""
        return self.kind == "number" and bool(re.search(RECOGNISED["refunds"], self.name.lower()))

    @property
    def no_sale(self) -> list[str]:
        """Words of a column with few of them that mark rows as no sale, such as "cancelled"."""
        if len(self.words) > LABELS:
            return []
        return [word for word in self.words if re.fullmatch(RECOGNISED["no sale"], word.lower())]

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
    event: Event
    key: str = ""  # the column by which a second file was joined
    drop: dict[str, list[str]] = field(default_factory=dict)  # labels of totals, by column

    def without_totals(self) -> _Look:
        """Return the columns without rows of totals, whose labels are kept in `drop`."""
        drop = dict[str, list[str]]()
        kept = pd.Series(True, self.all[0].text.index)
        for column in filter(None, map(self.column, LABELLED)):
            if totals := [word for word in column.words if re.fullmatch(TOTALS, word.lower())]:
                drop[column.called] = totals
                kept &= ~column.text.isin(totals)
        if not drop:
            return self
        left = [
            replace(column, text=column.text[kept].reset_index(drop=True)) for column in self.all
        ]
        return replace(self, all=left, drop=drop)

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
        left = [
            column for column in self.all if column not in self.wide[1] and not column.is_refund
        ]
        for column in [*left]:
            named = [
                ours
                for ours in NAMES
                if re.search(NAMES[ours], column.name.lower()) and column.can_be(ours)
            ]
            ours = column.called if column.called in columns() else next(iter(named), "")
            if column.called == self.key and ours != "account":
                ours = "firm"
            if ours:
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
        if keys := [column for column in matches.get("firm", []) if column.called == self.key]:
            matches["firm"] = keys
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
            optional = "; without it, delete the line" if about.get("optional") else ""
            what = about["description"].partition(".")[0]
            yield f"  # ? which column is {ours}? {what}{optional}"
            left = [column for column in self.all if column not in used]
            named = [column for column in left if re.search(NAMES[ours], column.name.lower())]
            alike = self.may_be.get({"brand_group": "firm", "firm": "account"}.get(ours, ""), [])
            for column in group or named or alike:
                yield f"  # ? {ours}: {_yaml(column.called)}  # {column.summary}"
                used.add(column)
            yield f"  {ours}: {ASK}"
        for column in (column for column in self.all if column not in used):
            more = ""
            if column.is_refund:
                more = "; sales are before these refunds unless you subtract them in the file"
            if column.no_sale:
                drop = f"drop: {{{_yaml(column.called)}: {_yaml('|'.join(column.no_sale))}}}"
                more = f"; such rows count as sales unless `{drop}` stands under `rows`"
            yield f"# not used: {column.name}  # {column.summary}{more}"

    def platforms(self) -> Iterator[str]:
        """Yield the map lines for platform labels, with the codes of the event."""
        names = self.event.platforms
        column = self.column("platform")
        if column is None or {*column.words} <= names.keys():
            return
        codes = {word: self._platform(word) for word in column.words}
        yield "platforms:  # their label: our code; sites of one platform are added up"
        if ASK in codes.values():
            listed = ", ".join(f"{code} ({name})" for code, name in names.items())
            yield f"  # ? which platform is each {ASK}? {listed}"
        yield from _labelled(column, codes)

    def _platform(self, word: str) -> str:
        """Return the code of the event's platform that a label names, or a question."""
        said = word.casefold()
        for code, name in self.event.platforms.items():
            if said == code.casefold() or name.casefold() in said:
                return code
        code = platform_code(word)
        return code if code in self.event.platforms else ASK

    def origins(self) -> Iterator[str]:
        """Yield the map lines for origin labels.

        If none is known for the event's origin, each label is a question.
        """
        code = self.event.origin
        column = self.column("origin")
        if column is None or {*column.words} <= {code, "other"}:
            return
        codes = {word: self._origin(word) for word in column.words}
        if code not in codes.values():
            codes = dict.fromkeys(codes, ASK)
        yield f"origins:  # {code}: {self.event.origin_name}"
        if ASK in codes.values():
            yield f"  # ? which origin is each {ASK}? {code} ({self.event.origin_name}) or other"
        yield from _labelled(column, codes)

    def _origin(self, word: str) -> str:
        """Return the code of a label of origins, or a question for places near China."""
        said = word.lower()
        if said in (self.event.origin.lower(), self.event.origin_name.lower()):
            return self.event.origin
        if self.event.origin == "CN" and re.fullmatch(RECOGNISED["near"], said):
            return ASK
        if self.event.origin == "CN" and re.fullmatch(IN_CHINA, said):
            return "CN"
        return "other"

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
                yield f"rates: {ASK}"

    def rows(self) -> Iterator[str]:
        """Yield the map lines for what a row covers, and for rows of totals."""
        period = self._period()
        if period == ASK or self.drop:
            yield "rows:"
        if period == ASK:
            yield from (f"  {line}" for line in _ask("period", apart=_apart(self._keys)))
        elif period:
            why = "judging by the time between dates, several a day and returns; added up to months"
            yield f"{'  period' if self.drop else 'rows'}: {period}  # {why}"
        if self.drop:
            words = {name: "|".join(map(re.escape, totals)) for name, totals in self.drop.items()}
            pairs = ", ".join(f"{_json(name)}: {_json(text)}" for name, text in words.items())
            yield f"  drop: {{{pairs}}}  # rows of totals"

    @cached_property
    def _keys(self) -> pd.DataFrame:
        """Unit, platform, day and sales of each row; empty unless all are known."""
        firm, account, platform, month, sales = map(
            self.column, ("firm", "account", "platform", "month", "sales")
        )
        unit = account or firm
        if not (unit and platform and month and sales) or month.dates[2] or not month.dates[0]:
            return pd.DataFrame(columns=[*KEYS, "sales"], dtype=str)
        days = month.text.map(month.dates[0])
        cells = (unit.text, platform.text, days, sales.text)
        keys = pd.DataFrame(dict(zip([*KEYS, "sales"], cells, strict=True)))
        return keys.dropna(subset="day")  # a few cells may be no dates

    @cached_property
    def _months(self) -> pd.DataFrame:
        """Unit, platform and month that have a row, each once."""
        months = self._keys["day"].str[:7]
        return self._keys[KEYS].assign(day=months).drop_duplicates()

    def _period(self) -> str:
        """Return what a row covers: a day, an order, or a question; empty if it is a month."""
        days = self._keys[KEYS].drop_duplicates()
        if len(days) == len(self._months):
            return ""
        apart = _apart(days)
        if apart == 7:
            first, second = sorted(days["day"].dropna().unique())[:2]
            where = f"{self.path}, column {self.may_be['month'][0].name}"
            refuse(where, *refusal_words("weekly", first=first, second=second))
        if self._keys["sales"].str.startswith("-").any():
            return "order"
        if apart != 1:
            return ASK
        return "order" if len(days) < len(self._keys) else "day"

    def absent(self) -> Iterator[str]:
        """Yield the question about months of a unit on a platform that have no row."""
        units = self._months[["unit", "platform"]].drop_duplicates()
        cells = len(units) * self._months["day"].nunique()
        if absent := cells - len(self._months):
            zeros = self._keys["sales"].str.fullmatch("0+([.,]0*)?").sum()
            yield from _ask("absent", absent=absent, cells=cells, zeros=zeros)

    def closures(self) -> Iterator[str]:
        """Yield the map line for closures by account, if they differ within a firm."""
        firm, account, closed = map(self.column, ("firm", "account", "closed_on"))
        if firm and account and closed:
            pairs = pd.DataFrame({"firm": firm.text, "closed": closed.text}).drop_duplicates()
            if count := pairs["firm"][pairs["firm"].duplicated()].nunique():
                yield f"closures: account  # {closed.name} differs within {count:,} firms"


def _apart(keys: pd.DataFrame) -> float:
    """Return the median number of days between the dates of rows."""
    days = pd.Series(pd.to_datetime(sorted({*keys["day"].dropna()})))
    return float(days.diff().dt.days.median())


def _labelled(column: _Column, codes: dict[str, str]) -> Iterator[str]:
    """Yield a map line for each label of a column, with its code and its rows."""
    for word, count in column.words.items():
        yield f"  {_yaml(word)}: {codes[word]}  # {count:,} rows"


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
