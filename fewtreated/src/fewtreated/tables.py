"""A table of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from fewtreated.errors import DesignError, check_choice
from fewtreated.estimate import Estimate

__dir__ = ["etable"].copy

COUNTS = ("units", "treated", "clusters")  # of all counts, those that a reader compares


def etable(
    models: Mapping[str, Any], *, kind: str = "simple", output: Literal["frame", "great"] = "frame"
) -> Any:
    """Put estimates side by side, one column per model and one row per term.

    Parameters
    ----------
    models : mapping of str to CohortEffects or Estimate
        Models by the heading of their column.
    kind : {"simple", "dynamic", "group", "calendar"}
        The average of results of :func:`fewtreated.att_gt`; an Estimate has its own terms.
    output : {"frame", "great"}
        A DataFrame, or a table of the package great-tables, for HTML. There is no file for Word,
        which opens that HTML.

    Returns
    -------
    DataFrame or great_tables.GT
        Text: estimates in the unit of their model, with the standard error in parentheses, and
        below them the unit, the units, treated units and clusters, the scale and the comparison.
        Empty where a model has none. ``.to_latex()`` of the DataFrame is a LaTeX table.

    Raises
    ------
    DesignError
        If there is no model, or one is no estimate.
    ImportError
        If `output` is "great" and great-tables is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fewtreated import att_gt, etable
    >>> firm, month = np.indices((60, 4)).reshape(2, -1)
    >>> closed = np.where(firm < 20, 2, np.inf)
    >>> data = pd.DataFrame({"firm": firm, "month": month, "closed": closed})
    >>> data["sales"] = 9 + firm % 3 - 3 * (month >= closed) + (firm * month) % 7
    >>> names = {"outcome": "sales", "unit": "firm", "time": "month", "first_treated": "closed"}
    >>> scales = {scale: att_gt(data, **names, scale=scale) for scale in ("level", "ratio")}
    >>> print(etable(scales))
                          level              ratio
    simple      -3.025 (0.5311)  -0.2671 (0.04526)
    unit         units of sales         log points
    units                    60                 60
    treated                  20                 20
    clusters                 60                 60
    scale                 level              ratio
    comparison            never              never
    """
    check_choice("output", output, ("frame", "great"))
    if not models:
        raise DesignError("Cannot make a table of 0 models; pass a mapping of name to estimate")
    columns = {name: _column(name, model, kind) for name, model in models.items()}
    terms = dict.fromkeys(term for terms, _ in columns.values() for term in terms)
    notes = dict.fromkeys(note for _, notes in columns.values() for note in notes)
    table = pd.DataFrame(
        {
            name: [of_terms.get(term, "") for term in terms]
            + [of_notes.get(note, "") for note in notes]
            for name, (of_terms, of_notes) in columns.items()
        },
        index=[*terms, *notes],
        dtype=str,
    )
    if output == "frame":
        return table
    try:
        from great_tables import GT
    except ImportError as error:
        raise ImportError(
            "Cannot make the table: great-tables is not installed; install fewtreated[tables]"
        ) from error
    return GT(table.reset_index(names=""), rowname_col="")


def _column(name: str, model: Any, kind: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of a model by term, and what is said below by its heading."""
    if hasattr(model, "aggregate"):  # effects by cohort
        model = model.aggregate(kind)
    if not isinstance(model, Estimate):
        raise DesignError(
            f"Cannot put {name!r} into a table: it is of type {type(model).__name__}; pass an"
            " Estimate or the result of att_gt"
        )
    stated = model.stated
    numbers = zip(stated.terms, stated.value, stated.std_error, strict=True)
    terms = {term: _text(value, error) for term, value, error in numbers}
    counts = {count: f"{model.counts[count]:,}" for count in COUNTS if count in model.counts}
    design = {key: model.details[key] for key in ("scale", "comparison") if key in model.details}
    return terms, {"unit": model.unit, **counts, **design}


def _text(value: float, error: float) -> str:
    if np.isnan(value):
        return ""
    if np.isnan(error):
        return f"{value:.4g} (no error)"
    return f"{value:.4g} ({error:.4g})"
