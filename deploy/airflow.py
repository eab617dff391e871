"""Airflow: a daily release of what is due, then the notebooks that a team wants to see there.

The release is made by the project's own runner, in its own environment: it decides what is due,
retries, publishes and sends notices. `PapermillOperator` then shows the notebooks named here with
the parameters given here, such as another seed; they are for looking at, and publish nothing.
"""

from datetime import datetime
from pathlib import Path

from airflow import DAG
from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator

ROOT = Path("/opt/market-impact-notebooks")  # a clone in which `make .venv/.ready` was run
SHOWN = {"panel/03_growth": {"seed": 2}, "05_households": {"of": "buyers"}}  # notebook: parameters
SHOWN_IN = "/opt/market-impact-shown"  # a folder for them
KERNEL = "market-impact"  # .venv/bin/python -m ipykernel install --user --name market-impact

with DAG("market_impact", schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False) as dag:
    release = BashOperator(
        task_id="release",
        bash_command=f"cd {ROOT} && .venv/bin/market-impact run --due",
        append_env=True,
        skip_on_exit_code=4,  # another run is at work
    )
    for name, parameters in SHOWN.items():
        task = name.replace("/", "_")
        release >> PapermillOperator(
            task_id=task,
            input_nb=str(ROOT / "notebooks" / f"{name}.ipynb"),
            output_nb=f"{SHOWN_IN}/{task}-{{{{ ds }}}}.ipynb",
            parameters={**parameters, "as_of": "{{ ds }}"},
            kernel_name=KERNEL,
        )
