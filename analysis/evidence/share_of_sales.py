"""What is believed of the Chinese share of sales on Amazon in the year before the closures.

No such share is published: there are shares of top sellers, and one that is not defined. A reader
who knows better gives a distribution, and every figure that rests on the share follows.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError
from fewtreated.estimate import Floats
from scipy import stats

from analysis.evidence.totals import DRAWS, published_shares

COLUMN = "share"  # of a file of draws
CENTRAL = (0.025, 0.5, 0.975)  # parts of the draws below the low end, the point and the high end
DIGITS = 3  # of these, as they are printed
SEED = 0
EXAMPLE = "beta(40, 60), or the path to a CSV file with the column share"


@dataclass(frozen=True, eq=False)
class Belief:
    """A point, a range and draws of the Chinese share, and the shares to tabulate.

    Attributes
    ----------
    point, low, high : float
        The share in (0, 1): assumed, and the ends of its range.
    draws : float64[draw]
        Shares as probable as they are believed to be.
    name : str
        The distribution, or the name of the file, that it was drawn from; empty if as published.
    table : DataFrame
        `share` and the columns of :func:`analysis.evidence.totals.published_shares`.
    """

    point: float
    low: float
    high: float
    draws: Floats
    name: str
    table: pd.DataFrame

    @property
    def range(self) -> tuple[float, float]:
        """The range of the share."""
        return self.low, self.high


def believed(text: str = "", *, point: float, low: float, high: float) -> Belief:
    """Return what is believed of the share: by default, anything between two ends alike.

    Parameters
    ----------
    text : str
        A continuous distribution of ``scipy.stats`` with its numbers, such as ``beta(40, 60)``, or
        the path to a CSV file with the column `share`. Its middle 95 per cent replace the range,
        its median the point, and these three the published shares. Empty for none.
    point, low, high : float
        The share assumed, and its range, if there is no text.

    Raises
    ------
    DesignError
        If the text is neither, or a share is not between 0 and 1.
    """
    rng = np.random.default_rng(SEED)
    if not text:
        return Belief(point, low, high, rng.uniform(low, high, DRAWS), "", published_shares())
    if Path(text).is_file():
        draws = rng.choice(_from_file(Path(text)), DRAWS)
    else:
        draws = _from_distribution(text, rng)
    outside = draws[~((draws > 0) & (draws < 1))]
    if len(outside):
        raise DesignError(
            f"Cannot use {text!r} for the Chinese share: it gives {outside[0]:g}, which is not"
            " between 0 and 1; choose another distribution"
        )
    ends = [round(float(end), DIGITS) for end in np.quantile(draws, CENTRAL)]
    low, point, high = ends
    name = Path(text).name
    return Belief(point, low, high, draws, name, _tabulated(ends, name))


def _tabulated(shares: list[float], name: str) -> pd.DataFrame:
    """Return shares of a distribution in the columns of the published ones."""
    table = pd.DataFrame({"share": shares, "value": [100 * one for one in shares]})
    table = table.assign(definition=f"drawn from {name}")
    return table.reindex(columns=published_shares().columns, fill_value="")


def _from_file(path: Path) -> Floats:
    """Read draws from a file."""
    frame = pd.read_csv(path)
    if COLUMN not in frame or not pd.api.types.is_numeric_dtype(frame[COLUMN]) or frame.empty:
        raise DesignError(
            f"Cannot read shares from {path.name}: it has no numbers in a column {COLUMN}; add one"
        )
    return np.asarray(frame[COLUMN], dtype=float)


def _from_distribution(text: str, rng: np.random.Generator) -> Floats:
    """Draw from a distribution that is named with its numbers, and with nothing else."""
    problem = f"Cannot draw the Chinese share from {text!r}"
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("it is no call")
        numbers = [float(ast.literal_eval(argument)) for argument in call.args]
        named = {str(one.arg): float(ast.literal_eval(one.value)) for one in call.keywords}
        family = getattr(stats, call.func.id, None)
        if not isinstance(family, stats.rv_continuous):
            raise ValueError(f"scipy.stats has no continuous distribution {call.func.id}")
        draws = family(*numbers, **named).rvs(size=DRAWS, random_state=rng)
    except (SyntaxError, ValueError, TypeError) as error:
        raise DesignError(f"{problem}: {error}; write it like {EXAMPLE}") from None
    return np.asarray(draws, dtype=float)
