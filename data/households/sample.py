"""Draw a random sample of purchases to check the rule for Chinese brands, and add its codes.

The purchases are those that only the rule calls Chinese, in the categories in which closed brands
sold and in the half-years that the estimate and its placebos compare. Run it on the public part of
the file of purchases::

    python data/households/sample.py draw purchases.parquet --out sample.csv --titles blind.csv
    python data/households/sample.py code sample.csv first.csv second.csv

``sample.csv`` has no title, no day and no buyer. ``blind.csv`` is for a coder, who must not see the
half-year. It has the whole titles, and stays with the owner of the file. A file of codes has the
columns id, code and basis.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import count
import numpy as np
import pandas as pd
from coding import WRONG
from fewtreated.errors import DesignError, refuse

from analysis.data import DATA
from analysis.evidence.households import BASELINE, PLACEBOS

SIZE = 400
SEED = 0
BY_RULE = "pseudo_brand"
DRAWN = ["id", "token", "category", "half_year", "weight"]
"""Columns of the sample before it is coded."""

HALF_YEARS = sorted(
    {BASELINE.before[0], BASELINE.after[0]} | {months["before"][0] for months in PLACEBOS.values()}
)
"""First months of the half-years compared by the estimate and by its placebos."""


def eligible(file: Path, root: Path = DATA) -> pd.DataFrame:
    """Return the purchases that may be drawn, with token, title, category and half-year.

    They are sorted by what a coder sees, so that the order of the rows in the file does not matter.
    """
    lists = count.Lists(root, {})
    parts = []
    before = 0
    for batch in count._batches(file, count.COLUMNS):
        lines = count._lines(file, before, batch, lists)
        before += len(lines)
        tokens = count._tokens(batch["title"]).to_pandas()
        parts.append(lines.assign(token=tokens, title=batch["title"].to_pandas()))
    lines = pd.concat(parts, ignore_index=True)
    lines = lines[lines["category"].isin(lists.categories["category"])]
    lines = lines[lines["half_year"].isin(HALF_YEARS) & (lines["origin_class"] == BY_RULE)]
    order = ["half_year", "category", "token", "title"]
    return lines[order].sort_values(order, ignore_index=True)


def draw(purchases: pd.DataFrame, size: int = SIZE, seed: int = SEED) -> pd.DataFrame:
    """Draw purchases at random without replacement, in random order.

    `weight` is the number of eligible purchases for each one drawn.

    Raises
    ------
    DesignError
        If there are fewer purchases than are to be drawn.
    """
    if len(purchases) < size:
        raise DesignError(
            f"Cannot draw {size} purchases: only {len(purchases)} are eligible; choose a smaller"
            " size"
        )
    places = np.random.default_rng(seed).permutation(len(purchases))[:size]
    drawn = purchases.iloc[places].reset_index(drop=True)
    return drawn.assign(id=np.arange(1, size + 1), weight=len(purchases) / size)


def add_codes(sample: pd.DataFrame, files: Sequence[Path]) -> pd.DataFrame:
    """Add `code_1`, `basis_1`, `code_2` and so on to a sample, from one file of codes each.

    Raises
    ------
    DataError
        If a file does not have one row for each purchase, an unknown code, or a code without a
        basis.
    """
    coded = sample[DRAWN]
    for number, file in enumerate(files, start=1):
        codes = pd.read_csv(file, dtype={"code": str, "basis": str}, keep_default_na=False)[
            ["id", "code", "basis"]
        ]
        if sorted(codes["id"]) != sorted(sample["id"]):
            refuse(
                file,
                f"each id from 1 to {len(sample)} once",
                f"{len(codes)} rows",
                "add or remove rows",
            )
        if unknown := sorted({*codes["code"]} - {*WRONG}):
            refuse(file, f"the codes {', '.join(WRONG)}", repr(unknown[0]), "choose one of these")
        if (codes["basis"].str.strip() == "").any():
            refuse(file, "a basis in each row", "an empty one", "say what the code rests on")
        coded = coded.merge(codes, on="id", validate="1:1")
        coded = coded.rename(columns={"code": f"code_{number}", "basis": f"basis_{number}"})
    return coded.reindex(columns=[*DRAWN, "code_1", "basis_1", "code_2", "basis_2"])


def main() -> None:
    """Draw a sample from a file, or add codes to it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("file", type=Path)
    drawing.add_argument("--out", type=Path, required=True, help="the sample, without titles")
    drawing.add_argument(
        "--titles", type=Path, help="the same purchases for a coder, without half-years"
    )
    drawing.add_argument("--size", type=int, default=SIZE)
    drawing.add_argument("--seed", type=int, default=SEED)
    coding = commands.add_parser("code")
    coding.add_argument("sample", type=Path)
    coding.add_argument("codes", type=Path, nargs="+")
    asked = parser.parse_args()
    if asked.command == "code":
        add_codes(pd.read_csv(asked.sample), asked.codes).to_csv(
            asked.sample, index=False, lineterminator="\n"
        )
        return
    purchases = eligible(asked.file)
    drawn = draw(purchases, asked.size, asked.seed)
    drawn[DRAWN].to_csv(asked.out, index=False, lineterminator="\n")
    if asked.titles:
        blind = drawn[["id", "token", "title", "category"]]
        blind.rename(columns={"token": "brand"}).to_csv(
            asked.titles, index=False, lineterminator="\n"
        )
    by_half = purchases["half_year"].value_counts().sort_index().to_dict()
    print(
        f"{len(purchases)} eligible purchases, {by_half}; {len(drawn)} drawn with seed {asked.seed}"
    )


if __name__ == "__main__":
    main()
