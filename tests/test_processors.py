"""What is published does not depend on the processor: sums are made in another order on another one."""

import os
import subprocess
import sys

from analysis.provenance import ROOT

KERNELS = ("Haswell", "Nehalem")  # of OpenBLAS; any processor of today runs the code of both
REPORTS = ("05_growth_public", "sim__05_growth_panel")


def test_a_real_and_a_simulated_report_have_the_same_bytes_on_two_kinds_of_processor(tmp_path):
    made = []
    for kernel in KERNELS:
        command = [sys.executable, "-m", "analysis", "run", *REPORTS, "--out", str(tmp_path / kernel)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "OPENBLAS_CORETYPE": kernel})
        published = tmp_path / kernel / "draft"
        files = [file for file in published.rglob("*") if file.is_file()]
        made.append({str(file.relative_to(published)): file.read_bytes() for file in files})
    one, other = made
    assert {f"{report}.pdf" for report in REPORTS} | {"verdicts.json"} <= one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == ["manifest.json"]  # when, and how long it took
