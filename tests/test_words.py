"""What titles and sentences say follows the numbers that they are about, and of a refusal they say
nothing.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import RootModel

from analysis import yaml
from analysis.estimands.design import Design
from analysis.estimate import Estimate, refusal
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    USABLE,
    WITH_BOUNDS,
)
from analysis.exhibits import style, words

pytestmark = pytest.mark.usefixtures("simulated_look")

CASES = Path(__file__).parent / "cases" / "words.yml"
REFUSED = refusal("nobody was closed")
BELOW = (-3.0, -1.0)
ABOVE = (1.0, 3.0)
BOTH = (-1.0, 1.0)
NONE = (np.nan, np.nan)
LABELLED = pd.DataFrame(
    {
        "label": ["first", "second", "third"],
        "estimate": [1.0, -8.0, np.nan],
        "conf_low": [-1.0, -9.0, np.nan],
        "conf_high": [3.0, -7.0, np.nan],
        "unit": ["per cent", "per cent", None],
        "mde": [2.8, 1.4, np.nan],
    }
)


def rows(**ends):
    """Return a row a term, its estimate in the middle of its interval."""
    frame = pd.DataFrame(ends, index=["conf_low", "conf_high"]).T
    return frame.rename_axis("term").reset_index().assign(estimate=frame.mean(axis=1).to_numpy())


def found(*terms, **changes):
    given = {
        "estimand": "E1a",
        "unit": "per cent",
        "value": np.linspace(-3.0, -1.0, len(terms)),
        "covariance": np.eye(len(terms)),
    }
    return Estimate(terms=terms, **(given | changes))


STUDY = rows(a=BOTH, b=ABOVE, c=BELOW, d=BELOW, e=BOTH).assign(month=[-3, -2, 0, 1, 2])
MANY = dict.fromkeys("abcde", BELOW)
FEW = SimpleNamespace(largest_t=np.nan, p_value=np.nan, within=np.nan, drift=np.nan)
TEST = SimpleNamespace(largest_t=2.34, p_value=0.0004, within=np.log(1.2), drift=np.log(1.04))
TESTS = pd.DataFrame({"id": ["x", "y"], "p_adjusted": [0.04, 0.0001]})
READ = pd.DataFrame(
    {"what": ["accounts", "columns"], "rule": ["added up", "not named"], "count": [3030, 1]}
)
IDENTIFIED = rows(a=BELOW, b=BOTH, c=NONE).rename(columns={"term": "id"})
SET = rows(a=BELOW, b=BOTH, c=NONE).assign(estimate=[-2.0, np.nan, np.nan])
TWO = pd.DataFrame(
    {"panel": list("pppp"), "term": list("aabb"), "estimate": [1.0, 2.0, 3.0, np.nan]}
)
FAN = pd.concat([TWO.assign(part="rows"), TWO.assign(part="fan", term="c")])
DRAWS = LABELLED.assign(p_value=[0.25, 0.02, np.nan], smallest_p=[0.02, 0.01, np.nan])


def shares(**ends):
    return words.by_direction(rows(**ends))


def ways(**ends):
    return words.by_ways(rows(**ends), "lower sales", "higher sales")


def otherwise(placebo):
    asked = rows(asked=BELOW, other=(-5.0, -3.0), refused=NONE, more=ABOVE, placebo=placebo)
    return words.across_choices(asked, "per cent")


def surely(ends, grade=USABLE, *, passed=True):
    """Say it of a real panel and of a simulated market."""
    row = {"conf_low": ends[0], "conf_high": ends[1], "grade": grade}
    texts = []
    for look in ("estimate", "simulated"):
        style.use(look)
        texts.append(words.surely(row, "firms", "sold {}", passed))
    return " / ".join(texts)


def tried_out(value, word):
    verdict = SimpleNamespace(word=word)
    return words.tried_out(verdict, value, row_of(-4.0, 1.0), -2.0)


def row_of(low, high):
    return {"unit": "per cent", "conf_low": low, "conf_high": high}


def beside_margin(ends):
    return words.beside_margin(rows(first=BELOW, last=ends), 2.0, "it")


def drift(value, truth=None):
    details = {"breakdown": value, "period": "quarter", "truth": truth}
    return words.breakdown_sentence(found("0", "1", details=details, design=Design()))


def in_truth(*ends):
    return words.in_truth(-2.0, row_of(*(ends or NONE)))


def ranged(low, high, **changes):
    """Return an estimate of one term with the given limits."""
    given = {"value": [(low + high) / 2], "limits": np.array([[low], [high]])} | changes
    return found("seen", **given | {"value": np.array(given["value"])})


def slowed(low, high, word=None, sure=""):
    verdict = word and SimpleNamespace(word=word, confidence=sure, why="The placebo fails.")
    return words.slowed(ranged(low, high), "it changed growth by", 2.0, verdict)


def judged_so(low, high, word=None, confidence=""):
    verdict = word and SimpleNamespace(word=word, confidence=confidence)
    return words.judged_so(verdict, ranged(low, high), "they", "sold {} there")


def study(**given):
    """Return what the rules on a study ask of it."""
    panel = SimpleNamespace(dropped=READ, platforms=("H", "X", "Y"))
    event = SimpleNamespace(origin_name="Utopian")
    known = {"market": "", "aside": "", "caveats": "", "home": "Bazaar", "there": "Souk"}
    known |= {"sentence": "2 firms.", "line": "Event: it.", "panel": panel, "event": event}
    return SimpleNamespace(**known | given)


def on_both(rule):
    """Say it of a real panel and of a simulated market."""
    return f"{rule(study())} / {rule(study(market='a market'))}"


def judgements(*given, simulated=False):
    made = [
        SimpleNamespace(statement=text, word=word, confidence=sure, simulated=simulated)
        for text, word, sure in given
    ]
    return words.judgements(made)


def sales_lost(platforms, **blank):
    terms = ("sum", "d1", "d2", "there")
    value = np.array([9.0, 4.0, 2.0, 1.0])
    value[[blank.get(term, False) for term in terms]] = np.nan
    lacking = "no such platform" * bool(blank)
    money = found(*terms, value=value, covariance=np.diag(value), reason=lacking, unit="million")
    panel = SimpleNamespace(platforms=platforms)
    return words.sales_lost(money, study(panel=panel))


SAID = {
    "all fall": lambda: shares(a=BELOW, b=BELOW),
    "one falls, one rises": lambda: shares(a=ABOVE, b=BELOW),
    "one falls, one is unknown": lambda: shares(a=BELOW, b=BOTH),
    "one falls, one has no interval": lambda: shares(a=BELOW, b=NONE),
    "none has an interval": lambda: shares(a=NONE),
    "many are unknown": lambda: shares(**dict.fromkeys("abcde", BOTH)),
    "many fall": lambda: shares(**MANY),
    "many of more fall": lambda: shares(**MANY, f=BOTH),
    "names with a comma": lambda: shares(**{"a, b": BELOW, "c": ABOVE}),
    "ways that fall": lambda: ways(a=BELOW, b=BELOW, c=BOTH, d=NONE),
    "ways that rise": lambda: ways(a=ABOVE),
    "ways without an interval": lambda: ways(a=NONE),
    "otherwise, placebo holds zero": lambda: otherwise(BOTH),
    "otherwise, placebo excludes zero": lambda: otherwise(BELOW),
    "otherwise, no placebo": lambda: otherwise(NONE),
    "otherwise, not asked": lambda: words.across_choices(
        rows(asked=NONE, other=BELOW, placebo=BOTH), "per cent"
    ),
    "months since closure": lambda: words.after_closure(STUDY),
    "months without any effect": lambda: words.after_closure(STUDY.iloc[[0, 4]]),
    "adjusted": lambda: words.adjusted(TESTS, {"x": "sales", "y": "life"}),
    "redraws": lambda: words.redraws(DRAWS),
    "no redraw": lambda: words.redraws(DRAWS.tail(1)),
    "as read": lambda: words.as_read(READ),
    "nothing left out": lambda: words.as_read(READ.iloc[:0]),
    "clusters": lambda: words.clustered(Design()),
    "clusters of rivals": lambda: words.clustered(Design(), rivals=True),
    "clusters of firms": lambda: words.clustered(Design(cluster="firm"), rivals=True),
    "margin, no fall": lambda: beside_margin(BOTH),
    "margin, unknown": lambda: beside_margin((-4.0, 1.0)),
    "margin, fall": lambda: beside_margin((-4.0, -3.0)),
    "margin, rise": lambda: beside_margin((3.0, 4.0)),
    "margin, no interval": lambda: beside_margin(NONE),
    "surely less": lambda: surely(BELOW),
    "surely more": lambda: surely(ABOVE),
    "checks failed": lambda: surely(BELOW, passed=False),
    "lower grade": lambda: surely(BELOW, WITH_BOUNDS),
    "holds zero": lambda: surely(BOTH),
    "no interval": lambda: surely(NONE),
    "drawn rows": lambda: words.described(SET, "change, per cent"),
    "drawn lines": lambda: words.described(TWO, "share"),
    "drawn lines without panels": lambda: words.described(TWO.drop(columns="panel"), "share"),
    "drawn fan": lambda: words.described(FAN, "share"),
    "drawn values": lambda: words.described(pd.DataFrame({"value": [1.0]}), "draws"),
    "truth held": lambda: in_truth(-3.0, 1.0),
    "truth missed": lambda: in_truth(-1.0, 1.0),
    "truth without ends": lambda: in_truth(np.nan, np.nan),
    "truth alone": in_truth,
    "false, not shown": lambda: tried_out(-3.0, NOT_SHOWN),
    "false, contradicted": lambda: tried_out(-3.0, CONTRADICTED),
    "false, supported": lambda: tried_out(-3.0, SUPPORTED),
    "true, not shown": lambda: tried_out(-1.0, NOT_SHOWN),
    "true, supported": lambda: tried_out(-1.0, SUPPORTED),
    "true, contradicted": lambda: tried_out(-1.0, CONTRADICTED),
    "truth not known": lambda: tried_out(np.nan, NOT_SHOWN) + tried_out(None, NOT_SHOWN),
    "nobody judges": lambda: words.tried_out(None, 2.0, row_of(*NONE)),
    "truth of an estimate": lambda: words.in_truth(-2.0, ranged(-3.0, 1.0)),
    "slowed, open": lambda: slowed(-4.0, 1.0),
    "slowed, no": lambda: slowed(-1.0, 1.0),
    "slowed, yes": lambda: slowed(-4.0, -3.0),
    "slowed, probably not": lambda: slowed(-1.0, 1.0, SUPPORTED, "moderate"),
    "slowed, perhaps": lambda: slowed(-4.0, -3.0, CONTRADICTED, "low"),
    "slowed, as judged": lambda: slowed(-1.0, 1.0, NOT_SHOWN),
    "slowed, not tested": lambda: slowed(-1.0, 1.0, NOT_TESTABLE),
    "slowed, refused": lambda: words.slowed(REFUSED, "it changed growth by", 2.0),
    "judged, more": lambda: judged_so(1.0, 3.0, SUPPORTED, "moderate"),
    "judged, less": lambda: judged_so(-3.0, -1.0, CONTRADICTED, "low"),
    "judged, by nobody": lambda: judged_so(1.0, 3.0),
    "judged, includes zero": lambda: judged_so(-1.0, 3.0),
    "judged, not shown": lambda: judged_so(1.0, 3.0, NOT_SHOWN),
    "judged, not testable": lambda: judged_so(1.0, 3.0, NOT_TESTABLE),
    "judged, refused": lambda: words.judged_so(None, REFUSED, "they", "sold {} there"),
    "changed": lambda: words.changed(ranged(1.0, 3.0), "it changed by"),
    "changed, a set": lambda: words.changed(
        ranged(1.0, 3.0, value=[np.nan], reason="a set"), "it changed by"
    ),
    "changed, no interval": lambda: words.changed(
        found("a", covariance=np.array([[np.nan]]), reason="one cluster"), "it changed by"
    ),
    "changed, refused": lambda: words.changed(REFUSED, "it changed by"),
    "in full, in unit": lambda: (
        f"{words.in_full(ranged(1.0, 3.0))} / {words.in_unit(ranged(1.0, 3.0))} /"
        f" {words.in_full(REFUSED)} / {words.in_unit(REFUSED)}"
    ),
    "in business": lambda: words.in_business(found("a", n=9), 12) + words.in_business(REFUSED, 12),
    "turning point": lambda: words.turning_point(ranged(1.0, 3.0), 2.0),
    "lost and moved": lambda: sales_lost(("H", "X")),
    "lost, nowhere named": lambda: sales_lost(("H", "X"), d1=True, d2=True, there=True),
    "lost, one platform": lambda: sales_lost(("H",)),
    "lost, not known": lambda: words.sales_lost(REFUSED, study()),
    "places": lambda: words.share_by_place(rows(a=ABOVE, b=BOTH, c=NONE)),
    "places, less": lambda: words.share_by_place(rows(a=BELOW, b=BOTH)),
    "places, none": lambda: words.share_by_place(rows(a=NONE)),
    "where found": lambda: (
        f"{on_both(words.where_found)} / {words.where_found(study(aside='In this panel:'))}"
    ),
    "leads": lambda: "; ".join(
        on_both(rule) for rule in (words.we_know, words.we_do_not_know, words.would_settle)
    ),
    "what a panel holds": lambda: words.what_it_holds(study()),
    "caveats": lambda: words.caveats(study(caveats="Doubtful: all.")),
    "judgements": lambda: judgements(
        ("It fell. Not judged: why.", SUPPORTED, "low"), ("It rose.", NOT_SHOWN, "")
    ),
    "judgements, simulated": lambda: judgements(("It fell.", SUPPORTED, ""), simulated=True),
    "judgements, none": judgements,
    "truths inside": lambda: words.truths_inside(IDENTIFIED, {"a": 0.0, "b": 0.0, "c": 0.0}),
    "truths, none known": lambda: words.truths_inside(IDENTIFIED, {}),
    "smallest seen": lambda: (
        words.smallest_seen(LABELLED.iloc[0]) + words.smallest_seen(LABELLED.iloc[2])
    ),
    "placebos": lambda: words.placebos(LABELLED, [4.0, 10.0, np.nan]),
    "placebo beside nothing": lambda: words.placebos(LABELLED.head(1), [np.nan]),
    "drift": lambda: drift(0.42),
    "no drift": lambda: drift(np.nan),
    "drift and truth": lambda: drift(0.42, -3.0),
    "any drift": lambda: drift(np.inf),
    "paths before": lambda: words.pretrend(
        found("-5", "-4", "-2", "0", details={"pretrend": TEST, "reference": -3})
    ),
    "few clusters": lambda: words.pretrend(
        found("-5", "0", details={"pretrend": FEW, "reference": -3}, counts={"closed_clusters": 9})
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_follows_the_numbers(name):
    assert SAID[name]() == yaml.load(CASES, RootModel[dict[str, str]]).root[name]


def test_every_accepted_sentence_is_still_said():
    assert yaml.load(CASES, RootModel[dict[str, str]]).root.keys() == SAID.keys()


@pytest.mark.parametrize(
    "say",
    [
        words.pretrend,
        words.breakdown_sentence,
        lambda it: words.in_numbers(it, "per cent"),
        lambda it: words.adjusted(it, {}),
        lambda it: words.turning_point(it, 2.0),
    ],
)
def test_of_a_refused_result_nothing_is_said(say):
    assert say(REFUSED) == ""


@pytest.mark.parametrize(
    "title",
    [
        words.by_direction,
        words.after_closure,
        words.share_by_place,
        lambda it: words.beside_margin(it, 2.0, "it"),
    ],
)
def test_a_title_is_never_empty(title):
    assert title(REFUSED) == words.NO_INTERVAL
