"""Simulated markets, each asked for every estimand, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from analysis.audit.path import path_inside
from analysis.errors import DesignError, whole_number
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.market import simulate
from analysis.market.parameters import chosen
from analysis.subject import WORLDS

COLUMNS = [
    *("preset", "seed", "closed", "level", "id", "label", "unit", "scored"),
    *("truth", "estimate", "std_error", "low", "high", "refused"),
]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def replicate(presets: Iterable[str], seeds: Iterable[int], *, design: Design, workers: int) -> pd.DataFrame:
    """Simulate markets, and hold every answer of each against its truth.

    The estimands are those of :func:`analysis.estimands.catalogue.estimate_all`: one added there is audited; and
    :data:`analysis.audit.PATH`, whether the band of the event study holds the whole true path. The rows do not depend
    on `workers`.

    Parameters
    ----------
    presets : iterable of str
        Presets of the simulated market.
    seeds : iterable of int
        Of each preset. Markets of one seed share their random numbers, also over presets.
    design : Design
        How every panel is looked at.
    workers : int
        Processes, each with one BLAS thread; with one, the markets are simulated in this process.

    Returns
    -------
    DataFrame
        One row per market and estimand: `preset`, `seed`; `closed`, closed firms of the panel; `level` of the
        interval; `id`, `label`, `unit`; `scored`, whether the market knows the truth of such an id; `truth`, NaN where
        it is not defined in this market; `estimate`, `std_error`, `low`, `high`; `refused`, why there is no interval.

    Raises
    ------
    DesignError
        If there is no market to simulate, a preset is unknown, or there are fewer than one worker.
    """
    work = [(preset, seed) for seed in seeds for preset in presets] if (presets := list(presets)) else []
    if not work or whole_number("workers", workers) < 1:
        raise DesignError(
            f"an audit was asked for; found {len(work)} markets and {workers} workers; give at least one preset, one "
            "seed and one worker"
        )
    for preset in presets:
        chosen(preset)
    found = pd.DataFrame(chain.from_iterable(_spread(partial(_market, design), work, workers)), columns=COLUMNS)
    order = {preset: place for place, preset in enumerate(presets)}
    return found.sort_values("preset", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def unscored(replicates: pd.DataFrame) -> pd.DataFrame:
    """Count the estimands that an audit leaves out, since a simulated market has no truth of that id.

    Returns
    -------
    DataFrame
        `id`, `label`, `answers` (markets that gave an estimate).
    """
    left = replicates[~replicates["scored"]]
    return left.groupby(["id", "label"], sort=False)["estimate"].count().rename("answers").reset_index()


def _spread(make: Any, work: list[tuple[str, int]], workers: int) -> Iterator[list[dict[str, Any]]]:
    """Yield what `make` returns for each market, in order, with a bar where a terminal watches."""
    watched = partial(tqdm, total=len(work), desc="markets", disable=None)
    if workers == 1:
        yield from watched(map(make, *zip(*work, strict=True)))
        return
    # Kernels have threads, which a forked process would inherit half-way: start afresh.
    fresh = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(min(workers, len(work)), mp_context=fresh) as pool:
        yield from watched(pool.map(make, *zip(*work, strict=True)))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started here use one BLAS thread, which they read when they import numpy."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _market(design: Design, preset: str, seed: int) -> list[dict[str, Any]]:
    """Simulate one market and return its rows."""
    try:
        panel, truth = simulate(preset, seed, worlds=WORLDS)
        known = truth.scalars(design.post_from, design.post_to)
        asked = estimate_all(panel, design).rows
        path = path_inside(panel, truth, design)
    except Exception as error:
        error.add_note(f"in the simulated market {preset}, seed {seed}")
        raise
    closed = panel.count_closed(cut=design.cut)
    rows = asked.rename(columns={"conf_low": "low", "conf_high": "high", "reason": "refused"})
    rows = rows.assign(
        preset=preset,
        seed=seed,
        closed=closed,
        level=design.level,
        scored=[name in known for name in rows["id"]],
        truth=[known.get(name, np.nan) for name in rows["id"]],
    )
    records: list[dict[str, Any]] = rows[COLUMNS].to_dict("records")
    shared = {"preset": preset, "seed": seed, "closed": closed, "level": design.level, "scored": True, "refused": ""}
    return [*records, shared | path]
