"""The archivist: public figures with their sources, or a `DataError`.

``data/datapackage.json`` describes every file and is the only schema. Nothing here
estimates anything.

- `load` gives a file as a typed frame; a changed byte, a wrong type, a broken
  constraint or a repeated key is refused with file, row, column and value.
- `check` validates all files. `accept` records a change that you made on purpose.
- `describe` and `digest` read title, hash and vintage without opening the file.
- `rows` adds to a file how to read each row: publisher, definition, bound, provenance.
- `series` gives one series: one publisher, measure, definition and population. Rows
  that span two are refused, unless `splice` follows a row of ``data/splices.csv``.
- `growth`, `from_growth`, `quarters_from_cumulative`, `calendar_years_from_ltm`,
  `share` and `difference` derive a `Series` from others and say so in ``derivation``.
  A bound stays a bound, an estimate an estimate (``marks``).

Examples
--------
>>> from analysis import facts
>>> services = facts.series(
...     "platform_quarterly",
...     platform="Amazon",
...     series="third_party_seller_services",
...     publisher="Amazon (own filings)",
...     freq="Q",
... )
>>> services.unit
'million USD'
>>> round(float(facts.growth(services).values["2021Q1"]), 1)
63.7
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analysis.facts.descriptor import DATA, Card, describe, digest, names

if TYPE_CHECKING:
    from analysis.facts.derived import (
        calendar_years_from_ltm,
        difference,
        from_growth,
        growth,
        quarters_from_cumulative,
        share,
    )
    from analysis.facts.published import Series, rows, series
    from analysis.facts.spliced import splice
    from analysis.facts.tables import accept, check, load

__all__ = [
    "DATA",
    "Card",
    "Series",
    "accept",
    "calendar_years_from_ltm",
    "check",
    "describe",
    "difference",
    "digest",
    "from_growth",
    "growth",
    "load",
    "names",
    "quarters_from_cumulative",
    "rows",
    "series",
    "share",
    "splice",
]

# These need pandas, which the command line does without until a report runs.
_HOMES = {
    "derived": (
        "calendar_years_from_ltm",
        "difference",
        "from_growth",
        "growth",
        "quarters_from_cumulative",
        "share",
    ),
    "published": ("Series", "rows", "series"),
    "spliced": ("splice",),
    "tables": ("accept", "check", "load"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    for home, public in _HOMES.items():
        if name in public:
            return getattr(import_module(f"analysis.facts.{home}"), name)
    raise AttributeError(f"module 'analysis.facts' has no attribute {name!r}")
