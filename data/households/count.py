"""Count the purchases published by Open e-commerce 1.0.

They are counted by month, group of buyers, category and origin.

The rows are read once, in batches, and only counts are kept. ``data/households`` contains the
resulting tables for a public part of the file, and the lists that the program uses.
``market-impact purchases`` runs it.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from fewtreated.errors import DataError, DesignError, refuse
from tqdm import tqdm

from analysis.data import DATA, load
from analysis.evidence.households import BLANK, UNKNOWN, half_year, register
from analysis.untrusted import LONGEST_NAME, admit, refuse_long, refuse_unseen, unseen

COLUMNS = {
    "date": "Order Date",
    "price": "Purchase Price Per Unit",
    "quantity": "Quantity",
    "title": "Title",
    "code": "ASIN/ISBN (Product Code)",
    "category": "Category",
    "buyer": "Survey ResponseID",
}
"""Columns to read, by our names; others, such as the buyer's state, are ignored."""

ASINS = {"code": "parent_asin", "store": "store"}
"""Columns to read from a table of products, as in Amazon Reviews 2023."""

WHOLE = "6efb098a6e01a9acb6e215402a450f4a848ed1b102ca016f9be6c4f03c585e1e"
"""SHA-256 of the whole file in the archive."""

# people exported their histories from the next month onwards
FIRST = "2018-01"
LAST = "2022-10"
GROUPS = 100
SIGNS = "®™:.-–'\"()[]"  # stripped from a token
BRACKET = r"^\s*[\[\(【][^\]\)】]*[\]\)】]\s*"
AFTER = r"(?s)[\s\x0b\pZ,|/].*"
RULE = re.compile("[A-Z]{4,14}")
ELECTRONICS = re.compile(
    "ELECTR|PHONE|COMPUTER|CAMERA|CABLE|BATTER|VIDEO|SPEAK|HEADPH|LIGHT|LAMP|MOUSE|KEYBO|POWER|WATCH|WEAR|SCREEN_PROT|"
    "TABLET|PRINTER|MEMORY|NETWORK|CHARG"
)
CLASSES = {"CN": "named_chinese", "presumed CN": "pseudo_brand"}
KEYS = ["month", "buyer_group", "category", "origin_class"]
GROUPED = {
    "lines": [*KEYS, "brand"],
    "people": ["month", "buyer_group", "buyer"],
    "names": ["half_year", "name", "origin_class"],
    "register": ["registered", "half_year", "category", "origin_class"],
    "blanks": ["month", "code", "brand"],
}
"""Keys of the counts kept in memory while order lines are read."""

FEWEST = (
    40  # order lines in at least one half-year for a category to appear in the table of half-years
)
"""Categories on the list of pages appear there however rare they are."""
SUMS = ["purchases", "units", "cents"]
BYTES_AT_ONCE = 1 << 22
ROWS_AT_ONCE = 1 << 16
HEADER_LETTERS = 1 << 20
LONGEST_TITLE = 20_000
FREE = ("title", "store")  # text of sellers, of which the first word is counted
NAMES = ("code", "category", "buyer")
DEAREST = 1e7  # dollars per order line, so that sums in cents fit into 64 bits


