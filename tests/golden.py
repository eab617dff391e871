"""Everything that the project computes and prints, as flat tables: what a change of the code must
leave as it is.

``python tests/golden.py`` writes them to ``tests/data/golden``; do that only where a number is
meant to change, and say which and why.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from reading import read_json

from analysis.estimands import closed_firms, displacement, event_study, growth, rivals
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import ASKED, Design, as_rows
from analysis.estimate import Estimate
from analysis.event import read_event
from analysis.evidence import listed, shift, totals
from analysis.panel import read_panel
from analysis.study import contents, panel_sentence
from market import simulate
from market.parameters import PRESETS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).resolve().parent / "data" / "golden"
SEEDS = (1, 2)
EXAMPLE = "accounts"  # test_examples.py sees that the others are the same panel
COMMON = (-3.0, 3.0)
WORDS = (
    "claim",
    "reading",
    "tier",
    "provenance",
    "market",
    "word",
    "confidence",
    "grade",
    "statement",
    "claimant",
)
WORDS += ("estimand", "unit", "window", "n", "interval", "why", "change")
NUMBERS = ("estimate", "low", "high", "claimed", "margin")
"""Fields of a verdict: its text is held to the letter, its numbers as closely as estimates."""


def markets():
    """Return the names of the simulated markets and of the example panel."""
    return [f"{preset} {seed}" for preset in PRESETS for seed in SEEDS] + [EXAMPLE]


def opened(name):
    """Return the panel of a name, its truth where it is known, and the default design of the event
    on record.
    """
    event = read_event("amazon_2021")
    design = Design(origin=event.origin, destinations=event.destinations)
    if name == EXAMPLE:
        file = ROOT / "data" / "examples" / f"{name}.csv"
        named = {
            "map": file.with_suffix(".map.yml"),
            "home": event.home,
            "platforms": tuple(event.platforms),
        }
        return read_panel(file, **named), None, design
    preset, seed = name.split()
    panel, truth = simulate(preset, int(seed))
    return panel, truth, design


def estimates(panel, design):
    """Return every estimand of a panel, a row each."""
    return estimate_all(panel, design).rows


def truths(truth):
    """Return every true value of a simulated market, where the lost sales went last."""
    found = truth.scalars()
    return dict(
        sorted(found.items(), key=lambda one: one[0] in {f"d{number}" for number in range(1, 8)})
    )


def shown(panel, truth, design):
    """Yield what reports on a panel show beside its estimands; a refusal is the text of its row."""
    wide = replace(design, level=0.9)
    study = event_study.event_study(panel, design)
    yield "event study", study
    if not study.refused:
        yield "event study, pretrend", vars(study.details["pretrend"])
        found = event_study.honest(study)
        yield "honest bounds", bounds_of(found)
        yield (
            "event study, truth",
            study.rows.assign(truth=truth.path(study) if truth else np.nan)[["truth"]],
        )
    waves = event_study.by_cohort(panel, design)
    yield "by wave", waves
    if truth is not None and not waves.refused:
        yield "by wave, truth", truth.by_cohort(waves)
        yield "mechanisms", truth.shapley()
        yield "decomposition", truth.decomposition()
        yield "closed by", truth.closed_by(4, 9)
    yield "comparisons", closed_firms.comparisons(panel, design, truth and truth.closed_by)
    early = {"simple": ("placebo", "E1a, a year early")}
    yield "a year early, E1a", as_rows(closed_firms.placebo(panel, design), early, "per cent")
    made = estimate_all(panel, design, ["E1a", "E1b", "E1d", "E1e"])
    yield "mechanical", closed_firms.mechanical(made.rows, made["E1e"])
    yield "family", closed_firms.family({name: made[name] for name in ("E1a", "E1b", "E1d")})
    for own, origin in ((True, "own"), (False, "other")):
        for what, verb in (
            ("dose response", rivals.dose_response),
            ("drawn again", rivals.randomization_test),
            ("beside risk", rivals.with_risk),
            ("year before", rivals.placebo_slope),
            ("spared categories", rivals.spared_categories),
        ):
            yield f"{what}, {origin}", verb(panel, design, own_origin=own)
    yield "recapture", displacement.recapture(panel, design)
    effect = growth.effect_on_growth(panel, wide, common=COMMON)
    share = growth.effect_on_share(panel, wide, common=COMMON)
    for name, found, two_sided in (("E3g", effect, False), ("E3s", share, True)):
        yield name, found
        if not found.refused:
            if name == "E3g":
                yield (
                    "E3g, rungs",
                    growth.cumulative_bounds(found, ["0", "1", "2"]).rows.drop(columns="truth"),
                )
            yield (
                f"{name}, precision",
                growth.precision({name: (found, 2.0, two_sided)}, level=0.95),
            )
    if not effect.refused:
        yield "break-even", growth.break_even(effect, 2.0)
    yield "E3k", growth.effect_in_parts(panel, design)
    yield "a year early, E3g", growth.placebo_growth(panel, design)
    yield "growth", growth.observed_growth(panel, design)
    yield "toward", displacement.toward_destinations(panel, design)
    yield "smallest effect", closed_firms.smallest_effect(panel, design)
    yield from contents(panel)
    yield "sentence", pd.DataFrame({"text": [panel_sentence(panel)]})


def bounds_of(found):
    """Return honest bounds as the table that is held."""
    rows = found.rows.assign(
        sensitivity=[float(term) for term in found.terms], breakdown=found.details["breakdown"]
    )
    return rows[["sensitivity", "conf_low", "conf_high", "breakdown"]]


def public():
    """Yield results from public figures and listed firms, with the notebooks' parameters."""
    before = listed.base_year()
    for first, last in ((before, 2021), (before - 1, before), (before, 2023)):
        yield f"revenue {first} to {last}", listed.revenue_change(first, last, level=0.95)
    yield "revenue", listed.indexed(before, before - 1, 2023)
    yield "left out", listed.leave_one_out(before, 2021, level=0.95)
    prices_found = listed.share_prices("2021-01-05", "2021-04-23", level=0.95)
    yield "prices", prices_found
    yield "price paths", listed.price_paths(prices_found)
    sales = totals.third_party_sales()
    closed = totals.closed_sales(6.49)
    known = totals.Totals(
        float(sales.values["2020"]),
        share=(0.33, 0.46),
        closed=closed,
        recapture=(0.0, 0.8),
        common=COMMON,
        left=totals.rest_of_year("2021-04-25"),
    )
    yield (
        "ladder",
        totals.bounds_by_assumption(known, share=0.40, spared=-3.1, since="25 April 2021"),
    )
    yield "readings", totals.published_growth()
    yield "shares", totals.share_changes()
    yield (
        "accounts",
        {
            f"{count:.0f}, tilt {tilt:g}": (
                100 * totals.closed_share(count, 1e6, sd_log_sales=2.0, tilt=tilt)
            )
            for count in (3000.0, 50_000.0)
            for tilt in (0.0, 0.3, 0.6, 0.9)
        },
    )
    yield "totals", {"stated": totals.stated_change()} | dict(enumerate(closed))
    for place, quarters in shift.places().items():
        yield f"quarters of {place}", whole(quarters)
    yield "leads on eBay", shift.leads()


