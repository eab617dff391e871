"""Which cells of the data differ between two data folders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.data import DESCRIPTOR

OF_BYTES = {"hash", "bytes", "vintage"}  # what the descriptor says of a file's bytes, which change with them


@dataclass(frozen=True)
class Cell:
    """A cell of the data that changed. Without a column a row came or went, and without a key the file changed."""

    file: str
    key: str
    column: str
    old: str
    new: str

    @property
    def said(self) -> str:
        """It in words."""
        what = f"{self.column} {change(self.old, self.new)}" if self.column else self.new or self.old
        return f"{', '.join(filter(None, [self.file, self.key]))}: {what}"


def compared(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[Cell]:
    """Compare files by path: tables by the keys that the descriptor declares, others as a whole."""
    cards = {card["path"]: card for one in (old, new) for card in _cards(one)}
    for file in sorted({*old, *new}):
        before, after = old.get(file), new.get(file)
        if before is None or after is None:
            yield _whole(file, "", "file", before is None)
        elif file == DESCRIPTOR:
            if _meaning(before) != _meaning(after):
                yield Cell(file, "", "", "", "what it says of the files changed")
        elif before != after:
            keys = cards.get(file, {}).get("schema", {}).get("primaryKey", [])
            yield from _of_tables(file, [keys] if isinstance(keys, str) else keys, before, after)


def _whole(file: str, key: str, what: str, new: bool) -> Cell:
    return Cell(file, key, "", "" if new else f"the {what} is gone", f"the {what} is new" if new else "")


def _cards(tables: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return list(json.loads(tables.get(DESCRIPTOR, b"{}")).get("resources", []))


def _meaning(descriptor: bytes) -> Any:
    content = json.loads(descriptor)
    cards = [{key: card[key] for key in card.keys() - OF_BYTES} for card in content.get("resources", [])]
    return content | {"resources": cards}


def _of_tables(file: str, keys: list[str], before: bytes, after: bytes) -> Iterator[Cell]:
    tables = []
    for content in (before, after):
        rows = [*csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))] if keys else []
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
    """Write what something was and is; what is missing is none."""
    was, now = ("none" if one in (None, "") else one for one in (old, new))
    return f"{was}, now {now}"
