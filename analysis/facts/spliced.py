"""Declared splices: the only way to join two series, each stretch with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analysis.errors import DataError
from analysis.facts import descriptor
from analysis.facts.derived import backed_out, calendar_years_from_ltm, joined
from analysis.facts.descriptor import DATA
from analysis.facts.published import Series, series
from analysis.facts.tables import load


def splice(splice_id: str, *, root: Path = DATA) -> Series:
    """Annual series joined as data/splices.csv declares it.

    Parameters
    ----------
    splice_id : str
        For example ``"youkeshu_revenue"``.

    Returns
    -------
    Series
        Its derivation names each stretch with its reason.

    Raises
    ------
    DataError
        When there is no such splice, or a stretch is no single series or has no value.
    """
    declared = load("splices", root=root)
    stretches = declared[declared["splice_id"] == splice_id]
    if stretches.empty:
        known = ", ".join(declared["splice_id"].unique())
        raise DataError(
            f"Asked for the splice {splice_id!r}; data/splices.csv declares {known}; "
            "use one of these, or declare it there with its reason."
        )
    parts = [
        _stretch(dict(zip(stretches.columns, row, strict=True)), root)
        for row in stretches.itertuples(index=False, name=None)
    ]
    how = "; ".join(
        f"{row.period_from}-{row.period_to} {row.measure} ({row.derivation}: {row.reason})"
        for row in stretches.itertuples()
    )
    first = stretches.iloc[0]
    return joined(parts, f"{first['entity']}: {first['series']}", f"spliced: {how}")


def _stretch(row: dict[str, Any], root: Path) -> Series:
    first, last = row["period_from"], row["period_to"]
    if row["derivation"] == "as_is":
        return _published(row, root, freq="A", first=first, last=last)
    if row["derivation"] == "ltm_at_q4":
        return calendar_years_from_ltm(_published(row, root, freq="Q", first=f"{first}Q4", last=f"{last}Q4"))
    later = {"freq": "A", "first": str(int(first) + 1), "last": str(int(last) + 1)}
    reported = row | {"measure": row["growth_measure"], "publisher": None}
    return backed_out(_published(row, root, **later), _published(reported, root, **later))


def _published(row: dict[str, Any], root: Path, *, freq: str, first: str, last: str) -> Series:
    identity = descriptor.resource(row["resource"], root)["series"]
    where = {identity["entity"]: row["entity"], identity["measure"]: row["measure"]}
    if row["publisher"] is not None:
        where["publisher"] = row["publisher"]
    return series(row["resource"], freq=freq, first=first, last=last, root=root, **where)
