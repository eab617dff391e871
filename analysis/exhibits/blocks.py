"""Report blocks: figures, tables, sentences and notes.

Each block is one piece of plain HTML: JupyterLab shows it unchanged, and the PDF is typeset from
it. If an estimate was refused, one line replaces its chart, figure or table: "NAME: not estimable
with this data. REASON."
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from html import escape, unescape
from operator import add
from typing import Any

import pandas as pd
from fewtreated.errors import NOT_ESTIMABLE, DesignError
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import data
from analysis.estimate import Estimate
from analysis.evidence.verdicts import NOT_GRADED
from analysis.exhibits.fonts import printable
from analysis.exhibits.payload import CAPTION, MIME, OPEN, REFUSED, Part, of_estimates
from analysis.exhibits.style import LOOK, framed, kind_of_numbers, to_svg
from analysis.exhibits.words import capitalised, described
from analysis.numbers import (
    A_SET,
    MARKS,
    number,
    quantity,
    sentence_of,
    span,
    spelled,
    unmarked,
)
from analysis.provenance import ANNEX, ROOT

# Styles for JupyterLab, which loads no style sheet; the PDF is styled by class and ignores these.
BOX = "padding:.6em 1em;border-left:3px solid #17375e;background:rgba(23,55,94,.08)"
WRAP = "overflow-wrap:anywhere;min-width:4em"
MONEY = re.compile(r"(?<!sim-)(?:US\$|USD\b|US dollars?\b|\$(?!\w))")
MATHS = re.compile(r"\$[^$]+\$")
SMALL = "†"
MOST = 3  # documents in a source line
GLOSSARY = ROOT / "docs" / "glossary.md"
ENTRY = re.compile(r"^- \*\*(.+?)\*\*: (.+?)(?=\n-|\n\n)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One exhibit in a report, with its data for export in `parts`.

    A notebook shows it if it is the last expression of a cell.
    """

    html: str
    text: str
    parts: tuple[Part, ...] = field(default=(), compare=False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "text/html": printable(self.html),
            "text/plain": printable(self.text),
        }
        return {**shown, MIME: [part.as_json() for part in self.parts]}

    def __add__(self, other: Block) -> Block:
        """Append another block below this one."""
        html, text = (
            "\n".join(filter(None, both))
            for both in ((self.html, other.html), (self.text, other.text))
        )
        return Block(html, text, self.parts + other.parts)


NOTHING = Block("", "")


class Label(str):
    """Text that is already HTML."""

    __slots__ = ()


def taken_away(exhibit: Block) -> Block:
    """Hide an exhibit that does not fit on the page, but keep its data for export."""
    return replace(exhibit, html="", text="")


# Sentences


def say(text: str, *, lead: str = "") -> Block:
    """Return a paragraph, preceded by a `lead` in bold.

    The marks of numbers remain only in its plain text.
    """
    if lead:
        bold = f"<strong>{escape(lead)}</strong> "
    else:
        bold = ""
    return Block(f"<p>{bold}{escape(unmarked(text))}</p>", f"{lead} {text}".strip())


def note(text: str, *, warning: bool = False) -> Block:
    """Return a remark in a box."""
    return Block(box("warning" if warning else "note", escape(unmarked(text))), text)


def box(which: str, *paragraphs: str) -> str:
    """Return HTML paragraphs in a box of the given class."""
    return (
        f'<div class="{which}"'
        f' style="{BOX}">{"".join(f"<p>{text}</p>" for text in paragraphs)}</div>'
    )


def link(text: str, address: str) -> Label:
    """Return a link to a PDF in the release or to a web address.

    The text is not linked to any other file.
    """
    page = re.fullmatch(r"(?:\w+/)?\w[\w.-]*\.pdf", address)
    # from the folder of simulated reports, or of an event
    if page and (LOOK.simulated or LOOK.folder):
        address = f"../{address}"
    leads = page or re.match(r"https?://", address)
    return Label(f'<a href="{escape(address)}">{escape(text)}</a>' if leads else escape(text))


