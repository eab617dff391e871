"""Evaluate the expressions in a notebook's text, and put their values and captions in.

Prose stands in Markdown cells, and takes its numbers by MyST's inline expressions, such as
``{eval}`fall(tiza)` ``. `Client` evaluates those of a cell in its turn, and stores the results as
jupyterlab-myst does. `assembled` returns the notebook in the form that pages are made from: with
text for expressions, and the caption of each exhibit, which is the Markdown cell below it, put in.

It imports pandas, which is slow: the rest of the runner imports it where it is needed.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

from analysis.exhibits.payload import (
    CAPTION,
    MIME,
    NOT_SAID,
    OPEN,
    REFUSED,
    read_verdict_rows,
)
from analysis.numbers import MARKED, unmarked
from runner import SentenceError
from runner.cells import COUNTS, Cell, shown
from runner.titles import titled

EXPRESSION = re.compile(r"\{eval\}`([^`\n]+)`")
LEAD = re.compile(r"(Figure|Table): ")
TITLE = re.compile(r"\*\*(.+?)\*\*\s*")
SYNTAX = re.compile(r"([\\`*_\[\]<>#|$~^])")  # signs that Markdown would read
ADDRESS = re.compile(r":(?=//)|@")  # by which pandoc tells what it makes a link
OUTSIDE_TAGS = re.compile(rf"({ADDRESS.pattern})(?![^<>]*>)")
ESCAPED = re.compile(r"\\(.)")
ABOUT = re.compile(r"(found|in_brief)\(")
IMAGE = re.compile(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]*)"')
BOX = "box"  # tags
BRIEF = "brief"


@dataclass
class Text:
    """What the text of a notebook comes to.

    Attributes
    ----------
    refused : dict
        Sentences that their numbers refuse, by what is said of each.
    found, detail : dict
        By the statement of a claim: what was found, and what the brief says.
    marks : Counter
        Numbers by the mark of their provenance.
    """

    refused: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    detail: dict[str, str] = field(default_factory=dict)
    marks: Counter[str] = field(default_factory=Counter)


def expressions(cell: Mapping[str, Any]) -> list[str]:
    """Return the expressions in the text of a cell, in order."""
    return EXPRESSION.findall("".join(cell["source"]))


# Sentences


def _value(result: Mapping[str, Any]) -> tuple[str, bool]:
    """Return a value as text, and whether it is HTML."""
    shown = result["data"]
    if "text/html" in shown:  # pandoc takes spans from it, and needs its own marks for the rest
        bold = re.sub("</?strong>", "**", shown["text/html"])
        return re.sub("</?em>", "*", bold), True
    plain = str(shown["text/plain"])
    if re.fullmatch(r"('|\").*\1", plain, re.DOTALL):
        with suppress(SyntaxError, ValueError):  # quoted words, not the repr of text
            plain = str(ast.literal_eval(plain))
    return plain, False


def _line(
    cell: Mapping[str, Any], line: str, values: Iterator[Any], text: Text, plain: bool
) -> Any:
    """Return a line with values for its expressions, or None if it is left out.

    The first expression that fails or says `NOT_SAID` decides, since a condition stands before what
    it governs. A `plain` line takes values without escaping what Markdown would read.
    """
    said, *rest = EXPRESSION.split(line)
    asked = [next(values) for _ in rest[::2]]
    for each, after in zip(asked, rest[1::2], strict=True):
        result = each["result"]
        if result["status"] != "ok":
            _refuse(cell, line, each, text)
            return None
        value, is_html = _value(result)
        if value == NOT_SAID:
            return None
        if is_html:
            value = OUTSIDE_TAGS.sub(r"\\\g<0>", value)
        elif not plain:
            value = ADDRESS.sub(r"\\\g<0>", SYNTAX.sub(r"\\\1", value))
        said += value + after
    return said


def _refuse(cell: Mapping[str, Any], line: str, failed: Mapping[str, Any], text: Text) -> None:
    """Record a sentence that its numbers refuse; raise `SentenceError` for any other failure."""
    result = failed["result"]
    sentence = EXPRESSION.sub("…", line).strip(" …")
    why = f"{failed['expression']}: {result['evalue']}"
    refusal = f"cell {cell.get('id', '')}: “{sentence}” cannot be said ({why})"
    if result["ename"] != "UntrueError":
        raise SentenceError(f"{refusal}; correct the expression.")
    text.refused[refusal] = sentence


def filled(cell: Mapping[str, Any], text: Text, *, plain: bool = False) -> str:
    """Return the text of a Markdown cell with values, without the lines that do not hold.

    What its paragraphs say of a verdict is recorded in `text`.
    """
    values = iter(cell["metadata"].get("user_expressions", []))
    kept = list[str]()
    about: tuple[dict[str, str], str] | None = None
    for line in "".join(cell["source"]).split("\n"):
        said = _line(cell, line, values, text, plain=plain)
        if said is None:
            continue
        text.marks.update(mark for _, mark in MARKED.findall(said))
        said = unmarked(said)
        kept.append(said)
        about = _recorded(line, said, about, cell, text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _recorded(
    line: str,
    said: str,
    about: tuple[dict[str, str], str] | None,
    cell: Mapping[str, Any],
    text: Text,
) -> tuple[dict[str, str], str] | None:
    """Record a line that says something of a verdict; return what the paragraph is about."""
    if not line.strip():
        return None
    asked = EXPRESSION.match(line)
    named = ABOUT.match(asked[1]) if asked else None
    bare = ESCAPED.sub(r"\1", said)
    if asked and named:
        results = cell["metadata"]["user_expressions"]
        of = next(each["result"] for each in results if each["expression"] == asked[1])
        statement = unmarked(_value(of)[0])
        into = text.found if named[1] == "found" else text.detail
        into[statement] = bare.replace(statement, "", 1).strip()
        return into, statement
    if about:
        into, statement = about
        into[statement] = f"{into[statement]} {bare}".strip()
    return about


# Exhibits


def _exhibit(cell: Cell | None, where: str) -> dict[str, Any] | None:
    """Return what a caption below a cell belongs to, or None if a refusal stands in its place."""
    outputs: Iterator[Cell] = reversed([*shown(cell or {})])
    for data in outputs:
        page = "".join(data.get("text/html", ""))
        if OPEN in page:
            return data
        if MIME in data and (REFUSED in page or not page):
            return None
    raise SentenceError(
        f"{where}: no exhibit awaits this caption; end the cell above with one figure or table."
    )


def _bare(notebook: Mapping[str, Any]) -> None:
    """Raise `SentenceError` for an exhibit that is left without a caption."""
    for cell in notebook["cells"]:
        for data in shown(cell):
            if OPEN in "".join(data.get("text/html", "")):
                raise SentenceError(
                    f"cell {cell.get('id', '')}: its exhibit has no caption; begin the Markdown"
                    " cell below with `Figure:` or `Table:`."
                )


def _put_in(exhibit: dict[str, Any], caption: str) -> None:
    """Put a caption into the forms of an exhibit, with its title above the picture."""
    page = "".join(exhibit["text/html"])
    bold = TITLE.match(caption)
    title = bold[1] if bold else ""
    rest = caption[bold.end() :] if bold else caption
    if title and IMAGE.search(page):
        simulated = f"Simulated – {OPEN}" in page
        shown_title = f"Simulated – {title}" if simulated else title
        spoken = escape(f"{shown_title.removesuffix('.')}. ")
        page = IMAGE.sub(
            lambda image: (
                f'<img src="data:image/svg+xml;base64,{titled(image[1], shown_title, simulated)}"'
                f' alt="{spoken}{image[2].removeprefix("Simulated – ")}"'
            ),
            page,
        )
    elif title:
        rest = f"{title} {rest}"
    exhibit["text/html"] = page.replace(OPEN, escape(rest))
    exhibit["text/plain"] = "".join(exhibit["text/plain"]).replace(CAPTION, rest)
    for part in exhibit[MIME]:
        part["caption"] = part["caption"].replace(CAPTION, rest)


def printed(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs that reach the PDF: its exhibits, and nothing else."""
    return {**notebook, "cells": [*map(_printed, notebook["cells"])]}


