"""What the news did: to closed firms before their own closure, and to suspect firms that were
spared; by hand.
"""

from dataclasses import replace

import numpy as np
import pytest
from panels import DOSES_DESIGN, WAVE, changed, doses

from analysis.estimands.event_study import anticipation
from analysis.estimands.rivals import chilling


def test_anticipation_is_what_closed_firms_did_before_their_own_closure():
    panel = doses()
    closed = DOSES_DESIGN.sample(panel).closed
    place = np.arange(len(closed))
    sign = np.where((place // 2 + place // 24) % 2, 1, -1)

    def fearing(sales):
        # luck that grows, and is nil on average over the closed firms and over those they are
        # compared with
        sales[:] *= 1 + 0.001 * sign[:, None, None] * np.arange(42)
        sales[closed, 0, WAVE - 2 : WAVE] *= 0.9

    found = anticipation(changed(panel, fearing), DOSES_DESIGN)
    assert found.terms == ("-6", "-5", "-4", "-3", "-2", "-1")
    np.testing.assert_allclose(found.value, [0, 0, 0, 0, -10, -10], atol=1e-9)
    assert found.design == DOSES_DESIGN
    assert found.covariance.shape == (6, 6)


def test_chilling_compares_suspect_with_other_firms_that_inherit_nothing(monkeypatch):
    panel = doses(lambda e, r: 5 * e + np.where(r > 0.5, np.log(0.8), 0.0))
    found = chilling(panel, DOSES_DESIGN)
    assert found.row("chilling")["estimate"] == pytest.approx(-20.0, abs=0.5)
    assert (found.row("chilling")["n"], found.counts["units"]) == (
        48,
        96,
    )  # of 4 categories without closures
    monkeypatch.setattr("analysis.estimands.samples.HIGH_RISK", 0.95)
    assert (
        "too few clusters: 0 of suspect firms"
        in chilling(panel, replace(DOSES_DESIGN, level=0.9)).reason
    )
