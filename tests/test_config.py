"""What people write: each way in which a map, an event, the schedule or a parameters cell can be
wrong is refused.
"""

import json
import math
import re
from pathlib import Path

import pytest
from desk import PARAMETERS, cell, write_notebook
from fewtreated.errors import DataError, DesignError
from reading import read_json
from ruamel.yaml import YAML

from analysis import data, parameters, yaml
from analysis.event import EVENTS, read_event
from analysis.evidence import claims, verdicts
from analysis.panel.map import Map
from market.parameters import FIRST_MONTH, PLATFORMS, WAVES
from runner import schedule

SHIPPED = EVENTS / "amazon_2021" / "event.yml"


def written(folder, text, name="a.yml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Files that are refused

WRITTEN = YAML(typ="safe").load(Path(__file__).parent / "cases" / "written.yml")
LARGE = [
    ("[" * 900 + "]" * 900, ["line 1: expected at most 12 levels of lists and keys"]),
    (b"home: \xff", ["invalid start byte"]),
    (
        f"currency: CNY\nrates: {'9' * 5000}",
        ["key rates: expected a positive, finite number of US dollars"],
    ),
]


def cases(kind):
    """Return what is written in each case, and the words of its refusal."""
    return [
        (
            case.get("text", case.get("values")),
            [words] if isinstance(words := case["refused"], str) else words,
        )
        for case in WRITTEN[kind]
    ]


def hold(refusal, path, words):
    message = str(refusal.value)
    assert message.startswith(str(path))
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 420
    assert "s3cr3t" not in message


OF_SCHEDULES = [*cases("schedule")]
OF_SCHEDULES += [
    (f"reports: [{{name: 01_a, notebook: a.ipynb}}]\nnotices: [{notice}]", words)
    for notice, words in cases("notice") + cases("secret in the place of a name")
]
OF_MAPS = cases("no YAML") + cases("map")


def read_map(folder, content):
    return yaml.load(written(folder, content), Map)


def read_schedule(folder, content):
    (folder / "reports").mkdir()
    written(folder / "reports", content, "schedule.yml")
    return schedule.load(folder)


@pytest.mark.parametrize(
    ("read", "content", "words"),
    [
        *((read_map, *case) for case in LARGE + OF_MAPS),
        *((read_schedule, *case) for case in OF_SCHEDULES),
    ],
)
def test_a_file_that_is_no_map_or_schedule_is_refused_with_its_line_or_key(
    tmp_path, read, content, words
):
    with pytest.raises(DataError) as refusal:
        read(tmp_path, content)
    hold(refusal, tmp_path, words)


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(DataError, match=re.escape(f"{path}: expected a file; found")):
            yaml.load(path, Map)


# Maps


def test_names_codes_months_and_rates_of_a_map_are_read_as_they_are_meant(tmp_path):
    text = """\
columns: {firm: seller, brand: owner, sales: gmv}
platforms: {Amazon: AMZ, 1688: OWN}
origins: {China: CN, no: NO}
currency: CNY
rates: {2020: 0.145, 2021-05: 0.1546}
month_format: "%d/%m/%Y"
closed_format: ["%Y-%m-%d", "%d.%m.%Y"]
wide: {prefix: "m", format: "%Y%m"}
"""
    found = yaml.load(written(tmp_path, text), Map)
    assert found.columns == {"firm": "seller", "brand_group": "owner", "sales": "gmv"}
    assert found.platforms == {"Amazon": "AMZ", "1688": "OWN"}
    assert found.origins == {"China": "CN", "no": "NO"}
    assert found.month_format == ("%d/%m/%Y",)
    assert found.closed_format == ("%Y-%m-%d", "%d.%m.%Y")
    assert (found.wide.prefix, found.wide.format) == ("m", "%Y%m")
    assert [found.rate(month) for month in ("2020-05", "2021-05")] == [0.145, 0.1546]
    assert math.isnan(found.rate("2021-06"))


def test_one_rate_holds_for_all_months_and_none_is_one(tmp_path):
    assert yaml.load(written(tmp_path, "currency: CNY\nrates: .5"), Map).rate("1999-01") == 0.5
    assert Map().rate("1999-01") == 1.0


def test_rates_by_label_are_of_a_column_of_currencies_in_which_dollars_need_none(tmp_path):
    found = yaml.load(
        written(tmp_path, "rates: {CNY: {2020: .145, 2021-03: .155}, EUR: 1.18}"), Map
    )
    assert found.money_by_row
    asked = [("2020-01", "CNY"), ("2021-03", "CNY"), ("2021-03", "EUR"), ("2021-03", "USD")]
    assert [found.rate(month, money) for month, money in asked] == [0.145, 0.155, 1.18, 1.0]
    assert math.isnan(found.rate("2021-04", "CNY"))
    assert math.isnan(found.rate("2021-04", "GBP"))


# Events


def changed(tmp_path, **values):
    content = YAML(typ="safe").load(SHIPPED.read_text(encoding="utf-8")) | values
    path = tmp_path / "other.yml"
    path.write_text(
        json.dumps({key: value for key, value in content.items() if value is not None})
    )  # which is YAML
    return str(path)


def test_the_event_that_ships_names_the_rows_that_there_are():
    event = read_event("amazon_2021")
    assert {*event.claims} == {*data.load("readings")["claim_id"]}
    assert {*data.load("claims").query("seed")["claim_id"], "C16"} < {*event.claims}
    assert set(event.threats) == set(data.load("threats")["threat_id"])


def test_the_event_that_ships_is_the_one_that_is_simulated():
    event = read_event("amazon_2021")
    assert tuple(event.platforms) == PLATFORMS
    year, month = map(int, FIRST_MONTH.split("-"))
    months = [(year * 12 + month - 1 + wave) for wave in WAVES]
    assert list(event.waves) == [f"{number // 12}-{number % 12 + 1:02d}" for number in months]


BAZAAR = {
    "title": "The closing of the bazaars",
    "home": "BAZ",
    "platforms": {"BAZ": "Bazaar", "SQR": "Square"},
    "destinations": ["SQR"],
    "origin": "XX",
    "origin_name": "Northern",
    "waves": ["2031-05"],
}
SAID = {
    "B1": {
        "claimant": "Guild",
        "readings": {"growth_positive": "They grew.", "share_unchanged": "It stayed."},
    }
}


def bazaar(tmp_path, **values):
    (tmp_path / "bazaar.yml").write_text(json.dumps(BAZAAR | values))
    return str(tmp_path / "bazaar.yml")


def test_an_event_needs_no_claims_threats_or_readings(tmp_path):
    event = read_event(bazaar(tmp_path))
    assert (event.claims, event.threats, event.readings, event.asked) == ({}, {}, {}, {})
    assert event.record == ""


def test_an_event_holds_claims_and_threats_of_its_own(tmp_path):
    told = {
        "B2": {
            "claimant": "Union",
            "readings": {"more_sales_elsewhere": "They sell more in the Square."},
        }
    }
    flood = {
        "F1": {"when": "June 2031", "what": "A flood", "hits": "all stalls", "threatens": "E1"}
    }
    event = read_event(bazaar(tmp_path, claims=SAID | told, threats=flood))
    assert event.asked == {
        "growth_positive": ("B1", "V1"),
        "share_unchanged": ("B1", "V2"),
        "more_sales_elsewhere": ("B2", ""),
    }
    (row,) = claims.threat_register(event).to_dict("records")
    assert (row["threat_id"], row["months"], row["event"]) == ("F1", "June 2031", "A flood")
    found = claims.Finding(tier="panel", provenance="estimate", interval=(-0.5, 0.5), margin=1.0)
    word = claims.judge("B1", "V2", found, event=event)
    rule = claims.judge("C16", "", found)
    assert (word.statement, word.claimant, word.name) == ("It stayed.", "Guild", "B1 V2")
    assert (word.word, word.unit, word.why, word.change) == (
        rule.word,
        rule.unit,
        rule.why,
        rule.change,
    )
    assert verdicts.unjudged([word], event) == ["B1 V1", "B2"]


@pytest.mark.parametrize("kind", ["event", "claims of an event"])
def test_a_wrong_event_is_refused_and_named(tmp_path, kind):
    for values, words in cases(kind):
        path = (changed if kind == "event" else bazaar)(tmp_path, **values)
        with pytest.raises(DataError) as refusal:
            read_event(path)
        hold(refusal, path, words)


def test_public_figures_are_of_one_crackdown_whatever_its_waves_claims_and_threats(tmp_path):
    assert read_event("amazon_2021", record="amazon_2021") == read_event("amazon_2021")
    copy = changed(tmp_path, waves=["2021-04", "2021-05"], claims=["C01"], threats=[])
    event = read_event(copy, record="amazon_2021")
    assert [*event.claims] == ["C01"]
    assert set(event.asked) == {"growth_positive", "growth_not_lower"}


@pytest.mark.parametrize(
    "values",
    [
        {"title": "Another one"},
        {"origin": "US"},
        {"readings": {}},
        {"destinations": ["WMT"]},
        {"origin_name": "other"},
    ],
)
def test_public_figures_are_not_shown_as_those_of_another_event(tmp_path, values):
    nothing = {"claims": [], "threats": [], "readings": {}, "answers": {}, "headline": []}
    path = changed(tmp_path, **nothing | values)
    assert not read_event(path).is_told_by("amazon_2021")
    with pytest.raises(
        DesignError, match="the figures of this report describe amazon_2021; supply a panel"
    ):
        read_event(path, record="amazon_2021")


def test_an_unknown_event_is_refused_with_those_that_there_are():
    with pytest.raises(DesignError, match="choose from amazon_2021"):
        read_event("amazon_2022")


# The schedule


def test_parameters_waits_and_notices_of_a_schedule_are_read_as_they_are_meant(tmp_path):
    text = """\
reports:
  - name: 05_a
    notebook: a.ipynb
    parameters: {seed: [1, 2], event: amazon_2021}
    waits_for: data/facts/events.csv
notices:
  - email: {to: [a@b.org, c@d.org], from: e@f.org, host: MAIL_HOST, user: MAIL_USER,
            password: MAIL_PASSWORD}
  - {webhook: CHAT, form: slack}
"""
    found = read_schedule(tmp_path, text)
    (report,) = found.reports
    assert report.parameters == {"seed": ("1", "2"), "event": ("amazon_2021",)}
    assert report.waits_for == ("data/facts/events.csv",)
    mail, chat = found.notices
    assert (mail.email.sender, mail.email.starttls) == ("e@f.org", True)
    assert mail.variables == ("MAIL_HOST", "MAIL_USER", "MAIL_PASSWORD")
    assert chat.variables == ("CHAT",)


# The parameters of a notebook


@pytest.fixture
def notebook(tmp_path):
    file = tmp_path / "07_question.ipynb"
    write_notebook(file, "print(count)")
    return file


def read_cell(folder, source):
    write_notebook(folder / "cell.ipynb", parameters=source)
    return parameters.parameter_model(folder / "cell.ipynb")


def test_each_line_of_the_cell_is_a_parameter(notebook):
    fields = parameters.parameter_model(notebook).model_fields
    assert list(fields) == ["as_of", "count", "share", "tier", "note", "strict"]
    shown = {
        name: (field.default, field.title, field.description) for name, field in fields.items()
    }
    assert shown["count"] == (3, "int, allowed 1 to 9", "number of things")
    assert shown["note"] == ("a=b", "str", "free text")
    assert shown["as_of"] == (
        "2026-11-01",
        "str, allowed a date YYYY-MM-DD",
        "date of knowledge, YYYY-MM-DD",
    )
    assert shown["strict"] == (True, "bool", "whether to be strict")


@pytest.mark.parametrize(("line", "description", "title"), WRITTEN["parameter with a comment"])
def test_help_and_rule_come_from_the_comment(tmp_path, line, description, title):
    field = read_cell(tmp_path, line).model_fields["x"]
    assert (field.description, field.title) == (description, title)


ENDLESS = [
    (f"x: int = {'9' * 5000}", ["4300 digits"]),
    (f"x: float = {'9' * 400}", ["too large"]),
    (f"x: int = {'(' * 900}1{')' * 900}", ["too many nested parentheses"]),
]


@pytest.mark.parametrize(("source", "words"), [*cases("cell of parameters"), *ENDLESS])
def test_anything_but_an_annotated_literal_that_keeps_its_rule_is_refused(tmp_path, source, words):
    with pytest.raises(DesignError) as refusal:
        read_cell(tmp_path, source)
    assert [word for word in words if word not in str(refusal.value)] == []


def test_a_notebook_has_one_parameters_cell(tmp_path, notebook):
    write_notebook(tmp_path / "n.ipynb", "print(1)", parameters=None)
    with pytest.raises(
        DesignError, match=r"n\.ipynb: 0 cells are tagged `parameters`; tag exactly one"
    ):
        parameters.parameter_model(tmp_path / "n.ipynb")
    content = read_json(notebook)
    content["cells"].append(cell("code", 9, "y: int = 1", "parameters"))
    notebook.write_text(json.dumps(content))
    with pytest.raises(DesignError, match="2 cells are tagged"):
        parameters.parameter_model(notebook)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "{", '{"cells": [1]}'])
