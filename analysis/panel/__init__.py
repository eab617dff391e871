"""The registrar: the firm x platform x month panel, or a `DataError`.

``data/panel.schema.json`` describes the columns of a file and is the only list of them. Nothing here estimates
anything, and nothing knows where the data came from.

- `read_panel` reads CSV or Parquet; every row without a place of its own in the panel is counted with its rule.
- `read_map` reads a map: what a researcher's file calls the columns, platforms and months, and its money.
- `Panel` holds the sales, float64[firm, platform, month], and says who was closed when (`first_treated`, `cohorts`),
  what each firm held before (`base_share`) and what closed rivals left to it (`exposure`).
- `Panel.to_parquet` writes it; what is simulated says so three times, and any of the three is believed.
- `concat` puts panels of one provenance together.
"""

from analysis.config import Map, read_map
from analysis.panel.panel import Panel, concat
from analysis.panel.reading import read_panel

__all__ = ["Map", "Panel", "concat", "read_map", "read_panel"]