def whole(found):
    """Return a series as the table that is held, NaN where a period is missing."""
    return found.values.resample(found.values.index.freqstr).asfreq().to_frame("value")


def flat(results):
    """Return results as one table: `what`, `row`, `column`, and `value` as text, numbers with all
    their digits.
    """
    cells = []
    for what, found in results:
        frame = found
        if isinstance(found, Estimate):
            if found.refused:
                frame = pd.DataFrame({"reason": [found.reason]})
            else:
                frame = found.rows
        if isinstance(frame, Mapping):
            frame = pd.DataFrame({"value": dict(frame)})
        for column in frame:
            values = [_text(value) for value in frame[column]]
            cells += [(what, str(row), str(column), text) for row, text in enumerate(values)]
    return pd.DataFrame(cells, columns=["what", "row", "column", "value"])


def _text(value):
    if isinstance(value, int | float | np.number):
        return repr(float(value))
    return str(value)


def verdicts(rows):
    """Return verdicts as one table: `name` of claim, reading and tier, `field`, `value`, without
    who judged when.
    """
    cells = []
    for row in rows:
        name = " ".join(part for part in (row["claim"], row["reading"], row["tier"]) if part)
        cells += [
            (name, field, "" if row[field] is None else _text(row[field]))
            for field in (*WORDS, *NUMBERS)
        ]
    return pd.DataFrame(cells, columns=["name", "field", "value"]).sort_values(
        ["name", "field"], ignore_index=True
    )


def differences(found, wanted):
    """Return a line for each cell of two tables of text that is not the same, numbers to a relative
    1e-9.

    Of a number that is rounding, such as a shift of 1e-16 points, only the size counts: below 1e-9
    both are nothing. What an optimiser finds differs between processors in the seventh digit: two
    rows of the fan are held to 1e-5.
    """
    keys = list(found.columns[:-1])
    if (
        "column" in keys
    ):  # what was asked stands beside every estimate, and is held where it was when this was frozen
        known = pd.MultiIndex.from_frame(found[keys]).isin(pd.MultiIndex.from_frame(wanted[keys]))
        found = found[known | ~found["column"].isin(ASKED)]
    both = found.merge(wanted, on=keys, how="outer", suffixes=("", "_wanted")).fillna("absent")
    optimised = both.get("what", pd.Series("", both.index)).eq("fan")
    return [
        " ".join(map(str, row))
        for row, closeness in zip(
            both.itertuples(index=False), np.where(optimised, 1e-5, 1e-9), strict=True
        )
        if not _same(row.value, row.value_wanted, closeness)
    ]


def _same(found, wanted, closeness):
    if found == wanted:
        return True
    try:
        return bool(
            np.isclose(float(found), float(wanted), rtol=closeness, atol=1e-9, equal_nan=True)
        )
    except ValueError:
        return False


def collected(name):
    """Return all that is held of one market or example: `what`, `row`, `column`, `value`."""
    panel, truth, design = opened(name)
    results = [("estimates", estimates(panel, design))]
    if truth is not None:
        results.append(
            ("truth", pd.Series(truths(truth)).rename_axis("id").reset_index(name="value"))
        )
    if name in (EXAMPLE, "mid_3k 1"):
        results += shown(panel, truth, design)
    return flat(iter(results))


def read(name):
    """Read a table that was frozen."""
    return pd.read_csv(
        FOLDER / f"{name.replace(' ', '_')}.csv.gz", dtype=str, keep_default_na=False
    )


def freeze(name, table):
    """Write a table, the same bytes for the same content."""
    FOLDER.mkdir(exist_ok=True, parents=True)
    how = {"method": "gzip", "mtime": 0}
    table.to_csv(FOLDER / f"{name.replace(' ', '_')}.csv.gz", index=False, compression=how)


if __name__ == "__main__":
    for market in markets():
        freeze(market, collected(market))
    freeze("public", flat(public()))
    for run in sys.argv[1:]:  # name=path of a verdicts.json
        target, _, path = run.partition("=")
        freeze(target, verdicts(read_json(Path(path))))
