"""Build backend of the project: it installs a clone in editable mode, and refuses all else.

A wheel would hold the code alone, which makes no report without the notebooks, data and layout.
"""

from typing import Any, NoReturn

from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
]

REFUSAL = (
    "market-impact-notebooks is not a package but a repository that one clones: run `make report` "
    "in the clone (or `pip install -e .`); its estimators alone are the package in the folder "
    "fewtreated/."
)


def refuse(*_: Any, **__: Any) -> NoReturn:
    """End the build with one sentence; `SystemExit` prints it without a traceback."""
    raise SystemExit(REFUSAL)


get_requires_for_build_wheel = refuse  # what installers ask first
get_requires_for_build_sdist = refuse
build_wheel = refuse
build_sdist = refuse