def glossary(names: str) -> Block:
    """Return entries from `docs/glossary.md`, one paragraph each.

    Raises DesignError if an entry is missing.

    Parameters
    ----------
    names : str
        Comma-separated terms, as they appear in the file in bold, such as ``"exposed, rivals"``.
    """
    page = GLOSSARY.read_text(encoding="utf-8")
    entries = {name: " ".join(text.split()) for name, text in ENTRY.findall(page)}
    terms = names.split(", ")
    if missing := [name for name in terms if name not in entries]:
        problem = f"Cannot show the glossary: {GLOSSARY.name} has no entry for {', '.join(missing)}"
        raise DesignError(f"{problem}; add one, or choose from {', '.join(entries)}")
    return reduce(add, [say(entries[name], lead=f"{capitalised(name)}:") for name in terms])


# Figures and tables


def source_addresses(*names: str) -> pd.DataFrame:
    """Return the source addresses of data files, in the column `source_url`."""
    return pd.DataFrame(
        [{"source_url": one.get("path")} for name in names for one in data.card(name)["sources"]]
    )


def cited(rows: pd.DataFrame) -> list[Label]:
    """Return links to the documents behind the given rows.

    If a copy was read instead of the original, the copy is linked.
    """
    found = []
    for name, same in data.documents(rows).groupby("cited", sort=False):
        read_in = same["read_in"].min()  # nothing for an original
        places = same[same["read_in"] == read_in].drop_duplicates("site")
        copies = " and ".join(map(link, places["site"], places["source_url"]))
        original = link(str(name), places["source_url"].iloc[0])
        found.append(Label(f"{escape(str(name))}, {read_in} {copies}") if read_in else original)
    return found


def _sourced(source: Any, shown: str) -> str:
    """Return the source line of an exhibit as HTML.

    `source` is text, or rows with documents behind them, of which at most :data:`MOST` are listed.
    """
    if not len(source):
        source = LOOK.source
    named = (
        cited(source) if isinstance(source, pd.DataFrame) else list(filter(None, [escape(source)]))
    )
    if len(named) > MOST:
        more = [f"{spelled(len(named) - MOST)} more, listed in the {link('annex', ANNEX)}"]
    else:
        more = []
    if shown == "estimate" and isinstance(source, pd.DataFrame):
        ours = "our calculation from "
    else:
        ours = ""
    line = (
        '<br><span class="source" style="font-size:85%">Source:'
        f" {ours}{'; '.join([*named[:MOST], *more])}.</span>"
    )
    if named and shown != "simulated":
        return line
    return ""


def _titled(text: str, shown: str, labels: Sequence[str] = ()) -> str:
    """Mark text as simulated if it describes simulated numbers.

    Raises DesignError if an axis or column label of simulated numbers names a real currency.
    """
    if shown != "simulated":
        return text
    for label in labels:
        if money := MONEY.search(MATHS.sub("", label)):
            problem = (
                f"Cannot show simulated numbers in a real currency: {label!r} contains {money[0]!r}"
            )
            raise DesignError(f"{problem}; use the unit sim-$")
    return f"Simulated – {text}"


