"""The files that reports are made of, and the commit that has them."""

from analysis import provenance

INPUTS = {
    "data": ("data/", "**/*"),
    "code": (
        "",
        "analysis/**/*.py",
        "fewtreated/src/**/*.py",
        "market/**/*.py",
        "runner/**/*.py",
        "runner/**/*.j2",
    ),
    "layout": ("reports/", "*.lua", "*.typ", "*.mplstyle", "*.css", "fonts/*.otf"),
    "words": ("docs/", "glossary.md"),
    "notebooks": ("notebooks/", "**/*.ipynb"),
    "schedule": ("reports/", "schedule.yml"),
}
"""Inputs of reports by kind: a folder of the repository, and the patterns of its files that affect
reports.
"""


def commit_of_inputs() -> str | None:
    """Return the commit of the checkout, which says if any of `INPUTS` differs from it."""
    patterns = [folder + pattern for folder, *patterns in INPUTS.values() for pattern in patterns]
    return provenance.commit(inputs=patterns)
