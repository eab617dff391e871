"""The columns of a panel, read from ``data/panel.schema.json``: the only list of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from analysis.provenance import ROOT

SCHEMA = ROOT / "data" / "panel.schema.json"

TEXT, NUMBER, MONTH = "string", "number", "yearmonth"

OF_FILES = ("account", "renamed_from", "currency")
"""Columns that say how the rows of a file are read; a panel does not keep them."""


@dataclass(frozen=True)
class Column:
    """One field of the schema.

    Attributes
    ----------
    name, kind : str
        Name, and type: string, number or yearmonth.
    remedy : str
        What a person does about a wrong value.
    optional : bool
        Whether a file may lack it.
    of_firm : bool
        Whether it is the same in all rows of a firm.
    limits : dict
        Constraints: required, enum, minimum, exclusiveMinimum, maximum.
    """

    name: str
    kind: str
    remedy: str
    optional: bool
    of_firm: bool
    limits: dict[str, Any]


@cache
def columns() -> dict[str, Column]:
    """Return the columns by name, in the order of the schema."""
    fields = json.loads(SCHEMA.read_text(encoding="utf-8"))["fields"]
    return {
        field["name"]: Column(
            name=field["name"],
            kind=field["type"],
            remedy=field["remedy"],
            optional=field.get("optional", False),
            of_firm=field.get("constantWithin") == "firm",
            limits=field.get("constraints", {}),
        )
        for field in fields
    }


def attributes() -> list[str]:
    """Return the names of the columns that describe a firm."""
    return [column.name for column in columns().values() if column.of_firm]