def _printed(cell: Cell) -> Cell:
    """Return a cell with its exhibits, and with the error that it ended in, if any."""
    if cell["cell_type"] != "code":
        return cell
    kept = [
        output
        for output in cell["outputs"]
        if MIME in output.get("data", {}) or output["output_type"] == "error"
    ]
    return {**cell, "outputs": kept}


# The notebook


def assembled(notebook: Mapping[str, Any], *, strict: bool) -> tuple[dict[str, Any], Text]:
    """Return an executed notebook with its text and captions put in, and what its text comes to.

    Parameters
    ----------
    notebook : mapping
        As executed, with the results of expressions in its cells.
    strict : bool
        Whether a sentence that its numbers refuse is an error. If not, it is left out, and the
        last cell lists it.

    Raises
    ------
    SentenceError
        For refused sentences, all of them in one message; for an expression that fails otherwise;
        for a caption without an exhibit, or the reverse.
    """
    text = Text()
    done = copy.deepcopy(dict(notebook))
    executed = done["cells"]
    done["cells"] = []
    above: Cell | None = None
    for cell in executed:
        if cell["cell_type"] == "code":
            above = cell
            done["cells"].append(cell)
        elif kept := _text_cell(cell, above, text):
            done["cells"].append(kept)
    _bare(done)
    if text.refused and strict:
        said = "sentences that their numbers refuse; reword them, or say when they hold:"
        raise SentenceError("\n    ".join([said, *text.refused]))
    if text.refused:
        done["cells"].append(_left_out(text, [cell.get("id") for cell in done["cells"]]))
    done["metadata"][COUNTS] = dict(sorted(text.marks.items()))
    return done, text


