"""Every parameter of every notebook at the ends of its printed range, and at a value that repeats
another one's.

A notebook runs through, or its parameters are refused in one sentence before a further cell runs.
"""

import re

import pytest
from ends import NOTEBOOKS, called, declared, displayed_text, judged, run_cells
from fewtreated.errors import DesignError

from analysis import data, parameters

AS_OF = (data.newest()["vintage"], "2036-12-31")  # before the newest file the runner refuses
PRECISION = (
    "markets",
    "draws",
    "workers",
)  # cost time and change no sentence: at their low ends throughout
SIMULATES_ALL = "methods/design_audit"  # each preset that it simulates costs seconds: one at a time
REPEATED = {  # values that repeat or cross another parameter's
    "04_claims": [
        {"sd_low": 3.0, "sd_high": 1.0},
        {"sd_low": 3.0},
        {"sd_log_sales": 2.0, "sd_low": 1.9, "sd_high": 2.1},
    ],
    "01_who_was_hit": [
        {"after": 2022},
        {"long_after": 2021},
        {"after": 2023, "long_after": 2023},
        {"estimation_first": "2021-04-23"},
        {"estimation_last": "2021-01-05"},
        {"estimation_last": "2021-06-01"},
        {"estimation_first": "2021-01-08", "estimation_last": "2021-04-16"},
    ],
    "02_growth": [
        {"delta_pp": 5.0},
        {"delta_pp": 8.0},
        {"delta_pp": 3.0, "common_high": 3.0},
        {"share_high": 0.4},
        {"share_low": 0.5, "share": 0.5},
        {"share_low": 0.95, "share": 0.95, "share_high": 0.95, "delta_pp": 5.0},
        {"share_low": 0.05, "share": 0.05},
        {"share": 0.6},
        {"recapture_low": 0.9},
        {"recapture_high": 0.0},
        {"common_low": 0.0, "common_high": 0.0},
        {"closed_mean": "2021-04-01"},
        {"closed_from": "2021-07-01"},
        {"closed_from": "2021-09-01", "closed_mean": "2021-09-15"},
        {"yuan_per_dollar": 8.0, "delta_pp": 5.0},
    ],
    "methods/scenarios": [
        {"fewer": 20000, "more": 20000},
        {"post_from": 9, "post_to": 4},
        {"post_from": 9},
    ],
    "panel/03_growth": [{"delta_share_pp": 2.0}, {"common_low": 0.0, "common_high": 0.0}],
}
QUICK = {  # besides all that are refused: what once failed within the range, and takes seconds
    ("panel/01_closed_firms", "post_from=0"),
    ("panel/02_spillovers", "post_from=0"),
    ("04_claims", "population=10000"),
    ("examples/own_panel", "post_from=0"),
}


def ends(name, title):
    """Return both ends of a parameter's range, or each alternative, as its title prints them."""
    kind = {"int": int, "float": float, "str": str, "bool": bool}[title.split(",", maxsplit=1)[0]]
    rule = title.partition("allowed ")[2].split(",")[0]
    if name == "as_of":
        return [*AS_OF]
    if " to " in rule:
        return [kind(end) for end in rule.split(" to ")]
    if rule and "date" not in rule:
        return [kind(one) for one in rule.split(" | ")]
    return []


def least(notebook):
    """Return the values that make a notebook quick without a change of its sentences."""
    fields = declared(notebook)
    low = {name: ends(name, fields[name].title)[0] for name in PRECISION if name in fields}
    return low | ({"sim_preset": "few_treated"} if called(notebook) == SIMULATES_ALL else {})


def cases():
    found = []
    for notebook in NOTEBOOKS:
        fields = declared(notebook)
        single = [
            {name: value}
            for name, field in fields.items()
            for value in ends(name, field.title)
            if name not in PRECISION and value != field.default
        ]
        repeated = [given for given in REPEATED.get(called(notebook), []) if given not in single]
        for given in [{}, *single, *repeated]:
            told = ", ".join(f"{name}={value}" for name, value in given.items())
            quick = refusal(notebook, given) or (called(notebook), told) in QUICK
            if quick:
                marks = []
            else:
                marks = [pytest.mark.slow]
            found.append(
                pytest.param(
                    notebook, given, id=f"{called(notebook)}: {told or 'defaults'}", marks=marks
                )
            )
    return found


