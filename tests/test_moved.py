"""What of a stored audit moved: rows, cells, and what is only rounding."""

import pytest

from market.moved import moved, sentence

STORED = """preset,id,coverage,grade,reason
null,E1a,0.95,usable,
null,E1b,0.123456,usable with bounds,errors too large
mid_3k,E1a,0.9,usable with bounds,
"""


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("0.123456", "0.123457", []),  # rounded on the way
        ("0.123456", "0.1235", ["null E1b: coverage 0.1235 (was 0.123456)"]),
        ("0.95,usable,", "0.95,usable,skewed", ["null E1a: reason skewed (was empty)"]),
        (
            "0.95,usable,",
            ",not graded,",
            ["null E1a: coverage empty (was 0.95), grade not graded (was usable)"],
        ),
        (
            "errors too large",
            "errors too small",
            ["null E1b: reason errors too small (was errors too large)"],
        ),
        ("null,E1a", "null,E1c", ["null E1c: new", "null E1a: gone"]),
        ("mid_3k,E1a,0.9,usable with bounds,\n", "", ["mid_3k E1a: gone"]),
    ],
)
def test_a_row_that_moved_is_named_with_what_it_was(old, new, lines):
    assert moved(STORED.replace(old, new, 1) if old else STORED, STORED) == lines


def test_a_column_that_comes_or_goes_moves_every_row():
    longer = (
        STORED.replace("reason\n", "reason,n\n")
        .replace("usable,\n", "usable,,1\n")
        .replace("large\n", "large,1\n")
    )
    longer = longer.replace("bounds,\n", "bounds,,1\n")
    assert moved(longer, STORED) == [
        f"{row}: n 1 (was no column)" for row in ("null E1a", "null E1b", "mid_3k E1a")
    ]
    assert moved(STORED, longer)[0] == "null E1a: n no column (was 1)"


def test_rows_in_another_order_are_told():
    head, first, *others = STORED.splitlines(keepends=True)
    assert moved("".join([head, *others, first]), STORED) == ["rows in another order"]


def test_rows_of_other_presets_are_not_missed_where_only_some_are_drawn():
    part = STORED.replace("mid_3k,E1a,0.9,usable with bounds,\n", "")
    assert moved(part, STORED, {"null"}) == []
    assert moved(part, STORED, {"null", "mid_3k"}) == ["mid_3k E1a: gone"]


def test_rows_of_households_are_known_by_their_titles_too():
    two = "preset,titles,id,bias\nnull,all,E2a,1\nnull,some,E2a,2\n"
    assert moved(two.replace(",2\n", ",3\n"), two) == ["null some E2a: bias 3 (was 2)"]


def test_a_sentence_counts_the_rows_that_moved_and_lists_them():
    assert sentence("a.csv", ["null E1a: gone"]) == "a.csv: 1 row moved:\n  null E1a: gone"
    assert sentence("a.csv", ["x: new", "y: new"]).splitlines() == [
        "a.csv: 2 rows moved:",
        "  x: new",
        "  y: new",
    ]
