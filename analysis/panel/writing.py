"""Write a panel as Parquet: one row per firm, platform and month, in groups of firms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from analysis.errors import DataError
from analysis.panel.columns import MONTH, NUMBER, OF_FILES, TEXT, columns
from analysis.panel.files import ORDER, ROWS_AT_ONCE
from analysis.panel.panel import SIMULATED_ID, Panel

_TYPES = {TEXT: pa.string(), NUMBER: pa.float64(), MONTH: pa.date32()}


def write(panel: Panel, path: Path) -> None:
    """Write a panel; see `Panel.to_parquet`."""
    _refuse_unmarked(panel)
    said = {"provenance": panel.provenance, ORDER: json.dumps(panel.platforms)}
    names = [name for name in columns() if name not in OF_FILES]
    schema = pa.schema([(name, _TYPES[columns()[name].kind]) for name in names], metadata=said)
    per_firm = len(panel.platforms) * len(panel.months)
    step = max(1, ROWS_AT_ONCE // per_firm)
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(panel.firms), step):
            rows = _rows(panel, slice(start, start + step))
            writer.write_batch(pa.record_batch([rows[name] for name in names], schema=schema))


def _refuse_unmarked(panel: Panel) -> None:
    unmarked = panel.firms.index[~panel.firms.index.str.match(SIMULATED_ID)]
    if panel.provenance == "simulated" and len(unmarked):
        raise DataError(
            f"a simulated panel was to be written; {len(unmarked):,} of {len(panel.firms):,} firms, such as "
            f"{unmarked[0]!r}, have an id that does not say so; give them ids such as SIM-0417"
        )


def _rows(panel: Panel, firms: slice) -> dict[str, pa.Array]:
    """Return the columns of some firms: all months of the first platform, then of the next."""
    sales, who = panel.sales[firms], panel.firms.iloc[firms]
    count, platforms, months = sales.shape
    dates = panel.months.asi8.astype("datetime64[M]").astype("datetime64[D]")
    every = np.repeat(np.arange(count), platforms * months)
    columns_of = {name: _repeated(who[name], every) for name in who}
    return columns_of | {
        "firm": _repeated(who.index.to_series(), every),
        "platform": _words(np.tile(np.repeat(np.arange(platforms), months), count), panel.platforms),
        "month": pa.array(np.tile(dates, count * platforms)),
        "sales": pa.array(sales.reshape(-1), from_pandas=True),
        "provenance": _words(np.zeros(sales.size, dtype=int), [panel.provenance]),
    }


def _repeated(values: pd.Series, every: npt.NDArray[np.int64]) -> pa.Array:
    if pd.api.types.is_datetime64_any_dtype(values):
        return pa.array(values.to_numpy("datetime64[D]")[every], from_pandas=True)
    if pd.api.types.is_float_dtype(values):
        return pa.array(values.to_numpy()[every], from_pandas=True)
    codes, words = pd.factorize(values)
    return _words(codes[every], list(words))


def _words(codes: npt.NDArray[Any], words: Any) -> pa.StringArray:
    return pa.array(words, pa.string()).take(pa.array(codes))
