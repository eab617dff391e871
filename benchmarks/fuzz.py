"""Give every reader files that are wrong in ways that hypothesis makes up: ``make fuzz``.

A reader reads a file or refuses it with a DataError or a DesignError. Any other exception, and a file that takes longer
than `PATIENCE`, is a fault: it is printed with the smallest file that shows it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from analysis import data, yaml
from analysis.errors import DataError, DesignError
from analysis.event import EVENTS, read_event
from analysis.panel import read_panel
from analysis.panel.propose import propose
from analysis.provenance import ROOT
from runner.schedule import Schedule

PURCHASES = runpy.run_path(str(data.DATA / "households" / "count.py"))
PATIENCE = 20  # seconds
MEMORY = 6 << 30
ODD = ["", " ", "\0", "\ufeff", "\ue000", "\uffff", "🦊", "\u202eCN", "cn", "ＣＮ", "x" * 300, "'", ",", "\r", "\n"]
ODD += ["{", "[", "&a", "*a", "<<", "!!python/name:os", "? ", "- ", "|", "%", "#", ": ", "0x1", ".inf", "nan", "1e308"]
ODD += ["1e15", "-1", "9" * 5000, "2021-02-30", "2021-13", "0000-00", "9999-12", "44317", "２０２１-05", "\\ud800", '"']
ODD += ["../../etc/passwd", "/dev/zero", "<script>", "=1+1", "{{x}}", "#import", "[x](javascript:x)", "AMZ", "$x$"]
ODD += ["2021-05"]

Reader = Callable[[Path], Any]
Case = tuple[str, Reader, st.SearchStrategy[bytes]]  # name of the file, its reader, and wrong files


class Hang(BaseException):
    """A wait that is too long; not an Exception, so that no reader takes it for a fault of its file."""


@contextmanager
def patience() -> Iterator[None]:
    """Raise Hang after `PATIENCE` seconds."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Right files, from which wrong ones are made

MAP = {
    "columns": {"firm": "seller", "sales": "gmv"},
    "platforms": {"AMZ": "AMZ", "EBY": "EBY"},
    "origins": {"CN": "CN", "US": "other"},
    "month_format": ["%Y-%m", "%d/%m/%Y"],
    "currency": "CNY",
    "rates": {"2020": "0.15", "2021": "0.16"},
    "missing": ["n/a"],
    "absent": "zero",
}


def panel_rows() -> pd.DataFrame:
    """Return a small panel."""
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


def order_rows() -> pd.DataFrame:
    """Return a few purchases of households."""
    row = ("2020-03-04", "12.5", "2", "ANKER cable", "B01", "CABLE", "R1")
    return pd.DataFrame([row] * 6, columns=[*PURCHASES["COLUMNS"].values()])


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


def as_written(file: Path) -> dict[str, Any]:
    """Return a YAML file with all its values as text."""
    content: dict[str, Any] = YAML(typ="base", pure=True).load(file)
    return content


# Wrong files

TEXT = st.sampled_from(ODD) | st.text(max_size=12)
CELLS = TEXT | st.floats() | st.integers() | st.none() | st.booleans() | st.dates() | st.binary(max_size=4)
LEAVES = TEXT | st.integers() | st.none() | st.booleans() | st.floats()
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)


@st.composite
def damaged(draw: st.DrawFn, right: bytes) -> bytes:
    """Return bytes with pieces cut, doubled, turned or put in."""
    content = bytearray(right)
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(content))), draw(st.sampled_from([0, 1, 1, 2, 8, 100, 5000]))
        piece = bytes(content[start : start + length])
        replacements = st.sampled_from([b"", piece * 2, bytes(255 - byte for byte in piece)]) | st.binary(max_size=8)
        text = TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))
        content[start : start + length] = draw(replacements | text)
    return bytes(content)


@st.composite
def odd_tables(draw: st.DrawFn, frame: pd.DataFrame, ending: str) -> bytes:
    """Return a file of its kind with some odd cells, columns, names or metadata."""
    for _ in range(draw(st.integers(1, 3))):
        frame = frame.astype(object)
        name = draw(st.sampled_from([*frame.columns]))
        match draw(st.sampled_from(["cell", "column", "name", "double", "drop"])):
            case "cell":
                frame.iloc[draw(st.integers(0, len(frame) - 1)), [*frame.columns].index(name)] = draw(CELLS)
            case "column":
                frame = frame.assign(**{name: [draw(CELLS)] * len(frame)})
            case "name":
                frame = frame.rename(columns={name: draw(TEXT)})
            case "double":
                frame = pd.concat([frame, frame.sample(draw(st.integers(1, 3)), random_state=0)], ignore_index=True)
            case _ if len(frame.columns) > 1:
                frame = frame.drop(columns=name)
        frame = frame.loc[:, ~frame.columns.duplicated()]
    if ending == ".parquet":
        return draw(odd_parquet(frame))
    try:
        return written(frame, ending)
    except Exception:  # no program writes such a file of its kind
        return written(frame.map(repr), ".csv")


