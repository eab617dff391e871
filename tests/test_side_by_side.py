"""The page that shows one analysis in four libraries: its code runs, and results are those of its
table.
"""

import re
import warnings

import numpy as np
import pytest

from analysis.provenance import ROOT

PAGE = (ROOT / "docs" / "side-by-side.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COLUMNS = ["here", "pyfixest", "diff_diff", "moderndid"]
TERMS = [-4, -3, -2, 0, 1, 2, 3]
PRINTED = np.array(
    [row.split(" | ")[1:] for row in re.findall(r"^\| (-?\d \| .*) \|$", PAGE, re.MULTILINE)]
)
READ = {
    "here": lambda names: [names["here"].value, names["here"].std_error],
    "pyfixest": lambda names: (
        names["in_pyfixest"].loc[TERMS, ["Estimate", "Std. Error"]].to_numpy(float).T
    ),
    "diff_diff": lambda names: np.array(
        [np.delete(getattr(names["in_diff_diff"], name), 3) for name in ("att", "se")]
    ),
    "moderndid": lambda names: np.array(
        [
            np.delete(getattr(names["in_moderndid"], name), 3)
            for name in ("att_by_event", "se_by_event")
        ]
    ),
}


@pytest.mark.parametrize("library", COLUMNS)
def test_the_code_of_the_page_gives_the_numbers_of_its_table(library, monkeypatch):
    if library != "here":
        pytest.importorskip(
            library, reason=f"{library} is no dependency; its block was run when it was written"
        )
    monkeypatch.chdir(ROOT)
    names: dict = {}
    with warnings.catch_warnings():  # the libraries' own
        warnings.simplefilter("ignore")
        for block in [*BLOCKS[:2], BLOCKS[1 + COLUMNS.index(library)]]:
            exec(block, names)
    value, error = READ[library](names)
    assert PRINTED.shape == (len(TERMS), 1 + len(COLUMNS))
    assert [f"{number:.4f}" for number in value] == PRINTED[:, 0].tolist()
    assert [f"{number:.4f}" for number in error] == PRINTED[:, 1 + COLUMNS.index(library)].tolist()
    np.testing.assert_allclose(value, names["here"].value, atol=1e-8)
