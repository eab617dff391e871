"""What titles and sentences say follows the numbers that they are about, and of a refusal they say nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import data, yaml
from analysis.errors import DataError
from analysis.estimands.design import Design
from analysis.estimate import Estimate, refusal
from analysis.evidence import totals
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, SUPPORTED, USABLE, WITH_BOUNDS
from analysis.exhibits import style, words

pytestmark = pytest.mark.usefixtures("simulated_look")

REFUSED = refusal("nobody was closed")
BELOW, ABOVE, BOTH, NONE = (-3.0, -1.0), (1.0, 3.0), (-1.0, 1.0), (np.nan, np.nan)
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


def rows(**ends) -> pd.DataFrame:
    """Return a row a term, its estimate in the middle of its interval."""
    frame = pd.DataFrame(ends, index=["conf_low", "conf_high"]).T
    return frame.rename_axis("term").reset_index().assign(estimate=frame.mean(axis=1).to_numpy())


def found(*terms: str, **changes) -> Estimate:
    value = np.linspace(-3.0, -1.0, len(terms))
    given = {"estimand": "E1a", "unit": "per cent", "covariance": np.eye(len(terms))}
    return Estimate(terms=terms, value=value, **(given | changes))


STUDY = rows(a=BOTH, b=ABOVE, c=BELOW, d=BELOW, e=BOTH).assign(month=[-3, -2, 0, 1, 2])
CLOSED = "Closed firms' sales were lower, by more than chance, in "
SINCE = "months since closure; before it they differed in "
MANY = dict.fromkeys("abcde", BELOW)
INDEX = pd.Series({"a": 33.0, "b": 54.0, "c": 150.0, "d": 99.0, "e": np.nan})
BARS = rows(few=BOTH, some=(-4.0, 1.0), many=(-9.0, -5.0)).assign(accounts=[500, 3_000, 50_000])
LIVES = pd.DataFrame({"treated": [True, True, False], "month": [0, 12, 0], "survival": [0.4, 0.1, 0.9]})
FEW = SimpleNamespace(largest_t=np.nan, p_value=np.nan, within=np.nan, drift=np.nan)
TEST = SimpleNamespace(largest_t=2.34, p_value=0.0004, within=np.log(1.2), drift=np.log(1.04))
TESTS = pd.DataFrame({"id": ["x", "y"], "p_adjusted": [0.04, 0.0001]})
READ = pd.DataFrame({"what": ["accounts", "columns"], "rule": ["added up", "not named"], "count": [3030, 1]})
TWO = pd.DataFrame({"panel": list("pppp"), "term": list("aabb"), "estimate": [1.0, 2.0, 3.0, np.nan]})
FOURTH = pd.concat([LABELLED, LABELLED.iloc[:1].assign(label="fourth", estimate=2.5)])
DRAWS = LABELLED.assign(p_value=[0.25, 0.02, np.nan], smallest_p=[0.02, 0.01, np.nan])
COUNTED = pd.DataFrame({"value": [11, 300, 50_000], "counted_by": ["A", "A", "B"], "definition": ["x", "x", "y"]})
COUNTS = "3 counts by 2 authors run from 11 to 50,000;"
DATED = {"first": ["2021-04-30", "2021-09-30", "2021-10-01"], "last": ["2021-04-30", "2022-01-01", "2021-10-02"]}
DATED = pd.DataFrame(DATED).apply(pd.to_datetime)
FALL = "events fall into the months of the closures"
OTHER_WAYS = "−2.0 per cent as asked, −4.0 to +2.0 when asked in 2 other ways"
EARLY = f"{OTHER_WAYS}; a year early, when nothing was closed, "


def shares(**ends) -> str:
    return words.by_direction(rows(**ends), noun="shares")


def ways(**ends) -> str:
    return words.by_ways(rows(**ends), fell="lower sales", rose="higher sales")


def otherwise(placebo) -> str:
    asked = rows(asked=BELOW, other=(-5.0, -3.0), refused=NONE, more=ABOVE, placebo=placebo)
    return words.asked_otherwise(asked, "per cent")


def moved(last) -> str:
    return words.moved("It", pd.Series({2021: 5.0, 2022: last}), 2021, 2022, unit="points")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (shares(a=BELOW, b=BELOW), "A and b fell"),
        (shares(a=ABOVE, b=BELOW), "B fell; a rose"),
        (shares(a=BELOW, b=BOTH), "A fell; no change can be told for b"),
        (shares(a=BELOW, b=NONE), "A fell"),
        (shares(a=NONE), ""),
        (shares(**dict.fromkeys("abcde", BOTH)), "No change can be told for any of 5 shares"),
        (shares(**MANY), "All 5 shares fell"),
        (shares(**MANY, f=BOTH), "5 of 6 shares fell; no change can be told for f"),
        (shares(**{"a, b": BELOW, "c": ABOVE}), "1 of 2 shares fell; c rose"),
        (
            ways(a=BELOW, b=BELOW, c=BOTH, d=NONE),
            "2 of 3 ways of asking find lower sales, none higher sales, and 1 cannot tell",
        ),
        (ways(a=ABOVE), "None of 1 ways of asking find lower sales, 1 higher sales, and none cannot tell"),
        (ways(a=NONE), ""),
        (otherwise(BOTH), f"{EARLY}none is seen"),
        (otherwise(BELOW), f"{EARLY}one is seen too"),
        (otherwise(NONE), OTHER_WAYS),
        (words.asked_otherwise(rows(asked=NONE, other=BELOW, placebo=BOTH), "per cent"), ""),
        (moved(3.0), "It fell from 5 to 3 points, 2021 to 2022"),
        (moved(7.2), "It rose from 5 to 7 points, 2021 to 2022"),
        (moved(5.4), "It stayed at 5 points, 2021 to 2022"),
        (moved(np.nan), ""),
        (words.moved("It", pd.Series({2021: 5.0}), 2021, 2022), ""),
        (words.number_below(INDEX, ["a", "b"]), "fell at 2 of 2 closed sellers and at 1 of 2 others"),
        (words.number_below(INDEX + 10, ["a", "b"]), "fell at 2 of 2 closed sellers and at none of 2 others"),
        (
            words.number_below(INDEX.replace(54.0, 120.0), ["a", "b"]),
            "fell at 1 of 2 closed sellers and at 1 of 2 others",
        ),
        (words.ranked(1, 28), "is the lowest of 28"),
        (words.ranked(4.0, 28), "ranks 4 of 28"),
        (words.after_closure(STUDY), f"{CLOSED}2 of 3 {SINCE}1 of 2"),
        (words.after_closure(STUDY.iloc[[0, 4]]), f"{CLOSED}none of 1 {SINCE}none of 1"),
        (
            words.still_selling(found("a", details={"curves": LIVES}), 12),
            "After 12 months 40 per cent of closed firms still sell, and 90 per cent of the others",
        ),
        (
            words.by_count(BARS, 2.0),
            "With 500 accounts closed growth would not fall by 2 points; with 3,000 accounts closed it cannot be told "
            "whether growth would fall by 2 points; "
            "with 50,000 accounts closed growth would fall by more than 2 points",
        ),
        (
            words.published("Sina Finance", "Time Weekly (citing 2021 annual report); Sina Finance"),
            "Sina Finance, Time Weekly",
        ),
        (words.published("tszlam/trading at commit 7434e50"), "tszlam/trading"),
        (words.values({"a": 1.25, "b": np.nan}, 1), "a: 1.3; b: –."),
        (
            words.adjusted(TESTS, {"x": "sales", "y": "life"}),
            "Of no effect, adjusted step by step for their number (Romano and Wolf): "
            "sales, p = 0.040; life, p < 0.001.",
        ),
        (
            words.redraws(DRAWS),
            "first, p = 0.250; second, p = 0.020. The smallest p that so many draws allow is 0.010.",
        ),
        (words.redraws(DRAWS.tail(1)), "No draw could be compared."),
        (words.counted(COUNTED), f"{COUNTS} no two authors count the same thing"),
        (
            words.counted(COUNTED.assign(definition="x")),
            f"{COUNTS} in 1 of 1 cases several authors count the same thing",
        ),
        (words.falling_into(DATED, ["2021-05", "2021-09"], "events"), f"1 of 3 {FALL}"),
        (words.falling_into(DATED, ["2021-06", "2021-07"], "events"), f"None of 3 {FALL}"),
        (words.as_read(READ), "When the panel was read: 3,030 accounts: added up; 1 columns: not named."),
        (words.as_read(READ.iloc[:0]), "When the panel was read, nothing was left out."),
        (words.clustered(Design()), "by brand group or category, the wider"),
        (words.clustered(Design(), rivals=True), "closed firms by brand group, others by category"),
        (words.clustered(Design(cluster="firm"), rivals=True), "by firm"),
        (
            words.pretrend(found("-5", "0", details={"pretrend": FEW, "reference": -3}, counts={"closed_clusters": 9})),
            "Closed firms of 9 clusters: too few for a test or band of all months.",
        ),
    ],
)
def test_what_is_said_follows_the_numbers(text, says):
    assert text == says


@pytest.mark.parametrize(
    "say",
    [
        words.by_direction,
        words.after_closure,
        words.pretrend,
        lambda it: words.in_numbers(it, "per cent"),
        lambda it: words.beside_margin(it, 2.0, "it"),
        lambda it: words.still_selling(it, 12),
        lambda it: words.breakdown(it, "of x"),
        lambda it: words.adjusted(it, {}),
    ],
)
def test_of_a_refused_result_nothing_is_said(say):
    assert say(REFUSED) == ""


@pytest.mark.parametrize(
    ("ends", "fall"),
    [
        (BOTH, "It did not fall by more than 2 points: the range is −1.0 to +1.0"),
        ((-4.0, 1.0), "It cannot be told whether it fell by more than 2 points: the range is −4.0 to +1.0"),
        ((-4.0, -3.0), "It fell by more than 2 points: the range is −4.0 to −3.0"),
        ((3.0, 4.0), "It did not fall by more than 2 points: the range is +3.0 to +4.0"),
        (NONE, ""),
    ],
)
def test_beside_a_margin_the_last_row_is_what_counts(ends, fall):
    assert words.beside_margin(rows(first=BELOW, last=ends), 2.0, "it") == fall


@pytest.mark.parametrize(
    ("ends", "grade", "passed", "verb"),
    [
        (BELOW, USABLE, True, "{} probably have sold less"),
        (ABOVE, USABLE, True, "{} probably have sold more"),
        (BELOW, USABLE, False, "{} may have sold less"),
        (BELOW, WITH_BOUNDS, True, "{} may have sold less"),
        (BOTH, USABLE, True, "whether"),
        (NONE, USABLE, True, ""),
    ],
)
def test_confidence_in_words_follows_from_interval_grade_and_checks(ends, grade, passed, verb):
    row = {"conf_low": ends[0], "conf_high": ends[1], "grade": grade}
    said = {
        "{} probably have sold less": ("Firms have probably sold less.", "Firms would probably have sold less."),
        "{} probably have sold more": ("Firms have probably sold more.", "Firms would probably have sold more."),
        "{} may have sold less": ("Firms may have sold less.", "Firms might have sold less."),
        "whether": (
            "Whether firms have sold less or more cannot be told.",
            "Whether firms would have sold less or more cannot be told.",
        ),
        "": ("", ""),
    }[verb]
    for market, text in zip(("", "a market"), said, strict=True):
        style.use("simulated" if market else "estimate", market)
        assert words.surely(row, "firms", "sold {}", passed=passed) == text


@pytest.mark.parametrize(
    ("drawn", "axis", "says"),
    [
        (
            rows(a=BELOW, b=BOTH, c=NONE).assign(estimate=[-2.0, np.nan, np.nan]),
            "change, per cent",
            "Change, per cent: a: −2.0 [−3.0 to −1.0]; b: −1.0 to +1.0.",
        ),
        (TWO, "share", "Share: p, a: 1.0 to 2.0; p, b: 3.0 to 3.0."),
        (
            pd.concat([TWO.assign(part="rows"), TWO.assign(part="fan", term="c")]),
            "share",
            "Share: p, a: 1.0 to 2.0; p, b: 3.0 to 3.0.",
        ),
        (pd.DataFrame({"value": [1.0]}), "draws", ""),
    ],
)
def test_who_cannot_see_a_figure_reads_its_rows_or_where_its_lines_begin_and_end(drawn, axis, says):
    assert words.described(drawn, axis) == says


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-3.0, 1.0), "; the interval, −3.0 to +1.0, holds this value."),
        ((-1.0, 1.0), "; the interval, −1.0 to +1.0, misses this value."),
        ((np.nan, np.nan), "."),
        ((), "."),
    ],
)
def test_it_is_said_whether_an_interval_holds_the_truth(ends, said):
    told = words.in_truth(-2.0, "per cent", ends, it="sales fell by")
    assert told == f"In the simulated truth sales fell by −2.0 ○ per cent{said}"


@pytest.mark.parametrize(
    ("value", "word", "said"),
    [
        (-3.0, NOT_SHOWN, "the claim is false, but the panel cannot show it"),
        (-3.0, CONTRADICTED, "the panel shows that the claim is false"),
        (-3.0, SUPPORTED, "the claim is false, but the verdict is the opposite"),
        (-1.0, NOT_SHOWN, "the claim is true, but the panel cannot show it"),
        (-1.0, SUPPORTED, "the panel shows that the claim is true"),
        (-1.0, CONTRADICTED, "the claim is true, but the verdict is the opposite"),
    ],
)
def test_a_claim_whose_truth_is_known_is_said_to_be_true_or_false_and_found_or_not(value, word, said):
    told = words.tried_out(SimpleNamespace(word=word), value, "per cent", (-4.0, 1.0), it="it is", above=-2.0)
    assert told == f"{words.in_truth(value, 'per cent', (-4.0, 1.0))} So in this market {said}."


def test_of_a_claim_whose_truth_is_not_known_or_that_nobody_judges_nothing_is_said():
    judged = SimpleNamespace(word=NOT_SHOWN)
    for unknown in (None, np.nan):
        assert words.tried_out(judged, unknown, "per cent", (-4.0, 1.0), it="it is", above=0.0) == ""
    known = words.tried_out(None, 2.0, "per cent", (), it="it is", above=0.0)
    assert known == "In the simulated truth it is +2.0 ○ per cent."


def test_the_effect_that_a_panel_would_mostly_show_is_said_where_it_is_known():
    below, _, none = (words.smallest_seen(row) for row in LABELLED.to_dict("records"))
    assert below == "Four of five such panels would show an effect of 2.8 ○ per cent; smaller ones are often missed."
    assert none == ""


def test_other_estimates_are_said_by_how_far_they_lie_from_the_first_and_whether_inside_its_interval():
    away = "−9.0 ○ percentage points (second); +1.5 ○ percentage points (fourth), inside its interval"
    assert words.beside_first(FOURTH) == f"Away from the first: {away}."
    assert words.beside_first(LABELLED.iloc[[0, 2]]) == words.beside_first(LABELLED.iloc[::-1]) == ""


def test_placebos_are_sorted_by_whether_they_exclude_zero_and_sized_against_their_estimates():
    assert words.placebos(LABELLED, [4.0, 10.0, np.nan]) == (
        "Placebos whose interval excludes zero: second −8.0 ○ [−9.0 to −7.0], 80 per cent of the estimate; "
        "whose interval holds zero: first, 25 per cent of the estimate; whose interval is not there: third."
    )
    assert words.placebos(LABELLED.head(1), [np.nan]) == "Placebos whose interval holds zero: first."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.42, "excludes zero up to a drift from month to month of M* times the largest before closure: the break"),
        (np.nan, "The interval of the mean effect of months 0 to 3 holds zero even with no drift"),
        (np.inf, "excludes zero under every drift"),
    ],
)
def test_the_breakdown_value_decides_what_is_said_of_drift(value, said):
    told = words.breakdown(found("0", "1", details={"breakdown": value}), "of months 0 to 3")
    assert said in told
    assert ("M* = 0.42 ○" in told) == (value == 0.42)


def test_months_before_the_reference_are_those_of_the_test_of_the_paths():
    told = words.pretrend(found("-5", "-4", "-2", "0", details={"pretrend": TEST, "reference": -3}))
    assert told.startswith("Before the reference the largest of 2 t statistics is 2.3 (p < 0.001 ")
    assert "paths lay within ±20 ○ per cent, and find a steady drift of 4 ○ per cent a month four times of five" in told


def test_the_fan_says_how_many_estimates_stand_out_from_their_own_placebos():
    fan = totals.fan("2021Q3", 4, level=0.95)
    first, *_, last = fan.details["placebo_dates"]
    assert f"{int(fan.rows['outside'].sum())} of them lie outside" in words.fan(fan)
    assert f"{first} to {last}. A lead" in words.fan(fan)
    late = words.fan(totals.fan("2021Q1", 8, level=0.95))
    assert late.endswith("No placebo date leaves room for the 8 quarters after a break.")


# The file of words


@pytest.mark.parametrize(
    ("line", "other", "why"),
    [
        ("  panel: {name", "  tower: {name", "key of the file: tiers facts, .* were asked for"),
        ("  do not use:", "  use:", "key of the file: grades , do not use, .* were asked for"),
        ("headline: [C08 record", "headline: [C99 record", "key of the file: sayings C03, .* were asked for"),
        ("  Supported:\n    moderate", "  Certain:\n    moderate", "key forms.Certain: Input should be 'Supported'"),
        ('so: "{who}', 'thus: "{who}', "key so: Field required"),
        ("    denied: true\n", "    denies: true\n", "key sayings.growth_not_lower.denies: there is no such key"),
    ],
)
def test_words_of_another_form_are_refused_with_their_key(tmp_path, line, other, why):
    text = (data.DATA / "words.yml").read_text(encoding="utf-8")
    assert text.count(line) == 1
    file = tmp_path / "words.yml"
    file.write_text(text.replace(line, other), encoding="utf-8")
    with pytest.raises(DataError, match=why):
        yaml.load(file, words.Phrases)


def test_words_that_were_changed_are_refused_until_they_are_accepted(tmp_path):
    (tmp_path / "datapackage.json").write_bytes((data.DATA / "datapackage.json").read_bytes())
    (tmp_path / "words.yml").write_text("tiers: {}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.yml: sha256:.* was accepted; found"):
        data.verified("words", root=tmp_path)