def test_a_file_that_is_no_notebook_is_refused_and_named(tmp_path, content):
    if content is not None:
        written(tmp_path, content, "n.ipynb")
    with pytest.raises(DesignError, match=r"Parameters of n\.ipynb: .*n\.ipynb is not a notebook"):
        parameters.parameter_model(tmp_path / "n.ipynb")


def test_given_text_goes_before_defaults(notebook):
    model = parameters.parameter_model(notebook)
    given = {"count": "7", "share": "1", "strict": "false", "note": "5"}
    values = parameters.settled(model, given)
    told = {"count": 7, "share": 1.0, "tier": "facts", "note": "5", "strict": False}
    assert {name: values[name] for name in told} == told
    assert [type(values[name]) for name in told] == [int, float, str, str, bool]


def test_one_of_some_numbers_is_read_as_a_number(tmp_path):
    model = read_cell(tmp_path, "x: int = 2  # allowed 1 | 2 | 3")
    assert parameters.settled(model, {"x": "3"}) == {"x": 3}
    with pytest.raises(
        DesignError, match=r"Parameter x: found '4'; use a value of type int, allowed 1 | 2 | 3"
    ):
        parameters.settled(model, {"x": "4"})


WRONG = {
    "count": ["1e3", "3.5", "", "10", "many", "9" * 5000],
    "share": ["nan", "inf", "1e400", "half", "-0.1"],
    "tier": ["panel", ""],
    "strict": ["nope", "2"],
    "as_of": ["2026-13-01", "20261101", "today"],
}


