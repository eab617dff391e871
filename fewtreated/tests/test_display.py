"""What results show of themselves: a few narrow lines at a prompt and in a notebook, and intervals
where they lie.
"""

import numpy as np
import pandas as pd
import pytest
from fewtreated.display import MOST, SENTENCE, WORD
from fewtreated.estimate import Estimate, refusal
from fewtreated.estimators.att_gt import att_gt
from fewtreated.estimators.exposure import exposure_effects
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

import fewtreated as ft

WHY = "nobody was closed; bring a panel with closures"
Y = np.random.default_rng(1).normal(size=(60, 12)).cumsum(axis=1)
FIRST = np.where(np.arange(60) < 20, 5.0, np.inf)


def cohorts(**options):
    firm, month = np.indices(Y.shape).reshape(2, -1)
    data = pd.DataFrame({"firm": firm, "month": month, "y": Y.ravel(), "closed": FIRST[firm]})
    return ft.att_gt(data, "closed", outcome="y", unit="firm", time="month", **options)


def long(terms, **more):
    """Return an estimate whose every word is as long as a paragraph."""
    text = "word " * 200
    names = tuple(f"{text}{place}" for place in range(terms))
    return Estimate(
        estimand=text,
        unit=text,
        terms=names,
        value=np.zeros(terms),
        reason=text,
        interval=text,
        **more,
    )


@pytest.fixture(scope="module")
def shown():
    effects = cohorts()
    return {
        "long names": long(30),
        "effects": effects,
        "cells": att_gt(Y, FIRST),
        "simple": effects.aggregate(),
        "refused": refusal(WHY),
        "bounds": ft.honest_bounds(effects),
        "test": ft.noninferiority(1.0, 1.0, margin=2),
    }


NAMES = "long names, effects, cells, simple, refused, bounds, test"


@pytest.mark.parametrize("name", NAMES.split(", "))
def test_a_result_shows_itself_in_a_few_lines_without_arrays(name, shown):
    said = repr(shown[name])
    assert len(said.splitlines()) <= MOST + 8
    assert len(said) < 2500
    assert "array(" not in said
    html = getattr(shown[name], "_repr_html_", lambda: "")()
    assert html.count("<tr") <= MOST + 1
    assert len(html) < 10_000


def test_long_names_are_cut_and_further_rows_are_counted():
    said = repr(long(30))
    assert f"and {30 - MOST} more rows: see .rows" in said
    assert max(map(len, said.splitlines())) <= SENTENCE
    assert f"{('word ' * 200)[: WORD - 1]}…" in said


def test_what_is_shown_is_the_estimate_its_interval_its_size_and_the_reason():
    lines = repr(cohorts().aggregate()).splitlines()
    assert lines[1].split() == ["term", "estimate", "std_error", "conf_low", "conf_high", "n"]
    assert lines[-2:] == ["95% confidence interval", "units 60, treated 20, clusters 60"]
    assert repr(refusal(WHY)).splitlines() == ["not estimable with this data", WHY]
    assert WHY in refusal(WHY)._repr_html_()


def test_words_of_a_name_are_no_markup_in_a_notebook():
    made = Estimate(
        estimand="a < b", unit="<i>", terms=("<b>",), value=np.zeros(1), reason="<script>"
    )
    assert "<script>" not in made._repr_html_()
    assert "<b>" not in made._repr_html_()


def drawn(axes):
    """Return the segments of the intervals."""
    return [segment for lines in axes.collections[:1] for segment in lines.get_segments()]


def test_effects_by_period_are_drawn_where_they_lie_with_their_intervals():
    effects = cohorts()
    axes = effects.plot()
    study = effects.aggregate("dynamic")[:]
    rows = study.rows
    points, band, reference = axes.collections[1:]
    assert {tuple(colour) for colour in points.get_facecolors()} == {to_rgba("C0")}
    np.testing.assert_allclose(
        [segment[:, 1] for segment in band.get_segments()], study.sup_t_band().T
    )
    assert tuple(reference.get_facecolors()[0]) == to_rgba("white")
    np.testing.assert_allclose(reference.get_offsets(), [[-1, 0]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "95% interval of one period",
        "95% band of all periods",
        "reference period",
    ]
    np.testing.assert_allclose(points.get_offsets(), rows[["term", "estimate"]].astype(float))
    np.testing.assert_allclose(
        [segment[:, 1] for segment in drawn(axes)], rows[["conf_low", "conf_high"]]
    )
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("periods since treatment", "units of y")
    plt.close("all")


def test_a_plot_is_drawn_on_the_axes_that_are_given():
    _, (left, right) = plt.subplots(ncols=2)
    figures = plt.get_fignums()
    assert cohorts(anticipation=2).plot(ax=left) is left
    np.testing.assert_allclose(left.collections[-1].get_offsets(), [[-3, 0]])
    assert cohorts().aggregate("dynamic").plot(ax=right, xlabel="months") is right
    assert plt.get_fignums() == figures
    plt.close("all")


def test_a_point_without_an_interval_is_hollow():
    points = long(2).plot().collections[1]
    np.testing.assert_allclose(points.get_facecolors(), [to_rgba("white")] * 2)
    plt.close("all")


def test_named_terms_are_drawn_below_each_other_in_their_order():
    found = exposure_effects(Y[:, 0] ** 2 + 1, Y[:, 1] ** 2 + 1, np.arange(60) / 200)
    axes = found.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found.terms)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    np.testing.assert_allclose(
        [segment[:, 0] for segment in drawn(axes)], found.rows[["conf_low", "conf_high"]]
    )
    plt.close("all")


def test_bounds_are_drawn_without_a_point_and_a_refusal_as_its_reason(shown):
    axes = shown["bounds"].plot()
    np.testing.assert_allclose(
        [segment[:, 1] for segment in drawn(axes)], shown["bounds"].conf_int([0, 0.5, 1, 1.5, 2])
    )
    assert WHY in refusal(WHY).plot().texts[0].get_text().replace("\n", " ")
    plt.close("all")