def figure(
    drawing: Any,
    caption: str = CAPTION,
    *,
    data: pd.DataFrame | None = None,
    alt: str = "",
    title: str = "",
    source: Any = "",
    provenance: str = "",
) -> Block:
    """Return a drawing as a figure with title, caption and source.

    Parameters
    ----------
    drawing : Figure, Axes, seaborn grid or refused Estimate
        The drawing, which is closed afterwards; for a refused result, one line is returned instead.
    caption : str
        One sentence on how to read the figure; without a `title`, what it shows. By default it is
        the Markdown cell below, which begins with ``Figure:``; the runner puts it in.
    data : DataFrame, optional
        The numbers drawn, for export and for readers who cannot see the figure; by default those
        that a chart of :mod:`analysis.exhibits` keeps.
    alt : str
        Alternative text beyond the title, for readers who cannot see the figure; by default the
        numbers drawn, from :func:`analysis.exhibits.words.described`.
    title : str
        The finding, worded by a rule from :mod:`analysis.exhibits.words`.
    source : str or DataFrame
        A text, or the rows drawn, whose documents are then listed, from
        :func:`analysis.data.documents`; by default the source set in the style. Simulated numbers
        have none.
    provenance : {"", "real", "estimate"}
        Kind of numbers drawn, marked in the caption. By default "estimate" for rows with intervals
        (a column `conf_low`), otherwise the kind set in the style; all are simulated if the style
        is.
    """
    drawing = getattr(drawing, "figure", drawing)
    below = caption == CAPTION  # caption and title stand in the cell below
    if not isinstance(drawing, Figure):
        if below:
            return _refused(drawing)
        name = re.split(r"[,.:;(]", caption, maxsplit=1)[0].strip()
        return say(capitalised(sentence_of(drawing.reason)), lead=f"{name}: {NOT_ESTIMABLE}.")
    for text in drawing.findobj(Text):  # one mark in the caption serves all numbers
        if (plain := unmarked(text.get_text())) != text.get_text():
            text.set_text(plain)
    rows = vars(drawing).get("data", pd.DataFrame()) if data is None else data
    if LOOK.simulated:
        shown = kind_of_numbers()
    else:
        shown = kind_of_numbers(provenance or ("estimate" if "conf_low" in rows else ""))
    labels = [label for axes in drawing.axes for label in (axes.get_ylabel(), axes.get_xlabel())]
    alt = alt or described(rows, next(filter(None, labels), ""))
    alt = _titled(". ".join(filter(None, (title, alt))) or caption, shown)
    caption = _titled(caption, shown, labels)
    line = _sourced(source, shown)
    if not below:
        framed(drawing, _titled(title, shown))
    picture = to_svg(drawing, unescape(re.sub(r"<[^>]+>", "", line)), titled=below)
    image = f'<img src="{picture}" alt="{escape(alt)}" style="width:100%">'
    marked = f"{MARKS[shown]} {escape(unmarked(caption))}"
    html = f'<figure class="exhibit">{image}<figcaption>{marked}{line}</figcaption></figure>'
    return _open(Block(html, f"Figure: {caption}", (Part("figure", caption, rows),)))


def _refused(result: Estimate) -> Block:
    """Return the line that stands in the place of an exhibit and its caption, with its reason."""
    refused = f"{NOT_ESTIMABLE.capitalize()}."
    line = say(capitalised(sentence_of(result.reason)), lead=refused)
    return replace(line, html=f"{line.html}{REFUSED}")


def _open(exhibit: Block) -> Block:
    """Hide the place where the runner puts the caption."""
    return replace(exhibit, html=exhibit.html.replace(CAPTION, OPEN))


def table(
    frame: pd.DataFrame,
    caption: str = CAPTION,
    *,
    columns: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    signed: Sequence[str] = (),
    mark: str = "",
    source: Any = "",
    provenance: str = "",
) -> Block:
    """Return a data frame as a table with caption and source.

    Numbers are aligned right and text is aligned left.

    The mark of the numbers appears in the caption or, if marks differ, beside each number.

    Parameters
    ----------
    frame : DataFrame
        HTML in text cells must be a :class:`Label`.
    caption : str
        Meaning of a row, and unit; by default the Markdown cell below, as for a figure.
    columns : mapping of column to header, optional
        Columns to show, in this order; by default all, under their own names.
    decimals : mapping of column to int
        Number of decimals of numeric columns; 1 by default.
    signed : sequence of column
        Columns whose positive numbers get a plus sign.
    mark : str
        Column with the provenance of each row, if rows differ.
    source : str or DataFrame
        As for a figure.
    provenance : {"", "real", "estimate", "simulated"}
        Provenance of all other numbers and of the table; by default the kind set in the style.
    """
    shown = kind_of_numbers(provenance)
    headers = dict(columns or {name: str(name) for name in frame.columns})
    parts = _taken(frame, headers, caption)
    caption = _titled(caption, shown, list(headers.values()))
    kinds = frame[mark].map(kind_of_numbers) if mark else [shown] * len(frame)
    filled = list[list[str]]()
    for name, header in headers.items():
        digits = (decimals or {}).get(name, 1)
        side, cells = _cells(frame[name], kinds, digits, signed=name in signed)
        style = f'style="text-align:{side};{WRAP}"'  # pandoc reads no style sheet
        heading = f"<th {style}>{escape(header)}</th>"
        filled.append([heading, *(f"<td {style}>{cell}</td>" for cell in cells)])
    head, *rows = (f"<tr>{''.join(row)}</tr>" for row in zip(*filled, strict=True))
    body = "".join(rows)
    marked = unmarked(caption)
    if len(marks := [one for one in MARKS.values() if f" {one}" in body]) == 1:
        body = body.replace(f" {marks[0]}", "")
        marked = f"{marks[0]} {marked}"
    above = f"<caption>{escape(marked)}{_sourced(source, shown)}</caption>"
    html = f"{above}<thead>{head}</thead><tbody>{body}</tbody>"
    return _open(Block(f'<table class="exhibit">{html}</table>', f"Table: {caption}", parts))