@st.composite
def odd_parquet(draw: st.DrawFn, frame: pd.DataFrame) -> bytes:
    """Return a Parquet file of odd cells, with odd metadata and a column of an odd type."""
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
        times = [pa.timestamp("ns"), pa.timestamp("s", "Asia/Shanghai")]
        types = [pa.list_(pa.string()), pa.binary(), pa.decimal128(30, 2), *times]
        nulls = pa.nulls(len(table), draw(st.sampled_from(types)))
        table = table.set_column(table.column_names.index(name), name, nulls)
    file = io.BytesIO()
    pa.parquet.write_table(table, file)
    return file.getvalue()


@st.composite
def odd_documents(draw: st.DrawFn, right: dict[str, Any]) -> bytes:
    """Return JSON, which is YAML too, with a value of any shape somewhere."""
    content = json.loads(json.dumps(right))
    branch: Any = content
    while isinstance(branch, dict | list) and branch:
        key = draw(st.sampled_from([*branch] if isinstance(branch, dict) else [*range(len(branch))]))
        if not isinstance(branch[key], dict | list) or draw(st.integers(0, 2)) == 0:
            branch[key] = draw(NESTED)
            break
        branch = branch[key]
    return json.dumps(content).encode()


# The readers


def read_descriptor(path: Path) -> None:
    """Read a data file by its descriptor."""
    shutil.copy(ROOT / "data" / "counts.csv", path.parent)
    data.load("counts", root=path.parent)
    data.check(path.parent)


def read_with_map(path: Path) -> None:
    """Read a panel by its map."""
    panel = path.with_name("panel.csv")
    panel.write_bytes(written(panel_rows().rename(columns={"firm": "seller", "sales": "gmv"}), ".csv"))
    read_panel(panel, map=path)


def cases() -> dict[str, Case]:
    """Return the cases by name."""
    documents: dict[str, tuple[str, Reader, dict[str, Any]]] = {
        "map": ("a.yml", read_with_map, MAP),
        "event": ("a.yml", lambda path: read_event(str(path)), as_written(EVENTS / "amazon_2021.yml")),
        "schedule": ("a.yml", lambda path: yaml.load(path, Schedule), as_written(ROOT / "reports" / "schedule.yml")),
        "descriptor": (data.DESCRIPTOR, read_descriptor, {"resources": [data.card("counts")]}),
    }
    by_name: dict[str, Case] = {
        name: (file, reader, odd_documents(right) | damaged(json.dumps(right, indent=1).encode()))
        for name, (file, reader, right) in documents.items()
    }
    for ending in (".csv", ".csv.gz", ".tsv", ".parquet", ".xlsx", ".dta"):
        files = damaged(written(panel_rows(), ending)) | odd_tables(panel_rows(), ending)
        by_name |= {f"panel {ending}": (f"a{ending}", read_panel, files)}
        by_name |= {f"proposed map {ending}": (f"a{ending}", propose, files)}
    for ending in (".csv", ".parquet"):
        files = damaged(written(order_rows(), ending)) | odd_tables(order_rows(), ending)
        by_name |= {f"purchases {ending}": (f"a{ending}", PURCHASES["count"], files)}
    return by_name


def fuzz(name: str, examples: int, start: int = 0) -> Counter[str]:
    """Give a reader some files, and return how many it has read and refused; raise what it should not."""
    file, reader, files = cases()[name]
    counts = Counter[str]()

    @seed(start)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(files)
    def give(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, file)
            path.write_bytes(content)
            try:
                with patience():
                    reader(path)
                counts["read"] += 1
            except (DataError, DesignError):
                counts["refused"] += 1
            except Hang:
                raise TimeoutError(f"{name}: no answer within {PATIENCE} seconds") from None

    give()
    return counts


def main() -> int:
    """Fuzz all readers, or those named, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"some of: {', '.join(cases())}")
    parser.add_argument("--examples", type=int, default=1000, help="files for each reader (1000)")
    parser.add_argument("--seed", type=int, default=0, help="another number makes other files (0)")
    options = parser.parse_args()
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faults = 0
    for name in options.readers or cases():
        try:
            counts = fuzz(name, options.examples, options.seed)
            print(f"{name:24}{counts['refused']:8,} refused{counts['read']:8,} read", flush=True)
        except Exception:
            faults += 1
            print(f"{name:24} fails\n{traceback.format_exc()}", flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