@pytest.mark.parametrize(
    ("name", "given"), [(name, text) for name, texts in WRONG.items() for text in texts]
)
def test_a_wrong_value_is_refused_and_the_allowed_ones_are_named(notebook, name, given):
    model = parameters.parameter_model(notebook)
    with pytest.raises(DesignError) as caught:
        parameters.settled(model, {name: given})
    assert str(caught.value).startswith(f"Parameter {name}: found ")
    assert model.model_fields[name].title in str(caught.value)
    assert len(str(caught.value)) < 200


TIED = """\
low: float = 0.4  # allowed 0 to 1; at most high
high: float = 0.5  # allowed 0 to 1
day: str = "2021-04-25"  # allowed date; before last
last: str = "2021-07-01"  # allowed date
"""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"low": "0.6"},
            "low: found 0.6, but high is 0.5; use a value at most high, or change high",
        ),
        ({"high": "0.3"}, "low: found 0.4, but high is 0.3; use a value at most high"),
        ({"last": "2021-04-25"}, "day: found '2021-04-25', but last is '2021-04-25'; use a value"),
    ],
)
def test_parameters_that_depend_on_each_other_are_checked_together(tmp_path, given, words):
    model = read_cell(tmp_path, TIED)
    with pytest.raises(DesignError, match=f"Parameter {words}"):
        parameters.settled(model, given)
    for fits in ({"low": "0.5"}, {"low": "0.6", "high": "0.7"}, {"day": "2021-06-30"}):
        assert parameters.settled(model, fits).keys() == {"low", "high", "day", "last"}


