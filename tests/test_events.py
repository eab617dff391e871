"""Events as data: the one that ships agrees with the facts and the market, and a file that is wrong is refused."""

import pytest
import yaml

from analysis import events, facts
from analysis.errors import DataError, DesignError
from analysis.market.parameters import FIRST_MONTH, PLATFORMS, WAVES

SHIPPED = events.FOLDER / "amazon_2021.yml"


def changed(tmp_path, **values):
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | values
    path = tmp_path / "other.yml"
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))
    return str(path)


def test_the_event_that_ships_names_rows_that_there_are():
    event = events.read("amazon_2021")
    claims, readings = facts.load("claims"), facts.load("readings")
    assert set(event.claims) == set(claims.query("seed")["claim_id"])
    assert set(event.threats) == set(facts.load("threats")["threat_id"])
    assert set(event.readings.values()) <= set(zip(readings["claim_id"], readings["reading"].fillna(""), strict=True))


def test_the_event_that_ships_is_the_one_that_is_simulated():
    event = events.read("amazon_2021")
    assert tuple(event.platforms) == PLATFORMS
    first = event.waves[0] - WAVES[0]
    assert str(first) == FIRST_MONTH
    assert [(wave - first).n for wave in event.waves] == list(WAVES)


def test_another_event_is_another_file(tmp_path):
    path = changed(
        tmp_path, home="BAZ", platforms={"BAZ": "Bazaar", "SQR": "Square"}, destinations=["SQR"], origin="XX", opened=[]
    )
    event = events.read(path)
    assert (event.home, [*event.platforms], event.origin) == ("BAZ", ["BAZ", "SQR"], "XX")


def test_public_figures_are_of_one_crackdown_whatever_its_waves_claims_and_threats(tmp_path):
    shipped = events.read("amazon_2021")
    assert events.record("amazon_2021") == shipped
    copy = changed(tmp_path, waves=["2021-04", "2021-05"], claims=["C01"], threats=[])
    assert events.record(copy).claims == ("C01",)
    assert set(events.record(copy).asked) == {"growth_positive", "growth_not_lower", "share_unchanged"}


@pytest.mark.parametrize(
    "values",
    [{"title": "Another one"}, {"origin": "US"}, {"readings": {}}, {"destinations": ["WMT"]}, {"origin_name": "other"}],
)
def test_public_figures_are_not_shown_as_those_of_another_event(tmp_path, values):
    path = changed(tmp_path, **values)
    events.read(path)
    with pytest.raises(DesignError, match="those of data/facts are of the event amazon_2021; bring a panel"):
        events.record(path)


def test_an_unknown_event_is_refused_with_those_that_there_are():
    with pytest.raises(DesignError, match="there are amazon_2021"):
        events.read("amazon_2022")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"home": None}, r"found \['home'\] too many or missing"),
        ({"colour": "red"}, r"found \['colour'\]"),
        ({"home": "BAZ"}, "home, destinations and opened among the platforms were asked for; found BAZ"),
        ({"opened": ["ETS"]}, "opened among the platforms were asked for; found ETS"),
        ({"home": "EBY", "destinations": ["ALI"]}, "the home platform first were asked for; found AMZ"),
        ({"destinations": ["AMZ"]}, "destinations other than home"),
        ({"destinations": []}, "one or two destinations were asked for; found 0"),
        ({"waves": ["2021-06", "2021-05"]}, "waves in order"),
        ({"waves": ["May 21st, or so"]}, "a wave as YYYY-MM was asked for; found 'May 21st, or so'"),
        ({"waves": "2021-05"}, "waves as a list"),
        ({"platforms": ["AMZ"]}, "platforms as `name: value` lines"),
        ({"title": ""}, "title as text"),
        ({"claims": ["C01", "C98"]}, "claims of claims.csv were asked for; found C98"),
        ({"threats": ["T98"]}, "threats of threats.csv were asked for; found T98"),
        ({"readings": {"growth_positive": "C01 V8"}}, "readings of readings.csv were asked for; found C01 V8"),
    ],
)
def test_a_wrong_file_is_refused_and_named(tmp_path, values, said):
    with pytest.raises(DataError, match=said) as refusal:
        events.read(changed(tmp_path, **values))
    assert "other.yml" in str(refusal.value)


def test_yaml_that_says_a_thing_twice_or_nothing_is_refused(tmp_path):
    path = tmp_path / "event.yml"
    for text, said in (("title: a\ntitle: b\n", "twice"), ("[1, 2]", "keys and values"), ("a: [", "cannot be read")):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            events.read(str(path))