def refusal(notebook, given):
    """Return why parameters are refused; empty if they are not."""
    model = parameters.parameter_model(notebook)
    try:
        parameters.valid_values(model, model.model_validate, given)
    except DesignError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    return judged(tmp_path_factory.mktemp("verdicts"))


NOT_ESTIMABLE = [("panel/03_growth", {"sim_preset": "few_treated"})]  # nothing of what it asks


def shown(notebook, given, folder):
    """Run a notebook and return the text that it shows.

    Fail if the parameters are refused and the sentence names none of them, or if anything fails
    after the setup cell.
    """
    fields = declared(notebook)
    outputs = {"table_file": folder / "table.csv"}
    there = {name: str(file) for name, file in outputs.items() if name in fields}
    cells = run_cells(notebook, least(notebook) | there | given)
    text = [next(cells)[1]]
    text += [said for _, said in cells]
    return displayed_text("\n".join(text))


@pytest.mark.parametrize(("notebook", "given"), cases())
def test_a_notebook_runs_at_the_ends_of_its_parameters_or_refuses_them_in_one_sentence(
    notebook, given, tmp_path, request
):
    if "verdict_folder" in declared(notebook):
        given = given | {"verdict_folder": str(request.getfixturevalue("verdicts"))}
    why = refusal(notebook, given)
    if not why and (called(notebook), given) in NOT_ESTIMABLE:
        with pytest.raises(DesignError, match="too few clusters: 1 of exposed firms"):
            shown(notebook, given, tmp_path)
        return
    if not why:
        assert "nan" not in re.findall(r"\w+", shown(notebook, given, tmp_path))
        return
    assert re.fullmatch(r"Parameter (\w+): found [^;]+; use a value [^;]+\.", why)
    assert any(name in why for name in given)
    with pytest.raises(DesignError) as caught:
        next(run_cells(notebook, least(notebook) | given))
    assert str(caught.value) == why


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=called)
def test_an_end_of_a_printed_range_is_refused_only_beside_another_parameter(notebook):
    for name, field in declared(notebook).items():
        for value in ends(name, field.title):
            why = refusal(notebook, {name: value})
            assert not why or re.search(r"but \w+ is .+; use a value .+, or change \w+ too", why)


FALSE = [  # what was printed, and was false, at these values
    ("01_who_was_hit", {"conf": 0.8}, "though each interval includes zero"),
    ("02_growth", {"delta_pp": 5.0, "yuan_per_dollar": 8.0}, "won back more than -"),
    ("02_growth", {"common_high": 0.5}, "moved growth by at most"),
    ("02_growth", {"common_high": 0.5}, "0.5 points either way"),
    ("04_claims", {"population": 10000}, "among 10,000 sellers (ChinaTalk)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given", "sentence"), FALSE)
def test_a_sentence_that_a_value_makes_false_is_not_printed(
    name, given, sentence, tmp_path, verdicts
):
    (notebook,) = (one for one in NOTEBOOKS if called(one) == name)
    if "verdict_folder" in declared(notebook):
        given = given | {"verdict_folder": str(verdicts)}
    text = shown(notebook, given, tmp_path)
    assert len(text) > 1000
    assert sentence not in text


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("01_who_was_hit", {"after": 2022}),  # KeyError: 'Youkeshu'
        ("01_who_was_hit", {"long_after": 2021}),  # printed the pair's number as Sunvalley's
        ("02_growth", {"closed_mean": "2021-04-01"}),  # ValueError
        ("02_growth", {"delta_pp": 8.0}),  # "more than -33 to 13 per cent"
        (
            "02_growth",
            {"closed_from": "2021-09-01", "closed_mean": "2021-09-15"},
        ),  # "the middle of the campaign"
        ("04_claims", {"sd_low": 3.0, "sd_high": 1.0}),  # swapped
        (
            "04_claims",
            {"sd_log_sales": 4.0},
        ),  # "comes near Marketplace Pulse's figures"
    ],
)
def test_a_value_at_which_a_sentence_would_be_false_is_refused(name, given):
    (notebook,) = (one for one in NOTEBOOKS if called(one) == name)
    assert refusal(notebook, given)
