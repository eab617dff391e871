"""A simulated market in files: panel, worlds, answers and a manifest, all of them or none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis import provenance
from analysis.errors import DesignError
from analysis.estimands.design import Design
from analysis.market.parameters import FIRST_MONTH, MONTHS, PLATFORMS, Parameters, chosen
from analysis.market.worlds import WORLDS

if TYPE_CHECKING:
    from analysis.market.truth import Truth

SIMULATED = "simulated"
FILES = ("panel.parquet", "truth.parquet", "outside.parquet", "truth.json", "manifest.json")
IDENTITY = 1e-9  # tolerance of the identities, in their own unit
FAR = 3  # times the root mean squared error of the audit: an estimate further from the truth is no accident of a market


def export(preset: str, seed: int, out: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Simulate one market and write it.

    Parameters
    ----------
    preset : str
    seed : int
    out : Path
        Folder for `FILES`; an older market there is replaced at once.
    overrides : mapping, optional
        Parameters to change.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DesignError
        As :func:`analysis.market.simulate`, and if the folder holds anything else.
    """
    from analysis.market import simulate

    _refuse_others(out)
    panel, truth = simulate(preset, seed, worlds=tuple(WORLDS), **(overrides or {}))
    out.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        panel.to_parquet(stage / "panel.parquet")
        write_worlds(truth, stage / "truth.parquet")
        write_outside(truth, stage / "outside.parquet")
        write_answers(truth, stage / "truth.json", Design.post_from, Design.post_to)
        _write_json(stage / "manifest.json", _manifest(truth, panel.digest, stage))
        stage.chmod(0o755)  # as an ordinary folder, unlike a temporary one
        _put(stage, out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return out


def _refuse_others(out: Path) -> None:
    found = sorted(path.name for path in out.iterdir() if path.name not in FILES) if out.is_dir() else []
    if found or (out.exists() and not out.is_dir()):
        raise DesignError(
            f"a simulated market in {out} was asked for; there is {found[0] if found else 'a file of that name'}, "
            "which is no part of one; name a new folder"
        )


def _put(stage: Path, out: Path) -> None:
    """Move the finished folder to its place; an older one steps aside and comes back if that fails."""
    if not out.exists():
        os.rename(stage, out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    os.rename(out, aside / out.name)
    try:
        os.rename(stage, out)
    except OSError:
        os.rename(aside / out.name, out)
        raise
    finally:
        shutil.rmtree(aside)


def _manifest(truth: Truth, digest: str, folder: Path) -> dict[str, Any]:
    market = truth.market
    return {
        "provenance": SIMULATED,
        "preset": market.preset,
        "seed": market.seed,
        "parameters": dataclasses.asdict(market.stage.parameters),
        "panel_digest": digest,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "files": {
            name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in FILES[:-1]
        },
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return what JSON can hold: null for what is not a number, text for infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def write_answers(truth: Truth, path: Path, post_from: int, post_to: int) -> None:
    """Write parameters, firms, evasion links and the estimands of one window as JSON."""
    window = (post_from, post_to)
    descriptions = Parameters.describe()
    given = dataclasses.asdict(truth.market.stage.parameters)
    content = {
        "provenance": SIMULATED,
        "preset": truth.market.preset,
        "seed": truth.market.seed,
        "window": {"post_from": post_from, "post_to": post_to},
        "scalars": truth.scalars(*window),
        "decomposition": truth.decomposition(*window),
        "mechanisms": truth.shapley(*window),
        "tolerance": {"identities": IDENTITY, "worlds_before_news": 0.0} | _tolerances(truth, window),
        "parameters": [{**row, "value": given[row["name"]]} for row in descriptions],
        "evasion": truth.evasion.to_dict("records"),
        "firms": truth.firms.reset_index().to_dict("list"),
    }
    _write_json(path, content)


def _tolerances(truth: Truth, window: tuple[int, int]) -> dict[str, Any]:
    """Return how far an estimate may be from the truth of such a market, by id, in the unit of the estimand.

    From the design audit, which knows presets as they are and the usual window; of others nothing is recommended.
    """
    from analysis import grades

    market, usual = truth.market, Design()
    if market.stage.parameters != chosen(market.preset) or window != (usual.post_from, usual.post_to):
        return {
            "estimates": {},
            "estimates_from": "none: the audit knows presets as they are and the usual window only",
        }
    audit = grades.read()
    rows = audit[(audit["preset"] == market.preset) & audit["rmse"].notna()]
    where = f"{FAR} root mean squared errors over the markets of this preset in data/audit.csv"
    return {"estimates": dict(zip(rows["id"], FAR * rows["rmse"], strict=True)), "estimates_from": where}


def write_outside(truth: Truth, path: Path) -> None:
    """Write float64 `outside_WORLD`, spending on none of the platforms by category and month, sim-$, as Parquet.

    With the sales of a category's firms on all platforms it adds up to the category's spending, in every world.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = truth.market.stage.parameters.n_categories
    rows = np.arange(names * MONTHS)
    columns: dict[str, Any] = {
        "category": _coded(rows // MONTHS, [f"C{number:04d}" for number in range(names)]),
        "month": _coded(rows % MONTHS, _months()),
        "provenance": _coded(np.zeros(len(rows)), [SIMULATED]),
    }
    columns |= {f"outside_{world}": truth.outside(world).ravel() for world in WORLDS}
    parquet.write_table(pa.table(columns).replace_schema_metadata(_said(truth)), path, compression="zstd")


def _said(truth: Truth) -> dict[str, str]:
    return {"provenance": SIMULATED, "preset": truth.market.preset, "seed": str(truth.market.seed)}


def _months() -> list[str]:
    return list(pd.period_range(FIRST_MONTH, periods=MONTHS, freq="M").astype(str))


def _coded(codes: Any, names: list[str]) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def write_worlds(truth: Truth, path: Path) -> None:
    """Write float64 `sales_WORLD` (sim-$), bool `present_WORLD` and `alive_WORLD` by firm, platform, month as Parquet.

    A firm is present on a platform in the months in which it sells there, and alive until it has gone for good.
    `exposure` is leave-own-out.
    """
    import pyarrow as pa
    from pyarrow import parquet

    firms, platforms = len(truth.firms), len(PLATFORMS)

    def by_firm(values: Any) -> Any:
        return np.broadcast_to(values[:, np.newaxis], (firms, platforms, MONTHS)).ravel()

    rows = np.arange(firms * platforms * MONTHS)
    columns: dict[str, Any] = {
        "firm": _coded(rows // (platforms * MONTHS), truth.firms.index.to_list()),
        "platform": _coded(rows // MONTHS % platforms, list(PLATFORMS)),
        "month": _coded(rows % MONTHS, _months()),
        "provenance": _coded(np.zeros(len(rows)), [SIMULATED]),
        "exposure": by_firm(truth.exposure),
    }
    for world in WORLDS:
        columns[f"sales_{world}"] = (sales := truth.sales(world).ravel())
        columns[f"present_{world}"] = sales > 0
        columns[f"alive_{world}"] = by_firm(truth.alive(world))
    table = pa.table(columns).replace_schema_metadata(_said(truth))
    parquet.write_table(table, path, compression="zstd", use_dictionary=["firm", "platform", "month", "provenance"])
