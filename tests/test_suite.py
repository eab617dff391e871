"""The suite says what it did not test."""

import os
import subprocess
import sys

import pytest

from analysis.provenance import ROOT


@pytest.mark.slow
def test_the_suite_says_at_its_end_what_it_skipped_and_why(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "tests/test_believe.py",
        "-k",
        "sliders or 50_points",
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "NOT TESTED HERE: " in done.stdout
    assert "in test_believe.py: Chromium must be installed" in done.stdout
    assert "Tests marked slow were left out; `make test-all` runs them too." in done.stdout
