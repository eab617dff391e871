"""Words: the fixed rules with their boundaries, and verdict files that are whole or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from fewtreated.errors import DataError, DesignError
from pydantic import ValidationError
from ruamel.yaml import YAML

from analysis.event import read_event
from analysis.evidence import verdicts
from analysis.evidence.verdicts import CONTRADICTED, NOT_SHOWN, NOT_TESTABLE, SUPPORTED, Verdict

CASES = YAML(typ="safe").load(Path(__file__).parent / "cases" / "verdicts.yml")
NAN = float("nan")
INF = float("inf")
GOOD = {
    "claim": "C01",
    "statement": "Growth was not lower.",
    "claimant": "Amazon (vice-president Cindy Tai)",
    "word": NOT_SHOWN,
    "confidence": "moderate",
    "tier": "facts",
    "provenance": "estimate",
    "why": "The set holds both.",
    "change": "A panel.",
}


def fault(**changes):
    """Return what is wrong with a verdict."""
    with pytest.raises(ValidationError) as refused:
        Verdict(**(GOOD | changes))
    return verdicts.faults(refused.value)


@pytest.mark.parametrize(("rule", "given", "word"), CASES["words"])
def test_each_rule_gives_its_word_up_to_its_boundaries(rule, given, word):
    assert getattr(verdicts, rule)(*given) == word


def test_a_truth_of_numpy_is_one():
    assert verdicts.documented([np.bool_(True)]) == SUPPORTED


@pytest.mark.parametrize("rule", [("not_lower", 2.0), ("unchanged", 2.0), ("direction",)])
def test_a_wider_interval_never_turns_an_open_question_into_a_word(rule):
    name, *margin = rule
    judge = getattr(verdicts, name)
    rng = np.random.default_rng(0)
    for low, reach, more in zip(
        rng.uniform(-6, 6, 400), rng.uniform(0, 4, 400), rng.uniform(0, 4, 400), strict=True
    ):
        narrow = judge((low, low + reach), *margin)
        wide = judge((low - more, low + reach + more), *margin)
        assert wide in (narrow, NOT_SHOWN)


@pytest.mark.parametrize(("rule", "given"), CASES["no numbers"])
def test_no_rule_gives_a_word_to_what_is_no_number(rule, given):
    with pytest.raises(
        DesignError, match=r"^Cannot judge the claim: .* (is|runs from) .*; (pass|set) "
    ):
        getattr(verdicts, rule)(*given)


@pytest.mark.parametrize("name", ["estimate", "low", "high", "claimed", "margin"])
@pytest.mark.parametrize("value", [NAN, np.float32("nan"), "a dozen"])
def test_a_verdict_has_a_number_or_none_and_never_a_nan(name, value):
    assert fault(**{name: value}).startswith(f"{name}: Input should be ")


SIM = {"tier": "sim", "provenance": "simulated", "market": "mid_3k, seed 1"}


def test_a_simulated_verdict_speaks_only_under_its_condition():
    told = Verdict(**(GOOD | SIM))
    assert told.simulated
    assert told.said == "In the simulated market (mid_3k, seed 1): Not shown"
    own = Verdict(**(GOOD | {"tier": "panel", "provenance": "simulated", "market": "own.csv"}))
    assert own.said == "In the simulated market (own.csv): Not shown"
    assert not Verdict(**GOOD).simulated
    assert Verdict(**GOOD).said == NOT_SHOWN


def about(*claims):
    return read_event("amazon_2021").model_copy(update={"claims": dict.fromkeys(claims)})


def test_a_simulated_verdict_judges_no_reading():
    told = Verdict(**(GOOD | SIM | {"word": SUPPORTED, "reading": "V2"}))
    assert "C01 V2" in verdicts.unjudged([told], about("C01"))
    assert "C01 V2" not in verdicts.unjudged([Verdict(**GOOD, reading="V2")], about("C01"))


def test_what_nobody_judged_is_said_of_the_claims_of_the_event_alone():
    judged = [Verdict(**GOOD, reading="V2")]
    assert verdicts.unjudged(judged, about("C03", "C01")) == ["C03", "C01 V1"]
    assert verdicts.unjudged(judged, about()) == []
    assert verdicts.unjudged(judged, about("C39")) == ["C39"]  # nobody has read it yet


def of(tier, word, notebook="05", **changes):
    if tier == "sim":
        market = SIM
    else:
        market = {}
    return Verdict(**(GOOD | {"tier": tier, "word": word, "notebook": notebook} | market | changes))


@pytest.mark.parametrize(
    ("found", "tier", "word"),
    [
        (
            [of("facts", NOT_SHOWN), of("panel", SUPPORTED), of("listed", CONTRADICTED)],
            "panel",
            SUPPORTED,
        ),
        ([of("facts", NOT_SHOWN), of("listed", CONTRADICTED)], "listed", CONTRADICTED),
        ([of("panel", NOT_TESTABLE), of("facts", NOT_SHOWN)], "facts", NOT_SHOWN),
        ([of("panel", NOT_TESTABLE), of("facts", NOT_TESTABLE)], "panel", NOT_TESTABLE),
        ([of("facts", SUPPORTED, "06"), of("facts", CONTRADICTED, "05")], "facts", CONTRADICTED),
        ([of("facts", NOT_SHOWN), of("households", NOT_SHOWN)], "households", NOT_SHOWN),
        ([of("facts", SUPPORTED), of("households", NOT_SHOWN)], "facts", SUPPORTED),
        ([of("facts", SUPPORTED), of("households", CONTRADICTED)], "households", CONTRADICTED),
        ([of("facts", SUPPORTED), of("panel", NOT_SHOWN)], "panel", NOT_SHOWN),
        ([of("sim", SUPPORTED), of("facts", NOT_SHOWN)], "facts", NOT_SHOWN),
    ],
)
def test_the_word_comes_from_the_best_data_that_can_test_the_reading(found, tier, word):
    for order in (found, found[::-1]):
        (chosen,) = verdicts.best(order)
        assert (chosen.tier, chosen.word) == (tier, word)


def test_every_reading_has_one_best_verdict_and_one_of_the_simulated_market_in_claim_order():
    found = [
        of("facts", SUPPORTED, claim="C07"),
        of("facts", SUPPORTED, reading="V2"),
        of("facts", SUPPORTED),
    ]
    told = [
        of("sim", NOT_TESTABLE, "05"),
        of("sim", SUPPORTED, "06"),
        of("sim", NOT_SHOWN, claim="C99"),
    ]
    assert [one.name for one in verdicts.best(found + told)] == ["C01", "C01 V2", "C07"]
    ((about, apart),) = verdicts.apart(found + told).items()
    assert about == told[0].apart
    assert {name: one.word for name, one in apart.items()} == {"C01": SUPPORTED, "C99": NOT_SHOWN}


def test_what_a_panel_says_of_its_own_firms_alone_judges_no_reading():
    public = of("facts", NOT_SHOWN)
    own = of("panel", NOT_TESTABLE, aside="In this panel of 9 firms:")
    assert verdicts.best([own, public]) == [public]
    assert verdicts.best([own]) == []
    assert verdicts.unjudged([own], about("C39")) == ["C39"]
    assert verdicts.apart([own, public, of("sim", SUPPORTED)]).keys() == {
        own.aside,
        of("sim", SUPPORTED).apart,
    }
    assert own.said == "In this panel of 9 firms: Not testable"


def test_beside_the_word_of_a_panel_stands_what_public_figures_said():
    facts = of("facts", NOT_SHOWN)
    panel = of("panel", SUPPORTED)
    listed = of("listed", SUPPORTED, claim="C08")
    assert verdicts.displaced_verdicts([facts, panel, listed]) == {"C01": [facts]}
    assert verdicts.displaced_verdicts([panel]) == {"C01": []}
    assert (
        verdicts.displaced_verdicts([facts, of("panel", NOT_TESTABLE)]) == {}
    )  # the panel gave no word


LEVELS = verdicts.CONFIDENCE


@pytest.mark.parametrize("grade", verdicts.GRADES)
@pytest.mark.parametrize("passed", [True, None, False])
@pytest.mark.parametrize("breakdown", [None, INF, 1.0, 0.99, 0.0, NAN])
def test_confidence_is_the_lowest_that_grade_check_and_breakdown_value_allow(
    grade, passed, breakdown
):
    level = LEVELS.index(verdicts.confidence(grade, passed=passed, breakdown=breakdown))
    alone = [verdicts.confidence(grade, passed=True), verdicts.confidence("usable", passed=passed)]
    alone.append(verdicts.confidence("usable", passed=True, breakdown=breakdown))
    assert level == max(map(LEVELS.index, alone))


def test_each_part_of_confidence_has_its_levels():
    grades = {
        "usable": "high",
        "usable with bounds": "moderate",
        "": "moderate",
        "do not use": "low",
    }
    assert {grade: verdicts.confidence(grade, passed=True) for grade in grades} == grades
    assert [verdicts.confidence("usable", passed=passed) for passed in (True, None, False)] == list(
        LEVELS
    )
    values = (1.0, 0.99, NAN)
    assert [
        verdicts.confidence("usable", passed=True, breakdown=value) for value in values
    ] == list(LEVELS)


@pytest.mark.parametrize(
    ("interval", "drift", "value"),
    [
        ((-1.0, 3.0), 0.5, 2.0),
        ((-1.0, 3.0), -0.5, 2.0),
        ((-9.0, -4.0), 0.5, 4.0),
        ((-1.0, 3.0), 0.0, INF),
        ((-2.0, 3.0), 0.5, NAN),  # a limit on the boundary leaves no room
        ((-9.0, 9.0), 0.5, NAN),
    ],
)
def test_a_breakdown_value_counts_drifts_to_the_boundary(interval, drift, value):
    assert verdicts.breakdown_value(interval, -2.0, drift) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(("changes", "message"), CASES["faults"])
def test_a_verdict_outside_the_vocabulary_or_of_an_unnamed_market_is_refused(changes, message):
    assert message in fault(**changes)


def write(path, *judged, as_of="2026-11-01", **options):
    known = {"as_of": as_of, "notebook": "05_growth", "resources": ["claims"], **options}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(verdicts.as_rows(judged, **known)))


def test_what_is_written_is_read_again_in_the_order_of_file_names(tmp_path):
    first = Verdict(
        **GOOD, reading="V2", estimate=-1.25, low=-16.1, high=2.8, margin=2.0, interval="bounds"
    )
    second = Verdict(**(GOOD | {"claim": "C03", "statement": "“About 3,000” & more"}))
    write(tmp_path / "made" / "b.json", second)
    third = Verdict(**GOOD, reading="V1")
    write(tmp_path / "made" / "a.json", first, third)
    found = verdicts.read_verdicts(tmp_path / "made")
    assert [one.name for one in found] == ["C01 V2", "C01 V1", "C03"]
    assert [one.name for one in verdicts.read_verdicts(tmp_path / "made", ["C03", "C07"])] == [
        "C03"
    ]
    stamped = {"as_of": "2026-11-01", "notebook": "05_growth"}
    for got, put in ((found[0], first), (found[2], second)):
        assert got.model_copy(update={"inputs": ""}) == put.model_copy(update=stamped)
    assert {one.word for one in found} == {NOT_SHOWN}


def test_the_digest_of_the_inputs_depends_on_files_and_panels_and_not_on_their_order(tmp_path):
    files = {"a": ("claims", "events"), "b": ("events", "claims"), "c": ("claims",)}
    panels = {"d": ("x", "y"), "e": ("y", "x"), "f": ("x",)}
    for name in files | panels:
        read = {"resources": files.get(name, ["claims"]), "digests": panels.get(name, [])}
        write(tmp_path / f"{name}.json", Verdict(**GOOD, reading=name), **read)
    a, b, c, d, e, f = (verdict.inputs for verdict in verdicts.read_verdicts(tmp_path))
    assert (a, d) == (b, e)
    assert len({a, c, d, f}) == 4
    assert len(a) == 64


def test_an_open_side_stays_open_in_a_file_that_is_json(tmp_path):
    write(tmp_path / "a.json", Verdict(**GOOD, estimate=1.0, low=-INF, high=INF))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    (row,) = json.loads(text, parse_constant=lambda _: pytest.fail("no JSON"))
    assert (row["estimate"], row["low"], row["high"], row["margin"]) == (1.0, "-inf", "inf", None)
    (found,) = verdicts.read_verdicts(tmp_path)
    assert (found.low, found.high, found.margin) == (-INF, INF, None)


def test_an_empty_folder_asks_for_a_run_first(tmp_path):
    for folder in (tmp_path, tmp_path / "never_made"):
        with pytest.raises(DataError, match="run make report first"):
            verdicts.read_verdicts(folder)


def test_a_report_that_was_not_due_stands_beside_a_newer_one(tmp_path):
    write(tmp_path / "a.json", Verdict(**GOOD))
    write(tmp_path / "b.json", Verdict(**{**GOOD, "claim": "C99"}), as_of="2026-12-01")
    assert [one.as_of for one in verdicts.read_verdicts(tmp_path)] == ["2026-11-01", "2026-12-01"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"claim": "C01"}', "Input should be a valid"),
        ('["C01"]', "0: Input should be"),
        ('[{"claim"', "Invalid JSON"),
        (json.dumps([GOOD | {"p": 0.01}]), "0.p: Extra inputs are not permitted, found 0.01"),
        (json.dumps([{"claim": "C01", "word": SUPPORTED}]), "0.change: Field required"),
        (
            json.dumps([GOOD | SIM | {"market": ""}]),
            "C01: its tier is 'sim', its provenance 'simulated' and its market ''",
        ),
    ],
)
def test_a_file_that_holds_no_verdicts_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        DataError, match=r"^Cannot read verdicts from bad\.json: .*; run the notebook again"
    ) as refused:
        verdicts.read_verdicts(tmp_path)
    assert message in str(refused.value)


def test_verdicts_of_two_simulated_markets_are_not_mixed_and_real_ones_may_stand_beside_one(
    tmp_path,
):
    write(tmp_path / "a.json", Verdict(**(GOOD | SIM)))
    write(tmp_path / "b.json", Verdict(**GOOD))
    assert [one.market for one in verdicts.read_verdicts(tmp_path)] == ["mid_3k, seed 1", ""]
    write(tmp_path / "c.json", Verdict(**(GOOD | SIM | {"market": "mid_3k, seed 2"})))
    with pytest.raises(
        DataError, match=r"found simulated markets mid_3k, seed 1 and mid_3k, seed 2; run make"
    ):
        verdicts.read_verdicts(tmp_path)


PANEL = {"tier": "panel"}


def test_verdicts_of_two_panels_are_not_mixed_and_public_ones_may_stand_beside_one(tmp_path):
    for number, digest in enumerate(("a" * 64, "a" * 64, "")):
        put = Verdict(**(GOOD | (PANEL if digest else {})), reading=f"V{number}")
        known = {"digests": [digest] if digest else [], "resources": ["claims", "audit"][:number]}
        write(tmp_path / f"{number}.json", put, **known)
    assert [one.panel for one in verdicts.read_verdicts(tmp_path)] == ["a" * 64, "a" * 64, ""]
    write(tmp_path / "b.json", Verdict(**(GOOD | PANEL), reading="V9"), digests=["b" * 64])
    with pytest.raises(
        DataError, match=r"found panels with the digests a{12} and b{12}; .* one panel per folder"
    ):
        verdicts.read_verdicts(tmp_path)


def test_a_verdict_on_a_panel_that_names_none_is_refused_by_name(tmp_path):
    write(tmp_path / "a.json", Verdict(**(GOOD | PANEL)))
    with pytest.raises(DataError, match="no panel is named for C01; run the notebook again"):
        verdicts.read_verdicts(tmp_path)


def test_a_reading_is_judged_once_by_each_tier(tmp_path):
    write(tmp_path / "a.json", Verdict(**GOOD, reading="V2"), Verdict(**GOOD, reading="V1"))
    write(tmp_path / "b.json", Verdict(**(GOOD | PANEL), reading="V2"), digests=["b"])
    assert len(verdicts.read_verdicts(tmp_path)) == 3
    write(tmp_path / "c.json", Verdict(**GOOD, reading="V2"))
    with pytest.raises(
        DataError, match=r"found 2 verdicts on C01 V2 in tier facts; remove the files of other runs"
    ):
        verdicts.read_verdicts(tmp_path)


def test_a_report_of_a_sweep_gives_no_word_and_is_not_read_with_the_others(tmp_path):
    whole, *varied = (
        Verdict(**GOOD, report=name) for name in ("05_a", "05_a__seed-1", "05_a__seed-2")
    )
    supported = [one.model_copy(update={"word": SUPPORTED}) for one in varied]
    assert verdicts.best([*supported, whole]) == [whole]
    rows = [one.model_dump(mode="json") for one in (whole, *supported)]
    (tmp_path / "verdicts.json").write_text(json.dumps(rows))
    assert verdicts.read_verdicts(tmp_path) == [whole]
