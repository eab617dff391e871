"""What panels, studies, truths and answers show of themselves; what is simulated says so."""

import pytest
from fewtreated.display import MOST
from matplotlib import pyplot as plt

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from market import open_study, plain, simulate


@pytest.fixture(scope="module")
def shown():
    panel, truth = simulate("few_treated", seed=1)
    settings = {"event": "amazon_2021", "sim_preset": "few_treated", "seed": 1, "conf": 0.95}
    return {
        "panel": panel,
        "plain panel": plain.simulate("plain_sd1_30", 1)[0],
        "truth": truth,
        "study": open_study(settings),
        "design": Design(),
        "answers": estimate_all(panel, Design()),
    }


@pytest.mark.parametrize("name", ["panel", "plain panel", "truth", "study", "design", "answers"])
def test_a_result_shows_itself_in_a_few_lines_without_arrays(name, shown):
    said = repr(shown[name])
    assert len(said.splitlines()) <= MOST + 8
    assert len(said) < 2500
    assert "array(" not in said
    html = getattr(shown[name], "_repr_html_", lambda: "")()
    assert html.count("<tr") <= MOST + 1
    assert len(html) < 10_000


def test_a_panel_tells_its_size_and_whether_it_is_simulated(shown):
    months = "2019-01 to 2022-06"
    assert (
        repr(shown["panel"])
        == f"simulated panel: {len(shown['panel'].firms):,} firms on AMZ, EBY, ALI, WMT, OWN,"
        f" {months}, sim-$, census"
    )


def test_a_figure_and_a_text_of_what_was_simulated_say_so(shown):
    made = shown["answers"]["E1a"]
    assert made.plot().get_title(loc="left").endswith("(simulated)")
    assert repr(made).splitlines()[0].endswith("○")
    assert "○" in repr(shown["answers"]).splitlines()[0]
    plt.close("all")
