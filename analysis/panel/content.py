"""A digest of what a panel holds, whatever the order in which it holds it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.estimate import Floats
from analysis.panel.columns import MONTH, NUMBER, attributes, columns

_FIRMS_AT_ONCE = 65_536  # so that a large panel is not copied whole


def month_numbers(dates: pd.Series) -> npt.NDArray[np.int64]:
    """Return the months since January 1970 of dates; for NaT the smallest int64."""
    return np.asarray(dates.to_numpy("datetime64[M]").astype(np.int64))


def digest_of(
    sales: Floats, firms: pd.DataFrame, platforms: tuple[str, ...], months: pd.PeriodIndex, provenance: str
) -> str:
    """Return the SHA-256, 64 hexadecimal digits, of a panel's content.

    Firms and platforms count in the order of their names, every NaN as the same, and -0 as 0.
    """
    said = {"provenance": provenance, "platforms": sorted(platforms), "months": [str(months[0]), len(months)]}
    found = hashlib.sha256(json.dumps(said).encode())
    order = np.argsort(firms.index.to_numpy(object), kind="stable")
    found.update("\0".join(firms.index[order]).encode())
    for name in attributes():
        found.update(_bytes(firms[name].iloc[order], columns()[name].kind))
    for platform in sorted(platforms):
        axis = platforms.index(platform)
        for start in range(0, len(order), _FIRMS_AT_ONCE):
            found.update(_canonical(sales[order[start : start + _FIRMS_AT_ONCE], axis]))
    return found.hexdigest()


def _bytes(values: pd.Series, kind: str) -> bytes:
    if kind == NUMBER:
        return _canonical(values.to_numpy(np.float64))
    if kind == MONTH:
        return month_numbers(values).astype("<i8").tobytes()
    return "\0".join(values).encode()


def _canonical(values: Floats) -> bytes:
    return np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8").tobytes()
