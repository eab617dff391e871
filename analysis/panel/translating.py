"""Put the rows of a file into our words: labels to codes, money to US dollars, renamed accounts to their firm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.config import Map
from analysis.estimate import Floats
from analysis.panel.blocks import Block, marked, typed
from analysis.panel.files import File, Links, Months


def translated(file: File, names: Sequence[str]) -> Iterator[Block]:
    """Yield the rows of some of our columns in typed blocks, in our words.

    Raises
    ------
    DataError
        As :func:`analysis.panel.blocks.typed`; and for a label that the map does not know, or a month without a rate.
    """
    made = file.links.makes if file.links else ()
    for block in typed(file, [name for name in names if name not in made]):
        found = _in_codes(block, file.named) if file.named else block
        yield _followed(file.links, found) if file.links else found


def _in_codes(block: Block, named: Map) -> Block:
    texts, numbers = dict(block.texts), dict(block.numbers)
    for name, labels in (("platform", named.platforms), ("origin", named.origins)):
        if labels and name in texts:
            texts[name] = _relabelled(block, name, labels)
    if named.rates and "sales" in numbers and len(block.months["month"]):
        numbers["sales"] = numbers["sales"] * _rates(block, named, block.months["month"])
    return replace(block, texts=texts, numbers=numbers)


def _relabelled(block: Block, name: str, labels: Mapping[str, str]) -> pa.DictionaryArray:
    coded, known = block.texts[name], pa.array(list(labels), pa.string())
    unknown = marked(coded, pc.invert(pc.is_in(coded.dictionary, known)))
    path = block.file.named.path if block.file.named else ""
    block.refuse(unknown, name, f"one of the labels {', '.join(labels)}", do=f"add it under `{name}s` in {path}")
    codes = pa.array(list(labels.values()), pa.string()).take(pc.index_in(coded.dictionary, known))
    return pa.DictionaryArray.from_arrays(coded.indices, codes.fill_null(""))


def _rates(block: Block, named: Map, months: Months) -> Floats:
    every = np.arange(months.min(), months.max() + 1)
    rates: Floats = np.array([named.rate(str(np.datetime64(int(month), "M"))) for month in every])[months - every[0]]
    lacking = np.isnan(rates) & ~np.isnan(block.numbers["sales"])
    if lacking.any():
        month = np.datetime64(int(months[lacking.argmax()]), "M")
        asked, do = f"sales of a month with a rate for {named.currency}", f"add {month} to `rates` in {named.path}"
        block.refuse(lacking, "sales", asked, f"sales of {month}, which has none", do)
    return rates


def _followed(links: Links, block: Block) -> Block:
    """Return rows with the firm, and the closure of the firm, of their accounts."""
    coded = block.texts["account"]
    accounts = pc.index_in(coded.dictionary, links.accounts)
    texts, numbers, months = dict(block.texts), dict(block.numbers), dict(block.months)
    for name in links.texts.keys() & texts.keys():
        words = links.texts[name].take(accounts).fill_null("")
        texts[name] = pa.DictionaryArray.from_arrays(coded.indices, words)
    if links.closed is not None and links.dose is not None and "closed_on" in months:
        at = np.asarray(accounts.fill_null(0))[np.asarray(coded.indices)]
        months["closed_on"], numbers["dose"] = links.closed[at], links.dose[at]
    return replace(block, texts=texts, numbers=numbers, months=months)