def _text_cell(cell: Cell, above: Cell | None, text: Text) -> Cell | None:
    """Return a Markdown cell with its text filled in, or None if it is no cell of its own."""
    if cell["cell_type"] != "markdown":
        return cell
    tags = cell["metadata"].get("tags", [])
    if LEAD.match("".join(cell["source"])):
        exhibit = _exhibit(above, f"cell {cell.get('id', '')}")
        if exhibit:
            said = LEAD.sub("", filled(cell, text, plain=True), count=1)
            _put_in(exhibit, " ".join(ESCAPED.sub(r"\1", said).split()))
        return None
    said = filled(cell, text)
    cell["metadata"].pop("user_expressions", None)
    if not said or BRIEF in tags:
        return None
    if BOX in tags:
        said = f'<div class="answer">\n\n{said}\n\n</div>'
    cell["source"] = said
    return cell


def _left_out(text: Text, ids: list[str | None]) -> Cell:
    """Return the cell that lists the sentences left out."""
    sentences = "; ".join(f"“{sentence}”" for sentence in text.refused.values())
    said = f"Left out, since they do not hold with these parameters: {sentences}."
    cell = {
        "cell_type": "markdown",
        "metadata": {},
        "source": f'<div class="note">\n\n{said}\n\n</div>',
    }
    return {**cell, "id": "left-out"} if any(ids) else cell


def verdicts(notebook: Mapping[str, Any], text: Text) -> list[dict[str, Any]] | None:
    """Return the verdicts that a notebook hands on, with what its text says of them.

    Return None if it hands on nothing, not even that there are none.
    """
    handed_on = [part["csv"] for part in _parts(notebook) if part["kind"] == "verdicts"]
    if not handed_on:
        return None
    rows = [*chain.from_iterable(map(read_verdict_rows, handed_on))]
    for row in rows:
        about = row.get("statement")
        if about in text.found:
            row["found"] = text.found[about].rstrip(".")
        if about in text.detail:
            row["detail"] = text.detail[about]
    return rows


def _parts(notebook: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the data behind the exhibits of a notebook."""
    for data in chain.from_iterable(map(shown, notebook["cells"])):
        yield from data.get(MIME, [])


def assemble_file(file: Path, *, strict: bool) -> list[dict[str, Any]] | None:
    """Assemble an executed notebook in its file, and return what verdicts it hands on, if any."""
    notebook = json.loads(file.read_bytes())
    done, text = assembled(notebook, strict=strict)
    file.write_text(json.dumps(done, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return verdicts(done, text)
