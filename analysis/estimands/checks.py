"""What can be held against effects on closed firms: other comparisons, a year without closures, drift, many tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from analysis.errors import DesignError
from analysis.estimands.answers import COLUMNS, Answers, detectable
from analysis.estimands.design import Comparison, Design, pick
from analysis.estimands.direct import effect_on_closed
from analysis.estimands.paths import drifted
from analysis.inference import Bools, Estimate, Floats
from analysis.testing import romano_wolf

if TYPE_CHECKING:
    from analysis.panel import Panel

Known = Callable[[int, int], Mapping[str, float]]


def comparisons(panel: Panel, design: Design, true: Known | None = None) -> pd.DataFrame:
    """Estimate the effect on closed firms against each comparison group, in the window and soon after the first wave.

    Firms not yet closed serve only until the last wave comes near: the second window is the longest that they allow,
    and has the firms closed by then.

    Parameters
    ----------
    panel, design
    true : callable
        From the first and last month of a window to the true E1a and E1c of firms closed by its end, where they are
        known, such as :meth:`analysis.market.Truth.closed_by`.

    Returns
    -------
    DataFrame
        As the rows of :func:`analysis.estimands.answers.answers`, with `comparison`, `window` and `truth`. E1c is what
        firms that inherit demand themselves show; `n` is the number of closed firms.
    """
    first = panel.first_treated(cut=design.cut)
    waves = first[np.isfinite(first)]
    longest = int(np.ptp(waves)) - design.anticipation - 1 if len(waves) else -1
    windows = [(design.post_from, design.post_to), *([(0, longest)] if longest >= 0 else [])]
    parts = []
    for start, end in windows:
        known = true(start, end) if true else {}
        for name in get_args(Comparison):
            asked = "E1a" if name == "low_exposure" else "E1c"
            row = _row(effect_on_closed, panel, replace(design, comparison=name, post_from=start, post_to=end))
            words = {"id": asked, "label": f"against {name.replace('_', ' ')}", "comparison": name}
            window = f"month {start}" if start == end else f"months {start} to {end}"
            parts.append(row | words | {"window": window, "truth": known.get(asked, np.nan)})
    rows = pd.DataFrame(parts, columns=[*COLUMNS, "comparison", "window", "truth"])
    return rows.assign(mde=detectable(rows, level=design.level))


def placebo(panel: Panel, design: Design) -> Estimate:
    """Estimate the effect of closures that did not happen: a year early, in a panel that ends before the real ones.

    Closed firms were chosen at the real closure: they had lived until then, and were what they had become. So all firms
    sold something in the month before the first wave, and were already there at the start of the early base. Newcomers
    grow manyfold in the year that is looked at, and whether one was closed goes with how far it grew: with them the
    placebo finds a fall in simulated markets in which nothing fell.

    Returns
    -------
    Estimate
        As :func:`analysis.estimands.effect_on_closed`; nothing but chance and paths that part anyway move it from zero.

    Raises
    ------
    DesignError
        If the panel does not reach back far enough, and as :func:`analysis.estimands.effect_on_closed`.
    """
    base, sold = pick(panel, design).base, panel.total()
    stopped, newcomer = (sold[:, month] <= 0 for month in (base.stop - 1, max(base.start - 12, 0)))
    early = a_year_early(panel, design, ~stopped & ~newcomer)
    return replace(effect_on_closed(*early), estimand="E1a, a year before")


def a_year_early(panel: Panel, design: Design, firms: Bools) -> tuple[Panel, Design]:
    """Return a panel of some firms in which each closure is dated a year early, and which ends before the real ones.

    The design keeps its window, the same months a year early, also where no firm of the first wave is left.

    Raises
    ------
    DesignError
        If the panel does not reach back far enough.
    """
    picked = pick(panel, design)
    if min(picked.base.start - 12, picked.before.start - 12) < 0:
        raise DesignError(
            f"closures a year early were asked for; they need {12 + design.base_months} months before the first wave "
            f"in {panel.months[picked.base.stop]}, and the window a year before; the panel begins in "
            f"{panel.months[0]}; narrow the window, or bring earlier months"
        )
    end, dated = picked.base.stop - design.anticipation, panel.firms["closed_on"] - pd.DateOffset(years=1)
    kept = firms & ~(dated < panel.months[0].to_timestamp()).to_numpy()  # closed in part long before the first wave
    early = panel.firms.assign(closed_on=dated)[kept]
    shifted = replace(panel, sales=panel.sales[kept][:, :, :end], firms=early, months=panel.months[:end])
    left = shifted.first_treated(cut=design.cut)
    late = int(left.min()) + 12 - picked.base.stop if np.isfinite(left).any() else 0
    return shifted, replace(design, post_from=design.post_from - late, post_to=design.post_to - late)


def year_before(panel: Panel, design: Design) -> pd.DataFrame:
    """Return :func:`placebo` as a row of :func:`analysis.estimands.answers.answers`, or why there is none."""
    rows = pd.DataFrame([_row(placebo, panel, design) | {"id": "placebo", "label": "E1a, a year early"}])
    rows = rows.reindex(columns=COLUMNS)
    return rows.assign(mde=detectable(rows, level=design.level))


def honest_by_month(study: Estimate, *, sensitivity: float = 1.0) -> pd.DataFrame:
    """Bound the effect of each month since closure when the paths may have parted anyway.

    As :func:`analysis.estimands.paths.honest` with the month in place of the window: the drift from one month to the
    next is at most `sensitivity` times the largest before closure, and adds up over the months.

    Parameters
    ----------
    study : Estimate
        From :func:`analysis.estimands.paths.event_study`, with two months or more before the reference.
    sensitivity : float
        M-bar.

    Returns
    -------
    DataFrame
        `honest_low`, `honest_high` in the unit of the study, by the index of its rows; NaN before closure.
    """
    month = study.rows["term"].astype(int).to_numpy()
    ends = pd.DataFrame(np.nan, index=study.rows.index, columns=["honest_low", "honest_high"])
    for place in np.flatnonzero(month >= 0):
        found = drifted(study, np.arange(len(month)) == place, sensitivity=(sensitivity,))
        ends.iloc[place] = found.rows[["conf_low", "conf_high"]].to_numpy(float)[0]
    return ends


def mechanical(asked: Answers) -> pd.DataFrame:
    """Return the mechanical loss, the actual one (E1a) and their ratio (E1e), as rows of `asked`."""
    rows = asked.rows[asked.rows["id"].isin(["E1a", "E1e"])]
    if "E1e" not in asked.made:
        return rows
    loss = {"id": "mechanical", "label": "the closed accounts' own sales", "unit": "per cent", "reason": ""}
    loss["estimate"] = -asked.made["E1e"].details["mechanical_loss"]
    return pd.concat([pd.DataFrame([loss]), rows], ignore_index=True)[COLUMNS]


def family(made: Mapping[str, Estimate], terms: Mapping[str, str]) -> pd.DataFrame:
    """Test some effects against zero so that the chance of any false alarm among them is that of one test.

    Parameters
    ----------
    made : mapping of str to Estimate
        By id, each with the labels of its clusters in ``details["clusters"]``; an absent one is left out.
    terms : mapping of str to str
        The term of each id. Per cents are tested in log points.

    Returns
    -------
    DataFrame
        `id` and the columns of :func:`analysis.testing.romano_wolf`.

    Raises
    ------
    DesignError
        If none has an error.
    """
    found = {name: _logs(made[name], term) for name, term in terms.items() if name in made}
    found = {name: (value, moved) for name, (value, moved) in found.items() if moved is not None}
    if not found:
        raise DesignError(f"tests of {', '.join(terms)} were asked for; none has an error; there is nothing to test")
    joint = pd.DataFrame({name: moved for name, (_, moved) in found.items()}).fillna(0.0)  # not in it: not moved by it
    tests = romano_wolf(np.array([value for value, _ in found.values()]), influence=joint.to_numpy())
    return tests.assign(id=list(found))


def _logs(found: Estimate, term: str) -> tuple[float, pd.Series | None]:
    """Return an effect and by how much each cluster moves it; None where it has no error."""
    row = found.row(term)
    if np.isnan(row["std_error"]):
        return float(row["estimate"]), None
    moved: Floats = found.influence[:, found.rows["term"].tolist().index(term)]
    labels = found.details["clusters"]
    if found.unit != "per cent":
        return float(row["estimate"]), pd.Series(moved, index=labels)
    return float(np.log1p(row["estimate"] / 100)), pd.Series(moved / (100 + row["estimate"]), index=labels)


def _row(make: Callable[[Panel, Design], Estimate], panel: Panel, design: Design) -> dict[str, Any]:
    """Return the numbers of an effect, or the reason why it has none."""
    try:
        found = make(panel, design)
    except DesignError as refusal:
        return {"unit": "per cent", "reason": str(refusal)}
    numbers = found.row("simple")[["estimate", "std_error", "conf_low", "conf_high", "n"]]
    return {**numbers, "unit": found.unit, "reason": found.reason}
