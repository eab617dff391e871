"""Group rows of arrays by code, and check the shapes and unit order of user input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from fewtreated.errors import DataError, DesignError
from fewtreated.estimate import Bools, Floats, Ints
from fewtreated.jackknife import left_out

BLOCK = 2**18  # sums at a time, which fit into a processor's cache


def match_units(**arrays: Any) -> None:
    """Check that arrays have one row per unit.

    Also check that Series and frames agree on the order of rows.

    Estimators match units by position. `y` and `covariates` have two dimensions, all others one.
    Beside an array, rows numbered from 0 must be in order. None is ignored.

    Raises
    ------
    DesignError
        If numbers of rows differ; the message lists all shapes.
    DataError
        If two inputs are in different orders; the message names them.
    """
    arrays = {name: values for name, values in arrays.items() if values is not None}
    shapes = {name: np.shape(values) for name, values in arrays.items()}
    deep = [
        name
        for name, shape in shapes.items()
        if len(shape) != (2 if name in ("y", "covariates") else 1)
    ]
    if deep or len({shape[0] for shape in shapes.values()}) > 1:
        raise DesignError(
            "Cannot match units: the shapes are"
            f" {', '.join(f'{name} {shape}' for name, shape in shapes.items())}; pass one row per"
            " unit in each"
        )
    _check_order(arrays)


def _check_order(arrays: dict[str, Any]) -> None:
    """Raise DataError if Series or frames have different indexes."""
    indexes = {
        name: values.index
        for name, values in arrays.items()
        if isinstance(values, pd.Series | pd.DataFrame)
    }
    plain = [name for name in arrays if name not in indexes]
    for name, index in indexes.items():
        other, expected = next(iter(indexes.items()))
        if plain and {*index} == {*range(len(index))}:
            other = plain[0]
            expected = pd.RangeIndex(len(index))
        if not index.equals(expected):
            raise DataError(
                f"Cannot match units by position: {other} and {name} have different indexes; use"
                f" {name}.reindex, or {name}.to_numpy() if the order is right"
            )


def indicator(treated: Any) -> Bools:
    """Return treatment as bool[unit]; a plain cast would turn NaN and 2 into True."""
    values = np.asarray(treated, dtype=object)  # or "1" would equal 1
    if (odd := ~np.isin(values, (0, 1))).any():
        raise DesignError(
            f"Cannot tell who is treated: {np.count_nonzero(odd)} of {values.size} values are"
            f" neither true nor false, such as {values[odd][0]!r} in row"
            f" {int(np.flatnonzero(odd)[0])}; drop these units or set them to 0 or 1"
        )
    return values.astype(bool)


def sum_by(values: Floats, code: Ints, count: int) -> Floats:
    """Sum rows, float64[row, ...], by code, float64[code, ...]."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    sums = [np.bincount(code, weights=column, minlength=count) for column in flat.T]
    return np.asarray(np.column_stack(sums).reshape(count, *values.shape[1:]), dtype=float)


def without_each(function: Callable[..., Floats], *parts: Floats) -> tuple[Floats, Floats]:
    """Apply a function to sums over clusters.

    Also return its change when each cluster is left out in turn.

    Parameters
    ----------
    function : callable
        Takes the sums of each part, float64[...], or those without each cluster, float64[cluster,
        ...], and returns float64[term] or float64[cluster, term].
    *parts : float64[cluster, ...]
        Sums by cluster.

    Returns
    -------
    float64[term], float64[cluster, term]
        The changes are those of :func:`fewtreated.jackknife.left_out`.
    """
    shapes = [part.shape[1:] for part in parts]
    flat = [part.reshape(len(part), -1) for part in parts]
    ends = np.cumsum([part.shape[1] for part in flat])[:-1]
    by_cluster = np.hstack(flat).T

    def of_sums(x: Floats) -> Floats:
        pieces = zip(np.split(x.T, ends, axis=-1), shapes, strict=True)
        return function(*(piece.reshape((*x.shape[1:], *shape)) for piece, shape in pieces)).T

    sums = by_cluster.sum(axis=1)
    size = max(BLOCK // len(by_cluster), 1)
    blocks = [by_cluster[:, start : start + size] for start in range(0, len(parts[0]), size)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return of_sums(sums), np.hstack([left_out(of_sums, sums, block) for block in blocks]).T


def rows_by(code: Ints) -> list[Ints]:
    """Return one array of rows, int64[row], per code, in increasing order of code."""
    code = code.astype(
        np.min_scalar_type(code.max(initial=0))
    )  # small integer types use radix sort
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(code[order][1:] != code[order][:-1]) + 1)