@dataclass(frozen=True)
class Counts:
    """Counts from a file of purchases.

    `tables` contains, by name, those of ``data/households``, and two that should stay with the
    owner of the file: `blanks`, the product codes of purchases without a title, and, if a table of
    products supplied their brands, `closed`, the purchases of brands that the list of categories
    names as closed. `said` contains sentences that a reader of the tables must know.
    """

    tables: dict[str, pd.DataFrame]
    said: list[str]

    def write(self, out: Path) -> Path:
        """Write all tables to a new or empty folder, atomically, and return the folder."""
        refuse_used(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as draft:
            new = Path(draft, "new")
            new.mkdir()
            for name, table in self.tables.items():
                table.to_csv(new / f"{name}.csv", index=False, lineterminator="\n")
            if out.exists():
                out.rmdir()
            new.rename(out)
        return out


def refuse_used(out: Path) -> None:
    """Raise DesignError if a path is a file or a non-empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DesignError(
            f"Cannot write tables to {out}: it is not an empty folder; choose a new one with --out"
        )


def count(file: Path, products: Path | None = None, *, root: Path = DATA) -> Counts:
    """Count the purchases in a file.

    Parameters
    ----------
    file : Path
        CSV or Parquet with the columns `COLUMNS` and one row per order line.
    products : Path, optional
        CSV or Parquet with the columns `ASINS`: a product's store is the brand of its purchases
        without a title.
    root : Path
        Data folder with the lists of brands, categories and words.

    Raises
    ------
    DataError
        If columns are missing, or a row has no readable date, price, quantity or buyer.
    """
    stores, held = _stores(products, _blank_codes(file)) if products else ({}, Counter[str]())
    lists = Lists(root, stores)
    made, rows, left, odd = _grouped(file, lists)
    titles = _titles(made["blanks"], branded=bool(products))
    people = made["people"]["buyer"].nunique()
    said = [
        _vintage(file),
        (
            f"{left:,} order lines by {people:,} people from {FIRST} to {LAST}; {rows - left:,}"
            " from other months are left out."
        ),
        titles,
    ]
    if odd:
        said.append(
            f"{odd:,} order lines have a character that is not seen in the first word of their"
            " title or store; the word is counted as it is written."
        )
    if products:
        said.append(f"Products of the closed brands in the table of products: {lists.held(held)}.")
    facts = {
        "rows": rows,
        f"order lines from {FIRST} to {LAST}": left,
        "of these, without a title": int(made["blanks"]["purchases"].sum()),
        "people who bought them": int(people),
    }
    tables = _tables(made, lists)
    tables["part"] = pd.DataFrame({"fact": [*facts], "number": [*facts.values()]})
    # only products sold in late 2022 kept titles, which cannot show what closed brands lost
    if not products:
        del tables["closed"]
    return Counts(tables, said)


def _grouped(file: Path, lists: Lists) -> tuple[dict[str, pd.DataFrame], int, int, int]:
    """Add up the order lines of a file by each of `GROUPED`.

    Return the sums, the number of rows, the number of those from the months that count, and of
    these, of those whose first word has a character that is not seen.
    """
    odd = 0
    rows = 0
    left = 0
    parts = {name: list[pd.DataFrame]() for name in GROUPED}
    for batch in _batches(file, COLUMNS):
        lines = _lines(file, rows, batch, lists)
        rows += len(lines)
        lines = lines[lines["month"].between(FIRST, LAST)]
        left += len(lines)
        odd += int(lines["odd"].sum())
        for name, by in GROUPED.items():
            parts[name].append(_added(lines, by))
    if not left:
        refuse(
            file,
            f"purchases from {FIRST} to {LAST}",
            f"{rows:,} rows, none in these months",
            "choose another file",
        )
    made = {name: _added(pd.concat(parts[name]), by) for name, by in GROUPED.items()}
    return made, rows, left, odd


def _titles(blank: pd.DataFrame, *, branded: bool) -> str:
    """Say how many order lines have no title and, if `branded`, how many of these a brand."""
    known = ""
    if branded:
        number = blank.loc[blank["brand"] != "", "purchases"].sum()
        known = f"; the table of products has a brand for {number:,}"
    return (
        f"{blank['purchases'].sum():,} order lines for {blank['code'].nunique():,} product codes"
        f" have no title{known}."
    )


def run(file: Path, products: Path | None, out: Path | None, *, root: Path = DATA) -> Iterator[str]:
    """Count a file, and yield the lines of a summary.

    The tables are written to a folder, if there is one.
    """
    if out is not None:
        refuse_used(out)
    counts = count(file, products, root=root)
    yield from counts.said
    yield from (f"{name}: {len(table):,} rows" for name, table in counts.tables.items())
    if out is not None:
        yield str(counts.write(out))


class Lists:
    """Meaning of tokens and categories, from hand-made lists or else from rules."""

    def __init__(self, root: Path, stores: dict[str, str]) -> None:
        brands = load("household_brands", root=root)
        categories = load("household_categories", root=root)
        self.brands = brands.set_index("token")
        self.categories = categories
        self.on_pages = frozenset(load("household_pages", root=root)["category"])
        self._registered = {brand.lower(): brand for brand in register(root)}
        self._words = frozenset(load("household_words", root=root)["word"])
        by_hand = brands[brands["origin"] != "presumed CN"]
        self._origin: dict[str, str] = dict(zip(brands["token"], brands["origin"], strict=True))
        self._any_case: dict[str, str] = dict(
            zip(by_hand["token"].str.lower(), by_hand["origin"], strict=True)
        )
        names = ", ".join(categories["closed_brands_named_in_it"]).split(", ")
        self._closed = {name.lower(): name for name in names}
        self._listed = frozenset(categories["category"])
        self.stores = stores

    def origin(self, token: str) -> str:
        """Return the presumed origin of a token, by the list or by the rule.

        Tokens match the list regardless of case. The result is empty if there is no origin.
        """
        by_rule = RULE.fullmatch(token) and token.lower() not in self._words
        in_any_case = self._any_case.get(token.lower(), "presumed CN" if by_rule else "")
        return self._origin.get(token, in_any_case)

    def origin_class(self, token: str) -> str:
        """Return the class of origin of the purchases with a token."""
        return CLASSES.get(self.origin(token), "other")

    def brand(self, token: str) -> str:
        """Return a token if it is a brand, and otherwise an empty string.

        A brand is one of presumed origin or one named as closed.
        """
        if self.origin(token) or self.closed(token):
            return token
        return ""

    def closed(self, token: str) -> str:
        """Return the brand named as closed that a token matches.

        Case does not matter. The result is empty if there is none.
        """
        return self._closed.get(token.lower(), "")

    def registered(self, token: str) -> str:
        """Return the brand of the register of closures that a token matches.

        Case does not matter. The result is empty if there is none.
        """
        return self._registered.get(token.lower(), "")

    def held(self, products: Mapping[str, int]) -> str:
        """Format the number of products of each brand named as closed.

        It is added up from the numbers by token.
        """
        numbers = dict.fromkeys(self._closed.values(), 0)
        for token, number in products.items():
            if name := self.closed(token):
                numbers[name] += number
        return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items()))

    def category(self, name: str) -> str:
        """Return the listed category with a name.

        If none is listed, return the class of other categories that contains the name.
        """
        if not name or name.lower() in self._listed:
            return name.lower() or UNKNOWN
        if ELECTRONICS.search(name.upper()):
            return "other electronics"
        return "everything else"


def _lines(file: Path, before: int, batch: dict[str, Any], lists: Lists) -> pd.DataFrame:
    """Return a batch's order lines with the keys for counting.

    Raise DataError at the first unreadable line.
    """
    text = {name: pc.utf8_trim_whitespace(column) for name, column in batch.items()}
    month = _each(text["date"], _month)
    price, quantity = (
        pd.to_numeric(text[name].to_pandas(), errors="coerce") for name in ("price", "quantity")
    )
    buyer = text["buyer"].to_pandas()
    for bad, name, asked in _unreadable(month, price, quantity, buyer):
        if bad.any():
            place = int(bad.to_numpy().argmax())
            row = before + place + _first_row(file)
            where = f"{file}, row {row}, column {COLUMNS[name]!r}"
            found = repr(batch[name][place].as_py())
            refuse(where, asked, found, "correct it, or leave the row out")
    units = quantity.astype("int64")
    return pd.DataFrame(
        {
            "month": month,
            "half_year": _each(pa.array(month), half_year),
            "buyer": buyer,
            "buyer_group": _each(text["buyer"], group),
            "name": _each(text["category"], lambda name: name.lower() or UNKNOWN),
            "category": _each(text["category"], lists.category),
            **_title_columns(text, batch["title"], lists),
            "purchases": 1,
            "units": units,
            "cents": (price * 100).round().astype("int64") * units,
        }
    )


def _unreadable(
    month: pd.Series, price: pd.Series, quantity: pd.Series, buyer: pd.Series
) -> Iterator[tuple[pd.Series, str, str]]:
    """Yield which lines have something unreadable, its column, and what is expected there."""
    yield month == "", "date", "a day YYYY-MM-DD"
    yield ~price.between(0, 1e9), "price", "a price of at least 0"
    whole = quantity.between(0, 1e9) & (quantity % 1 == 0)
    yield ~whole, "quantity", "a whole number of at least 0"
    dearest = f"at most {DEAREST:,.0f} dollars for all units of a line"
    yield price * quantity > DEAREST, "price", dearest
    yield buyer == "", "buyer", "the id of a buyer"


def _title_columns(text: dict[str, Any], titles: Any, lists: Lists) -> dict[str, Any]:
    """Return the columns that follow from a product's title, or its store if it has no title."""
    blank = pc.equal(text["title"], "")
    codes = text["code"].to_pylist()
    stores = pa.array([lists.stores.get(code, "") for code in codes], pa.string())
    tokens = pc.if_else(blank, stores, _tokens(titles))
    titled = ~blank.to_pandas()
    nameless = pc.equal(tokens, "").to_pandas()
    return {
        "odd": _each(tokens, lambda token: bool(unseen(token))),
        "origin_class": _each(tokens, lists.origin_class).mask(nameless & ~titled, BLANK),
        "brand": _each(tokens, lists.brand).where(titled, stores.to_pandas()),
        "registered": _each(tokens, lists.registered),
        "code": text["code"].to_pandas().mask(titled),  # so that titled lines join no group
    }


def group(buyer: str) -> int:
    """Return the group of a buyer, from a hash of the id."""
    return int(hashlib.sha256(buyer.encode()).hexdigest(), 16) % GROUPS


def _month(day: str) -> str:
    """Return the month of a day, or an empty string if it is not a date."""
    try:
        if len(day) == 10:
            return datetime.date.fromisoformat(day).isoformat()[:7]
        return ""
    except ValueError:
        return ""


def _each(column: Any, function: Any) -> pd.Series:
    """Map a column through a function that is called once per distinct value."""
    coded = column.dictionary_encode()
    values = pd.Series([function(value) for value in coded.dictionary.to_pylist()])
    return values.take(coded.indices.to_numpy()).reset_index(drop=True)


def _tokens(titles: Any) -> Any:
    """Return the first token of each title.

    It has no leading bracket and no surrounding punctuation.
    """
    bare = pc.replace_substring_regex(titles, BRACKET, "", max_replacements=1)
    return pc.utf8_trim(pc.replace_substring_regex(bare, AFTER, ""), characters=SIGNS)


def _added(lines: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return lines.groupby(by, sort=False)[SUMS].sum().reset_index()


def _tables(made: dict[str, pd.DataFrame], lists: Lists) -> dict[str, pd.DataFrame]:
    lines = made["lines"]
    by_buyers = ["month", "buyer_group"]
    listed = lists.categories
    closed = lines.assign(brand=lines["brand"].map(lists.closed)).query("brand != ''")
    people = made["people"].groupby(by_buyers)
    return {
        "purchases": _in_dollars(lines, KEYS),
        "buyers": (
            people.agg(
                active_buyers=("buyer", "size"), purchases=("purchases", "sum")
            ).reset_index()
        ),
        "brands": _brands(lines.groupby("brand")["purchases"].sum(), lists),
        "categories": listed.assign(
            purchases=[
                int(lines.loc[lines["category"] == name, "purchases"].sum())
                for name in listed["category"]
            ]
        ),
        "half_years": _half_years(made["names"], lists),
        "register": _register(made["register"]),
        "closed": _in_dollars(closed, [*by_buyers, "brand"]),
        "blanks": _in_dollars(made["blanks"], ["month", "code", "brand"]),
    }


def _brands(counted: pd.Series, lists: Lists) -> pd.DataFrame:
    brands = (
        counted[[bool(lists.origin(token)) for token in counted.index]]
        .rename_axis("token")
        .reset_index()
    )
    origin = brands["token"].map(lists.origin)
    basis = origin.map({"presumed CN": "rule"}).fillna("list, not sourced")
    brands = brands.assign(
        origin=origin, basis=basis, source=brands["token"].map(lists.brands["source"])
    )
    columns = ["token", "origin", "basis", "purchases", "source"]
    return brands.sort_values(["purchases", "token"], ascending=[False, True])[columns]


def _half_years(names: pd.DataFrame, lists: Lists) -> pd.DataFrame:
    """Sum purchases by half-year and class of origin.

    They are summed in categories that are not rare, or on the list of pages.
    """
    most = names.groupby(["name", "half_year"])["purchases"].sum().groupby("name").max()
    counted = {*most[most >= FEWEST].index} | lists.on_pages
    often = names[names["name"].isin(counted)].rename(columns={"name": "category"})
    return often.groupby(["half_year", "category", "origin_class"])["purchases"].sum().reset_index()


def _register(lines: pd.DataFrame) -> pd.DataFrame:
    """Sum purchases that name a brand of the register of closures.

    They are summed by brand, half-year, category and class.
    """
    named = lines[lines["registered"] != ""].rename(columns={"registered": "brand"})
    return (
        named.groupby(["brand", "half_year", "category", "origin_class"])["purchases"]
        .sum()
        .reset_index()
    )


def _in_dollars(lines: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    sums = lines.groupby(by)[SUMS].sum()
    return sums.assign(spend=sums["cents"] / 100).drop(columns="cents").reset_index()


def _blank_codes(file: Path) -> Any:
    """Return the product codes of order lines without a title."""
    found = set[str]()
    for batch in _batches(file, COLUMNS):
        blank = pc.equal(pc.utf8_trim_whitespace(batch["title"]), "")
        found |= set(pc.utf8_trim_whitespace(batch["code"].filter(blank)).to_pylist())
    return pa.array(sorted(found - {""}), pa.string())


def _stores(file: Path, wanted: Any) -> tuple[dict[str, str], Counter[str]]:
    """Return the first token of the store for each wanted product code.

    Also return the number of products by token.
    """
    found: dict[str, str] = {}
    held = Counter[str]()
    for batch in _batches(file, ASINS):
        held.update(_tokens(batch["store"]).to_pylist())
        there = pc.and_(pc.is_in(batch["code"], wanted), pc.not_equal(batch["store"], ""))
        for code, store in zip(
            *(batch[name].filter(there).to_pylist() for name in ASINS), strict=True
        ):
            if found.setdefault(code, store) != store:
                refuse(
                    file,
                    f"one store for the product {code}",
                    f"{found[code]!r} and {store!r}",
                    "keep one of them",
                )
    return (
        dict(
            zip(found, _tokens(pa.array([*found.values()], pa.string())).to_pylist(), strict=True)
        ),
        held,
    )


def _vintage(file: Path) -> str:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found == WHOLE:
        return f"{file}: the whole file, as in the archive (sha256 {found})."
    return (
        f"{file}: another vintage, or a part (sha256 {found}); the whole file in the archive has"
        f" {WHOLE}."
    )


def _batches(file: Path, columns: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield columns of a file as text, in batches, with a progress bar."""
    admit(file)
    try:
        with file.open("rb") as stream:
            shown = tqdm.wrapattr(
                stream, "read", total=file.stat().st_size, desc=file.name, disable=None, leave=False
            )
            with shown as read:
                first = _first_row(file)
                for batch in (
                    _parquet(file, read, columns)
                    if _is_parquet(file)
                    else _csv(file, read, columns)
                ):
                    for name, theirs in columns.items():
                        _refuse_odd(file, name, theirs, batch.column(theirs), first)
                    first += len(batch)
                    texts = {
                        name: batch.column(theirs).cast(pa.string())
                        for name, theirs in columns.items()
                    }
                    yield {name: column.fill_null("") for name, column in texts.items()}
    except DataError:
        raise
    except Exception as error:  # each library has its own
        refuse(
            file,
            "a table with a header, in UTF-8",
            f"an unreadable one ({error})",
            "download it again",
        )


def _refuse_odd(file: Path, name: str, theirs: str, cells: Any, first: int) -> None:
    """Raise DataError for text that is too long and, in a name, for characters that are not seen.

    Titles and stores are words of sellers, of whom some write such characters: they are counted.
    """
    if name in FREE:
        refuse_long(file, theirs, cells, LONGEST_TITLE, first)
        return
    refuse_long(file, theirs, cells, LONGEST_NAME, first)
    if name in NAMES:
        refuse_unseen(file, theirs, cells, first)


def _first_row(file: Path) -> int:
    """Return the number of the first row of data, after a header if there is one."""
    return 1 if _is_parquet(file) else 2


def _parquet(file: Path, stream: Any, columns: dict[str, str]) -> Any:
    texts = [
        one.name
        for one in pyarrow.parquet.read_schema(file.absolute())
        if one.type in (pa.string(), pa.large_string())
    ]
    table = pyarrow.parquet.ParquetFile(
        stream, read_dictionary=texts
    )  # a long text stored once is not copied
    _refuse_header(file, table.schema_arrow.names, columns)
    return table.iter_batches(ROWS_AT_ONCE, columns=[*columns.values()])


def _csv(file: Path, stream: Any, columns: dict[str, str]) -> Any:
    with file.open(encoding="utf-8-sig", newline="") as text:
        _refuse_header(
            file, next(csv.reader(io.StringIO(text.read(HEADER_LETTERS), newline="")), []), columns
        )
    as_text = pyarrow.csv.ConvertOptions(
        include_columns=[*columns.values()],
        column_types=dict.fromkeys(columns.values(), pa.string()),
    )
    blocks = pyarrow.csv.ReadOptions(block_size=BYTES_AT_ONCE)
    lines = pyarrow.csv.ParseOptions(newlines_in_values=True)  # within quotes
    return pyarrow.csv.open_csv(
        stream, read_options=blocks, parse_options=lines, convert_options=as_text
    )


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet"


def _refuse_header(file: Path, header: list[str], columns: dict[str, str]) -> None:
    if lost := [name for name in columns.values() if header.count(name) != 1]:
        if header:
            found = f"the columns {', '.join(header)}"
        else:
            found = "nothing"
        asked = ", ".join(map(repr, columns.values()))
        refuse(
            file,
            f"one column each of {asked}",
            found,
            f"name these columns: {', '.join(map(repr, lost))}",
        )
