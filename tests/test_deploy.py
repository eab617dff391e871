"""What starts the runner unattended: each file by the validator of its own kind."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import datetime

import pytest
from cronsim import CronSim
from reading import project_text
from ruamel.yaml import YAML

from analysis.provenance import ROOT
from runner import schedule

DEPLOY = ROOT / "deploy"
STARTS = [
    "deploy/crontab",
    "deploy/market-impact.service",
    "deploy/airflow.py",
    ".github/workflows/reports.yml",
]


def checked(*command, **environment):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert not done.returncode, done.stdout + done.stderr


def program(name):
    """Return the path of a program that came with a package of this environment."""
    return os.path.join(os.path.dirname(sys.executable), name)


@pytest.mark.parametrize("file", STARTS)
def test_every_file_starts_what_is_due(file):
    assert "market-impact run --due" in project_text(file)


def test_the_workflows_are_valid():
    files = map(str, sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    checked(program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)
    updates = str(ROOT / ".github" / "dependabot.yml")
    checked(program("check-jsonschema"), "--builtin-schema", "vendor.dependabot", updates)


def test_an_audit_finds_nothing_in_the_workflows():
    """Every action is pinned to a commit, no credentials are kept, and rights are those needed."""
    checked(program("zizmor"), "--offline", "--no-config", str(ROOT / ".github"))


def test_a_job_with_a_right_to_write_runs_no_code_of_the_project():
    jobs = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "reports.yml")["jobs"]
    writes = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
    assert writes == {"attest"}
    steps = jobs["attest"]["steps"]
    assert [step["uses"].partition("@")[0] for step in steps] == [
        "actions/download-artifact",
        "actions/attest",
    ]


def test_the_yaml_is_tidy_and_names_no_key_twice():
    files = ["deploy", ".github", ".yamllint.yml", "reports/schedule.yml", "environment.yml"]
    checked(program("yamllint"), "--strict", *(str(ROOT / file) for file in files))


def test_the_image_has_a_pinned_base_and_no_root():
    checked(program("hadolint"), str(ROOT / "Dockerfile"))
    text = project_text("Dockerfile")
    (base,) = re.findall(r"^FROM (.+)", text, re.MULTILINE)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}", base)
    (user,) = re.findall(r"^USER (\d+):\d+", text, re.MULTILINE)
    assert int(user) > 0


def test_the_workflow_proves_the_release_that_it_has_made():
    text = project_text(".github/workflows/reports.yml")
    assert f"market-impact verify {schedule.load(ROOT).publish}/latest\n" in text


def test_the_cron_job_of_kubernetes_is_valid():
    checked(program("kubernetes-validate"), "--strict", str(DEPLOY / "cronjob.yml"))


def test_the_cron_job_of_kubernetes_meets_the_restricted_standard_of_pods():
    job = [*YAML(typ="safe").load_all(DEPLOY / "cronjob.yml")][-1]["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {volume["name"]: {*volume} - {"name"} for volume in pod["volumes"]}
    mounted = {mount["mountPath"]: kinds[mount["name"]] for mount in container["volumeMounts"]}
    assert mounted == {"/out": {"persistentVolumeClaim"}, "/tmp": {"emptyDir"}}
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")  # one pod an hour


def test_the_image_has_the_version_of_the_project_wherever_it_is_named():
    version = tomllib.loads(project_text("pyproject.toml"))["project"]["version"]
    for file in ("Dockerfile", "deploy/cronjob.yml", "deploy/README.md"):
        tags = re.findall(r"market-impact:([\w.]+)", project_text(file))
        assert tags
        assert {*tags} == {version}, file


LINES = [
    line
    for line in (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    if re.match(r"[\d*]", line)
]


@pytest.mark.parametrize("line", LINES)
def test_the_times_of_cron_are_times(line):
    assert CronSim(" ".join(line.split()[:5]), datetime(2026, 1, 1))


def programs(folder, **texts):
    """Write programs of a shell in a folder."""
    folder.mkdir(parents=True)
    for name, text in texts.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(("code", "mailed"), [(0, False), (3, True), (4, False), (6, True)])
def test_a_line_of_cron_ends_as_the_run_did_and_prints_of_a_failure(tmp_path, line, code, mailed):
    (shell,) = re.findall(r"^SHELL=(.+)", project_text("deploy/crontab"), re.MULTILINE)
    run = f"echo a line; exit {code}"
    programs(tmp_path / "market-impact-notebooks" / ".venv" / "bin", market_impact=run)
    programs(tmp_path / "bin", logger='cat > "$HOME/logged"')
    there = {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = [shell, "-c", line.split(maxsplit=5)[5]]
    ended = subprocess.run(command, env=there, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert (f"exit code {code}" in ended.stdout) == mailed
    assert (tmp_path / "logged").read_text(encoding="utf-8") == "a line\n"


UNITS = [f"market-impact{kind}" for kind in (".service", ".timer", "-failed.service")]
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not installed here"
)


@needs_systemd
def test_the_units_of_systemd_are_valid(tmp_path):
    programs(tmp_path / "market-impact-notebooks" / ".venv" / "bin", market_impact="")
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8").replace("/srv", str(tmp_path))
        (tmp_path / name).write_text(text, encoding="utf-8")
    checked("systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS))


@needs_systemd
@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.endswith(".service")])
def test_a_service_is_exposed_to_little(unit):
    security = ["systemd-analyze", "security", "--offline=yes", "--threshold=40"]  # of 100
    checked(*security, str(DEPLOY / unit))


def test_the_service_writes_where_the_schedule_publishes():
    (writes,) = re.findall(r"^ReadWritePaths=(.+)", project_text(STARTS[1]), re.MULTILINE)
    (works,) = re.findall(r"^WorkingDirectory=(.+)", project_text(STARTS[1]), re.MULTILINE)
    assert writes == f"{works}/{schedule.load(ROOT).publish}"


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed here")
def test_the_metrics_of_an_outcome_are_lines_of_the_text_format():
    told = {"outcome": "failed", "failures": ["01_a: x"], "standing": ["y"], "stale": []}
    states = {"01_a": "failed", "02_b": "refused", "03_c": "published"}
    told |= {"reports": {name: {"state": state} for name, state in states.items()}}
    command = ["jq", "-r", "-f", str(DEPLOY / "metrics.jq")]
    said = subprocess.run(
        command, input=json.dumps(told), capture_output=True, text=True, check=True
    ).stdout
    lines = [
        "run_timestamp_seconds T",
        "failures 2",
        "stale 0",
        'outcome{outcome="failed"} 1',
        *(f'report{{report="{name}",state="{state}"}} 1' for name, state in states.items()),
    ]
    assert re.sub(r"\d{9,}", "T", said).splitlines() == [f"market_impact_{line}" for line in lines]


@pytest.mark.skipif(not importlib.util.find_spec("airflow"), reason="Airflow is not installed here")
def test_the_airflow_dag_loads():
    spec = importlib.util.spec_from_file_location("dag", DEPLOY / "airflow.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.dag.task_dict["release"].downstream_task_ids == set(module.SHOWN)
