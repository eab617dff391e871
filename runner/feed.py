"""The Atom feed of an output folder: an entry for each run, from which alone it can be read what became of it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from runner.pdf import AUTHOR
from runner.release import DRAFT

PAGE, FEED = "index.html", "feed.xml"
ATOM = "http://www.w3.org/2005/Atom"
BARRED = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no sign of XML

Outcome = dict[str, Any]


def write(runs: Iterable[Outcome], there: Iterable[str]) -> str:
    """Return an Atom feed with an entry for each run, the newest first.

    Parameters
    ----------
    runs : iterable of outcomes
    there : iterable of str
        Names of the releases that can be opened.
    """
    runs, there = [*runs], {*there}
    ElementTree.register_namespace("", ATOM)
    root = ElementTree.Element(f"{{{ATOM}}}feed")
    _add(root, "title", "Reports")
    _add(root, "id", _id(AUTHOR))
    _add(root, "updated", max((run["at"] for run in runs), default="1970-01-01T00:00:00+00:00"))
    _add(root, "link", rel="self", href=FEED)
    _add(root, "link", rel="alternate", href=PAGE, type="text/html")
    _add(_add(root, "author"), "name", AUTHOR)
    for run in runs:
        entry = _add(root, "entry")
        _add(entry, "title", title(run))
        _add(entry, "id", _id(json.dumps({**run, "line": ""}, sort_keys=True)))
        _add(entry, "updated", run["at"])
        _add(entry, "category", term=run["outcome"])
        folder = run.get("release") or run.get("draft") or ""
        shown = folder in there or folder == DRAFT
        _add(entry, "link", rel="alternate", href=f"{quote(folder)}/{PAGE}" if shown else PAGE, type="text/html")
        _add(entry, "content", "\n".join([f"{title(run)}.", *lines(run)]), type="text")
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(parent: ElementTree.Element, name: str, text: str = "", **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, f"{{{ATOM}}}{name}", {key: _clean(one) for key, one in attributes.items()})
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    return BARRED.sub("\ufffd", text)


def _id(of: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{AUTHOR}/{of}").urn


def title(run: Outcome) -> str:
    """Say in a few words what became of a run."""
    where, as_of = run.get("release") or run.get("draft") or "", run.get("as_of", "")
    known = [where, "" if as_of and where.startswith(as_of) else f"as of {as_of}"]
    return f"{run['outcome'].capitalize()}: {', '.join(filter(None, known))}"


def lines(run: Outcome) -> list[str]:
    """Return a line for each thing that is to be told of a run."""
    named = {"changed_words": "Word changed: ", "stale": "Stale: ", "failures": "Failed: ", "notes": ""}
    found = [run["line"]] if run.get("line") else []
    found += [f"{before}{one}" for key, before in named.items() for one in run.get(key) or ()]
    return found + [f"{name}: {' '.join(line.split())}" for name, line in (run.get("reports") or {}).items()]
