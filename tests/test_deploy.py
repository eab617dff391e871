"""What starts the runner unattended: each file by the validator of its own kind."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime

import pytest
from cronsim import CronSim

from analysis.provenance import ROOT
from runner import schedule

DEPLOY = ROOT / "deploy"
STARTS = [
    "deploy/crontab",
    "deploy/market-impact.service",
    "deploy/airflow.py",
    ".github/workflows/reports.yml",
]


def checked(*command: str, **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert not done.returncode, done.stdout + done.stderr


def program(name: str) -> str:
    """Return the path of a program that came with a package of this environment."""
    return os.path.join(os.path.dirname(sys.executable), name)


@pytest.mark.parametrize("file", STARTS)
def test_every_file_starts_what_is_due(file):
    assert "market-impact run --due" in (ROOT / file).read_text(encoding="utf-8")


def test_the_workflows_are_valid():
    files = map(str, sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    checked(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)


def test_the_workflow_proves_the_release_that_it_has_made():
    text = (ROOT / ".github" / "workflows" / "reports.yml").read_text(encoding="utf-8")
    assert f"market-impact verify {schedule.load(ROOT).publish}/latest\n" in text


def test_the_cron_job_of_kubernetes_is_valid():
    checked(program("kubernetes-validate"), "--strict", str(DEPLOY / "cronjob.yml"))


def test_the_times_of_cron_are_times():
    lines = (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    assert all(
        CronSim(" ".join(line.split()[:5]), datetime(2026, 1, 1))
        for line in lines
        if not line.startswith("#")
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_the_units_of_systemd_are_valid(tmp_path):
    clone = tmp_path / "market-impact-notebooks"
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "market-impact").symlink_to(sys.executable)
    files = [
        tmp_path / f"market-impact{kind}" for kind in (".service", ".timer", "-failed.service")
    ]
    for file in files:
        file.write_text(
            (DEPLOY / file.name).read_text(encoding="utf-8").replace("%h", str(tmp_path)),
            encoding="utf-8",
        )
    checked("systemd-analyze", "verify", "--user", *map(str, files), XDG_RUNTIME_DIR=str(tmp_path))


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed here")
def test_the_metrics_of_an_outcome_are_lines_of_the_text_format():
    told = {"outcome": "failed", "failures": ["01_a: x"], "standing": ["y"], "stale": []}
    told |= {"reports": {"01_a": {"state": "failed"}}}
    command = ["jq", "-r", "-f", str(DEPLOY / "metrics.jq")]
    said = subprocess.run(
        command, input=json.dumps(told), capture_output=True, text=True, check=True
    ).stdout
    lines = [
        "run_timestamp_seconds T",
        "failures 2",
        "stale 0",
        'outcome{outcome="failed"} 1',
        'report_failed{report="01_a"} 1',
    ]
    assert re.sub(r"\d{9,}", "T", said).splitlines() == [f"market_impact_{line}" for line in lines]


@pytest.mark.skipif(not importlib.util.find_spec("airflow"), reason="Airflow is not installed here")
def test_the_airflow_dag_loads():
    spec = importlib.util.spec_from_file_location("dag", DEPLOY / "airflow.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dag.task_dict["release"].downstream_task_ids == set(module.SHOWN)