def _cells(
    values: pd.Series, kinds: Iterable[str], digits: int, *, signed: bool
) -> tuple[str, list[str]]:
    """Return the side at which a column is aligned, and its cells as HTML."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not numeric:
        return "left", [cell if isinstance(cell, Label) else escape(str(cell)) for cell in values]
    pairs = zip(values, kinds, strict=True)
    return "right", [number(float(one), digits, signed=signed, mark=of) for one, of in pairs]


def _taken(rows: pd.DataFrame, headers: Mapping[str, str], caption: str) -> tuple[Part, ...]:
    """Return a table's estimates as data for export, or an empty tuple if it has none.

    Rows are labelled by the first column; the unit is the text after the comma in the header of the
    estimates.
    """
    first = next(iter(headers))
    unit = headers.get("estimate", "").partition(", ")[2]
    if not {"estimate", "conf_low"} & set(rows):
        return ()
    names = rows[first].map("{:g}".format if pd.api.types.is_float_dtype(rows[first]) else str)
    rows = rows.assign(label=f"{headers[first]}: " + names, provenance=kind_of_numbers("estimate"))
    return (of_estimates("estimates", caption, rows if "unit" in rows else rows.assign(unit=unit)),)


def sections(titled: Sequence[tuple[str, pd.DataFrame]]) -> Block:
    """Return several titled tables, one below another.

    Integers are shown without decimals.
    """
    tables = [
        table(rows, title, decimals=dict.fromkeys(rows.select_dtypes("integer"), 0))
        for title, rows in titled
    ]
    return reduce(add, tables)


def threats_note(rows: pd.DataFrame) -> Block:
    """Return a list of other events during the closures.

    It is empty for dated threats in a simulated market.
    """
    if LOOK.simulated and "first" in rows:
        return NOTHING
    if rows.empty:
        return note("The event names no threats.")
    texts = (
        rows["months"]
        + ", "
        + rows["event"]
        + " (hits "
        + rows["hits"]
        + "; "
        + rows["threat_id"]
        + ")"
    )
    return say(f"{'; '.join(texts)}.", lead="What else happened in those months.")


# Estimates


def as_bounds(rows: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """Remove the point estimates from the rows with the given ids, leaving only bounds."""
    return rows.assign(estimate=rows["estimate"].mask(rows["id"].isin(names)))


def estimates(
    rows: pd.DataFrame, caption: str = CAPTION, *, true: Mapping[str, float] | None = None
) -> Block:
    """Return a table of estimates, followed by the reasons for any that are missing.

    Parameters
    ----------
    rows : DataFrame
        `id`, `label`, `estimate`, `conf_low`, `conf_high`, `unit`, `n`, `mde` and `reason`; `grade`
        is shown if present. A value in a column `truth` overrides that of `true`.
    caption : str
        Caption, by default the Markdown cell below, as for a figure. The unit, if all rows share
        it, and the meaning of marks and dashes are added to it. Estimates below the detectable
        effect are marked.
    true : mapping of str to float, optional
        True values by id, in a simulated market; adds the columns "Truth" and "Inside" (whether the
        interval contains the truth).
    """
    if true:
        given = rows["id"].map(true)
        rows = rows.assign(truth=rows["truth"].fillna(given) if "truth" in rows else given)
    shown = _estimate_columns(rows)
    if true:
        shown = shown.assign(**_truth_columns(rows))
    graded, notes = _grades(rows)
    if graded is not None:
        shown["Grade"] = graded
    notes = [caption, *_estimate_notes(rows, truths=bool(true)), *notes]
    taken = rows.assign(provenance=kind_of_numbers("estimate"))
    parts = (of_estimates("estimates", caption, taken[taken["id"] != "check"]),)
    exhibit = table(shown, " ".join(notes), provenance="estimate")
    return replace(exhibit, parts=parts) + reasons(rows)


def _units(rows: pd.DataFrame) -> pd.Series:
    return rows["unit"].fillna("").astype(str)


def _quantities(values: pd.Series, rows: pd.DataFrame, mark: str = "") -> pd.Series:
    """Format values in the units of the rows."""
    pairs = zip(values, _units(rows), strict=True)
    texts = [quantity(value, unit, mark=mark) for value, unit in pairs]
    return pd.Series(texts, index=rows.index, dtype=object)


def _estimate_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that every table of estimates has."""
    estimated = rows["estimate"].notna()
    bounded = rows["conf_low"].notna()
    units = _units(rows)
    points = _quantities(rows["estimate"], rows, kind_of_numbers("estimate"))
    points += _is_small(rows).map({True: f" {SMALL}", False: ""})
    ends = zip(rows["conf_low"], rows["conf_high"], units, bounded, strict=True)
    shown = pd.DataFrame({"Effect": rows["label"]})
    shown["Estimate"] = points.where(estimated, bounded.map({True: A_SET, False: NOT_ESTIMABLE}))
    shown["Interval"] = [span(low, high, unit) if there else "–" for low, high, unit, there in ends]
    if len({*units} - {""}) > 1:
        shown["Unit"] = units
    shown["n"] = [number(value, 0) for value in rows["n"]]
    shown["Detectable"] = _quantities(rows["mde"], rows).str.lstrip("+")
    return shown


