"""Simulated markets, in which the true effects of closures are known.

Functions import their dependencies when they are called, so that a worker of :mod:`market.executor`
starts at once.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewtreated.errors import DesignError

from analysis import provenance
from analysis.data import SHIPPED

if TYPE_CHECKING:
    from analysis.panel import Panel
    from analysis.study import Study
    from market.truth import Truth

__all__ = ["export", "open_study", "simulate"]
__dir__ = __all__.copy

FILES = (
    "panel.parquet",
    "truth.json",
    "firms.parquet",
)  # of a simulated market: all are written, or none


def simulate(
    preset: str, seed: int, *, event: str = SHIPPED, **overrides: Any
) -> tuple[Panel, Truth]:
    """Simulate one market, and return its panel and truth.

    Parameters
    ----------
    preset : str
        One of :data:`market.parameters.PRESETS`.
    seed : int
        Non-negative. The same preset, seed and overrides yield the same panel and truth to the bit.
    event : str
        Event whose platforms, origin and months the market has, as for
        :func:`analysis.event.read_event`. Nothing else of it changes the market.
    **overrides : float or int
        Parameters of ``data/market/parameters.csv`` to change.

    Returns
    -------
    Panel
        What a researcher would see of world W11.
    Truth
        What happened and what would have happened; other worlds are run on first use.

    Raises
    ------
    DesignError
        If the preset, a parameter or the event does not exist, or a value is out of range.

    Examples
    --------
    >>> from market import simulate
    >>> panel, truth = simulate("mid_3k", seed=1)
    >>> panel.sales.shape[1:], round(truth.scalars()["E1b"])
    ((5, 42), -100)
    """
    from analysis.event import read_event
    from market.observe import observe
    from market.parameters import Names, chosen
    from market.truth import Truth
    from market.worlds import Market

    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DesignError(f"Cannot simulate with seed {seed!r}; choose a non-negative whole number")
    names = Names.of(read_event(event))
    truth = Truth(Market.open(preset, chosen(preset, overrides), seed), names)
    return observe(truth.market, truth.course("W11"), names), truth


def open_study(settings: Mapping[str, Any]) -> Study:
    """Open the panel named in a notebook's parameters, or simulate the market that they describe.

    Parameters
    ----------
    settings : mapping
        As for :meth:`analysis.study.Study.open`; if `panel_path` is empty, also `sim_preset` and
        `seed`.

    Raises
    ------
    DesignError
        If the design is impossible, or the event has more platforms than the market.
    DataError
        If the event or the panel cannot be read.
    """
    from analysis.simulated import market_named
    from analysis.study import Study, event_and_design

    if settings.get("panel_path"):
        return Study.open(settings)
    preset = settings["sim_preset"]
    seed = settings["seed"]
    event, design = event_and_design(settings)
    panel, truth = simulate(preset, seed, event=settings["event"])
    return Study(event, panel, design, market_named(preset, seed), preset=preset, truth=truth)


def export(
    preset: str,
    seed: int,
    out: Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    event: str = SHIPPED,
    begin: Callable[[str], Any] = str,
) -> Path:
    """Simulate one market, and write it to a folder.

    Parameters
    ----------
    preset : str
    seed : int
    out : Path
        Folder for `FILES`; an older market there is replaced atomically.
    overrides : mapping, optional
        Parameters to change.
    event : str
        As for :func:`simulate`.
    begin : callable
        Called with the name of each of three steps when it begins.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DesignError
        As for :func:`simulate`, and if the folder contains anything else.
    """
    others = sorted({path.name for path in out.glob("*")}.difference(FILES))
    if others or out.is_file():
        if others:
            reason = f"it already contains {others[0]}"
        else:
            reason = "it is a file"
        raise DesignError(
            f"Cannot write a simulated market to {out}: {reason}; choose a new folder"
        )
    from pydantic_core import to_json

    begin("simulating the market")
    panel, truth = simulate(preset, seed, event=event, **(overrides or {}))
    begin("computing what is true of it, in other worlds")
    described = _described(truth, panel.digest)
    begin("writing the files")
    with _draft(out) as draft:
        new = Path(draft, "new")
        new.mkdir()
        panel.to_parquet(new / "panel.parquet")
        (new / "truth.json").write_bytes(to_json(described, indent=1, inf_nan_mode="null"))
        truth.firms.to_parquet(new / "firms.parquet")
        if out.exists():
            out.rename(Path(draft, "old"))
        new.rename(out)
    return out


def _draft(out: Path) -> tempfile.TemporaryDirectory[str]:
    """Create a temporary folder beside a folder; raise DesignError where none can be."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG):
            raise
        raise DesignError(
            f"Cannot write a simulated market to {out}: {error.strerror}; choose another folder"
        ) from None


def _described(truth: Truth, digest: str) -> dict[str, Any]:
    """Return the content of ``truth.json``, with estimands in the default window."""
    from analysis.estimands.design import Design
    from market.parameters import describe

    values = vars(truth.market.parameters)
    window = {"post_from": Design.post_from, "post_to": Design.post_to}
    return {
        "provenance": "simulated",
        "preset": truth.market.preset,
        "seed": truth.market.seed,
        "panel_digest": digest,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "window": window,
        "scalars": truth.scalars(**window),
        "decomposition": truth.decomposition(**window),
        "mechanisms": truth.shapley(**window),
        "parameters": [row | {"value": values[row["name"]]} for row in describe()],
    }