def test_a_running_notebook_checks_them_together_too(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "NOTEBOOKS", tmp_path)
    write_notebook(tmp_path / "cell.ipynb", parameters=TIED)
    with pytest.raises(DesignError, match=r"Parameter low: found 0\.4, but high is 0\.1"):
        parameters.checked_parameters(
            "cell.ipynb", {"low": 0.4, "high": 0.1, "day": "2021-04-25", "last": "2021-07-01"}
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", "3"),
        ("count", True),
        ("count", 3.0),
        ("share", 2.0),
        ("share", math.nan),
        ("note", 5),
    ],
)
def test_a_running_notebook_is_held_to_types_and_rules(notebook, name, value):
    namespace = {}
    exec(PARAMETERS, namespace)
    assert parameters.checked_parameters(str(notebook), namespace)["count"] == 3
    assert parameters.checked_parameters(str(notebook), {**namespace, "share": 1})["share"] == 1.0
    with pytest.raises(DesignError, match=rf"Parameter {name}: found {value!r}; use a value"):
        parameters.checked_parameters(str(notebook), {**namespace, name: value})
    del namespace["tier"]
    with pytest.raises(DesignError, match=r"Parameter tier: found None"):
        parameters.checked_parameters(str(notebook), namespace)


def test_open_questions_are_told_all_at_once_and_so_is_an_answer_beside_its_question(tmp_path):
    path = tmp_path / "map.yml"
    path.write_text('rates:\n  EUR: "?"\n  CNY: "?"\nabsent: "?"\n')
    with pytest.raises(
        DataError, match=r"found 3 open questions: rates.EUR, rates.CNY, absent; replace each"
    ):
        yaml.load(path, Map)
    path.write_text('absent: zero\nabsent: "?"\n')
    with pytest.raises(
        DataError, match=r"line 2: .*once a question is answered, remove the line with the value"
    ):
        yaml.load(path, Map)
