"""Give every reader files that are wrong in ways that hypothesis makes up, and count what comes of them.

A reader may read a file or refuse it with a DataError or a DesignError. A traceback of anything else, and a file that
takes longer than `PATIENCE`, is a fault: the first of each kind is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from analysis import config, data
from analysis.errors import DataError, DesignError
from analysis.households import purchases
from analysis.panel import read_panel
from analysis.panel.propose import propose
from analysis.provenance import ROOT

PATIENCE = 20  # seconds
MEMORY = 6 << 30
FATES = ("tried", "refused", "read", "tracebacks", "hangs")
ODD = [
    "",
    " ",
    "\0",
    "\ufeff",
    "\ue000",
    "\uffff",
    "🦊",
    "\u202eCN",
    "cn",
    "ＣＮ",
    "x" * 300,
    '"',
    "'",
    ",",
    "\r",
    "\n",
]
ODD += ["{", "[", "&a", "*a", "<<", "!!python/name:os", "? ", "- ", "|", "%", "#", ": ", "0x1", ".inf", "nan", "1e308"]
ODD += [
    "1e15",
    "-1",
    "9" * 5000,
    "2021-02-30",
    "2021-13",
    "0000-00",
    "9999-12",
    "44317",
    "２０２１-05",
    "\\ud800",
    "$x$",
]
ODD += ["../../etc/passwd", "/dev/zero", "<script>", "=1+1", "{{x}}", "#import", "[x](javascript:x)", "AMZ", "2021-05"]

Reader = Callable[[Path], Any]


class _Hang(BaseException):
    """Not an Exception, so that no reader takes it for a fault of its file."""


@contextmanager
def _patiently() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Files that are right, from which wrong ones are made


def _rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "firm": f"F{firm}",
            "brand_group": f"G{firm}",
            "origin": "CN" if firm % 2 else "US",
            "category": "c",
            "platform": platform,
            "month": f"2021-{month:02d}",
            "sales": 10.0 + firm,
            "closed_on": "2021-05" if firm == 1 else None,
        }
        for firm in range(4)
        for platform in ("AMZ", "EBY")
        for month in range(1, 10)
    )


def _orders() -> pd.DataFrame:
    row = ("2020-03-04", "12.5", "2", "ANKER cable", "B01", "CABLE", "R1")
    return pd.DataFrame([row] * 6, columns=[*purchases.COLUMNS.values()])


def written(frame: pd.DataFrame, ending: str) -> bytes:
    """Return a table as the bytes of a file."""
    file = io.BytesIO()
    if ending == ".parquet":
        frame.to_parquet(file, index=False)
    elif ending == ".xlsx":
        frame.to_excel(file, index=False)
    elif ending == ".dta":
        frame.fillna("").to_stata(file, write_index=False)
    else:
        text = frame.to_csv(index=False, sep="\t" if ending == ".tsv" else ",")
        file.write(text.encode("utf-8", "surrogatepass"))
    return gzip.compress(file.getvalue()) if ending == ".csv.gz" else file.getvalue()


# What is done to them

ODD_TEXT = st.sampled_from(ODD) | st.text(max_size=12)
CELLS = ODD_TEXT | st.floats() | st.integers() | st.none() | st.booleans() | st.dates() | st.binary(max_size=4)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return bytes with pieces cut, doubled, turned or put in."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place, length = draw(st.integers(0, len(content))), draw(st.sampled_from([0, 1, 1, 2, 8, 100, 5000]))
        piece = content[place : place + length]
        new = draw(
            st.sampled_from([b"", bytes(piece) * 2, bytes(255 - one for one in piece)])
            | ODD_TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
            | st.binary(max_size=8)
        )
        content[place : place + length] = new
    return bytes(content)


@st.composite
def odd_tables(draw: st.DrawFn, frame: pd.DataFrame, ending: str) -> bytes:
    """Return a file of its kind that is whole, of which some cells, columns, names or metadata are odd."""
    for _ in range(draw(st.integers(1, 3))):
        frame = frame.astype(object)
        name = draw(st.sampled_from([*frame.columns]))
        match draw(st.sampled_from(["cell", "column", "name", "double", "drop"])):
            case "cell":
                frame.iloc[draw(st.integers(0, len(frame) - 1)), [*frame.columns].index(name)] = draw(CELLS)
            case "column":
                frame = frame.assign(**{name: [draw(CELLS)] * len(frame)})
            case "name":
                frame = frame.rename(columns={name: draw(ODD_TEXT)})
            case "double":
                frame = pd.concat([frame, frame.sample(draw(st.integers(1, 3)), random_state=0)], ignore_index=True)
            case _ if len(frame.columns) > 1:
                frame = frame.drop(columns=name)
        frame = frame.loc[:, ~frame.columns.duplicated()]
    if ending == ".parquet":
        return draw(_odd_parquet(frame))
    try:
        return written(frame, ending)
    except Exception:  # no program writes such a file of its kind
        return written(frame.map(repr), ".csv")


@st.composite
def _odd_parquet(draw: st.DrawFn, frame: pd.DataFrame) -> bytes:
    columns = {}
    for name in frame:
        try:
            columns[name] = pa.array(frame[name].where(frame[name].notna(), None))
        except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
            columns[name] = pa.array([f"{cell!r}" for cell in frame[name]])
    keys = st.sampled_from([b"provenance", b"population", b"platform_order", b"pandas", b"ARROW:schema"])
    values = st.sampled_from([b"\xff", b"3", b"null", b"{", b'["EBY"]', b'[["AMZ"]]', b"simulated", b"[" * 5000])
    table = pa.table(columns).replace_schema_metadata(draw(st.dictionaries(keys, values | st.binary(max_size=9))))
    if draw(st.booleans()):
        name = draw(st.sampled_from(table.column_names))
        kind = draw(st.sampled_from([pa.list_(pa.string()), pa.binary(), pa.decimal128(30, 2), pa.timestamp("ns")]))
        table = table.set_column(table.column_names.index(name), name, pa.nulls(len(table), kind))
    file = io.BytesIO()
    pa.parquet.write_table(table, file)
    return file.getvalue()


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3), max_leaves=8
    )


@st.composite
def odd_keys(draw: st.DrawFn, whole: dict[str, Any]) -> bytes:
    """Return JSON, which is YAML too, with values of any shape in the place of some."""
    content = json.loads(json.dumps(whole))
    place: Any = content
    while isinstance(place, dict | list) and place:
        keys = [*place] if isinstance(place, dict) else [*range(len(place))]
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(st.integers(0, 2)) == 0:
            place[key] = draw(_nested(ODD_TEXT | st.integers() | st.none() | st.booleans() | st.floats()))
            break
        place = place[key]
    return json.dumps(content).encode()


# The readers


def _descriptor(path: Path) -> Any:
    root = path.parent
    shutil.copy(ROOT / "data" / "counts.csv", root)
    data.load("counts", root=root)
    return data.check(root)


def _package() -> dict[str, Any]:
    return {"resources": [data.card("counts")]}


def _map() -> dict[str, Any]:
    return {
        "columns": {"firm": "seller", "sales": "gmv"},
        "platforms": {"AMZ": "AMZ", "EBY": "EBY"},
        "origins": {"CN": "CN", "US": "other"},
        "month_format": ["%Y-%m", "%d/%m/%Y"],
        "currency": "CNY",
        "rates": {"2020": "0.15", "2021": "0.16"},
        "missing": ["n/a"],
        "absent": "zero",
    }


def _as_written(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="base", pure=True).load(file)
    return found


def _with_map(path: Path) -> Any:
    panel = path.with_name("panel.csv")
    panel.write_bytes(written(_rows().rename(columns={"firm": "seller", "sales": "gmv"}), ".csv"))
    return read_panel(panel, map=path)


def cases() -> dict[str, tuple[str, Reader, bytes, st.SearchStrategy[bytes]]]:
    """Return by reader the name of its file, the reader, a file that is right, and wrong ones that are made from it."""
    found: dict[str, tuple[str, Reader, bytes, st.SearchStrategy[bytes]]] = {}
    documents: dict[str, tuple[str, Reader, dict[str, Any]]] = {
        "map": ("a.yml", _with_map, _map()),
        "event": ("a.yml", lambda path: config.read_event(str(path)), _as_written(config.EVENTS / "amazon_2021.yml")),
        "schedule": (
            "a.yml",
            lambda path: config.load(path, config.Schedule),
            _as_written(ROOT / "reports" / "schedule.yml"),
        ),
        "descriptor": (data.DESCRIPTOR, _descriptor, _package()),
    }
    for name, (file, reader, whole) in documents.items():
        right = json.dumps(whole, indent=1).encode()
        found[name] = (file, reader, right, odd_keys(whole) | damaged(right))
    for ending in (".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx", ".dta"):
        right = written(_rows(), ending)
        files = damaged(right) | odd_tables(_rows(), ending)
        found[f"panel {ending}"] = (f"a{ending}", read_panel, right, files)
        found[f"proposed map {ending}"] = (f"a{ending}", propose, right, files)
    for ending in (".csv", ".parquet"):
        right = written(_orders(), ending)
        files = damaged(right) | odd_tables(_orders(), ending)
        found[f"purchases {ending}"] = (f"a{ending}", purchases.count, right, files)
    return found


@dataclass
class Tried:
    """What came of the files that a reader was given: how often what, and the first of each kind of fault."""

    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(FATES, 0)))
    faults: dict[str, str] = field(default_factory=dict)

    def give(self, file: str, reader: Reader, content: bytes) -> None:
        """Give a reader a file."""
        self.counts["tried"] += 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, file)
            path.write_bytes(content)
            try:
                with _patiently():
                    reader(path)
                fate = "read"
            except (DataError, DesignError):
                fate = "refused"
            except _Hang:
                fate = "hangs"
                self.faults.setdefault("hang", f"{content[:400]!r}")
            except Exception as error:
                fate = "tracebacks"
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} in {place.name}, {Path(place.filename).name}:{place.lineno}"
                self.faults.setdefault(kind, f"{traceback.format_exc()}\n{content[:400]!r}")
        self.counts[fate] += 1

    def show(self, name: str) -> int:
        """Print a line of a reader, and its faults; return how many kinds of these there are."""
        print(f"{name:24}{''.join(f'{self.counts[fate]:12,}' for fate in FATES)}", flush=True)
        for kind, said in self.faults.items():
            print(f"  {kind}\n    {said.replace(chr(10), chr(10) + '    ')}", flush=True)
        return len(self.faults)


def fuzz(name: str, examples: int, start: int = 0) -> Tried:
    """Give a reader some files that hypothesis makes."""
    file, reader, _, files = cases()[name]
    tried = Tried()

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(files)
    def one(content: bytes) -> None:
        tried.give(file, reader, content)

    one()
    return tried


def asked_for() -> argparse.Namespace:
    """Read the command line, set what all readers are run under, and print the head of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"some of: {', '.join(cases())}")
    parser.add_argument("--examples", type=int, default=1000, help="files for each reader (1000)")
    parser.add_argument("--seed", type=int, default=0, help="another number makes other files (0)")
    asked = parser.parse_args()
    asked.readers = asked.readers or [*cases()]
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(f"{'reader':24}{''.join(f'{fate:>12}' for fate in FATES)}", flush=True)
    return asked


def main() -> int:
    """Fuzz all readers, or those named, and print a line for each."""
    asked = asked_for()
    return int(sum(fuzz(name, asked.examples, asked.seed).show(name) for name in asked.readers) > 0)


if __name__ == "__main__":
    sys.exit(main())