def _is_small(rows: pd.DataFrame) -> pd.Series:
    """Return whether each estimate is smaller than the detectable effect."""
    return rows["estimate"].abs() < rows["mde"]


def _truth_columns(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the true values, and whether the intervals contain them."""
    truth = rows["truth"]
    held = truth.between(rows["conf_low"], rows["conf_high"]).map({True: "yes", False: "no"})
    known = truth.notna() & rows["conf_low"].notna()
    return {
        "Truth": _quantities(truth, rows, kind_of_numbers("estimate")),
        "Inside": held.where(known, "–"),
    }


def _estimate_notes(rows: pd.DataFrame, *, truths: bool) -> list[str]:
    """Return what the caption of a table of estimates adds about its numbers."""
    units = [unit for unit in _units(rows).unique() if unit]
    notes = {
        f"Unit: {', '.join(units)}.": len(units) == 1,
        "Detectable: the smallest effect that four of five such panels would show.": (
            rows["mde"].notna().any()
        ),
        f"{SMALL} smaller than the detectable effect.": _is_small(rows).any(),
        "Truth –: none is defined.": (
            truths and (rows["truth"].isna() & rows["estimate"].notna()).any()
        ),
    }
    return [note for note, holds in notes.items() if holds]


def _grades(rows: pd.DataFrame) -> tuple[pd.Series | None, list[str]]:
    """Return the column of grades, or None if all are alike, and what the caption adds on them."""
    if "grade" not in rows:
        return None, []
    bounded = rows["conf_low"].notna()
    ungraded = bounded & (rows["grade"].fillna(NOT_GRADED) == NOT_GRADED)
    shown = rows["grade"].where(bounded & rows["grade"].fillna("").ne(""), "–")
    named = {*shown} - {"–"}
    if len(named) == 1:
        column = None
        notes = [f"Grade of all that have an interval: {''.join(named)} (design audit)."]
    else:
        column = shown
        notes = ["Grades are those of the design audit."]
    if ungraded.any():
        notes.append("Not graded: the design audit did not test it.")
    return column, notes


def reasons(rows: pd.DataFrame) -> Block:
    """Return the distinct reasons for missing estimates or standard errors.

    `rows` are those of :func:`estimates`.
    """
    refusals = rows[rows["reason"].fillna("") != ""].drop_duplicates("reason").to_dict("records")
    return reduce(
        add, [say(sentence_of(row["reason"]), lead=f"{row['label']}:") for row in refusals], NOTHING
    )
