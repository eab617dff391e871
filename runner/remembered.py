"""Decide whether a run's outcome is news, by what the log knows.

Importing this module is fast, unlike :mod:`runner.notices`, which imports network clients.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from runner import NEWS, REMINDER, UNSENT, Outcome, Said
from runner.schedule import Job


def remembered(outcome: Outcome, runs: Sequence[Outcome], jobs: Sequence[Job]) -> Outcome:
    """Add what the log knows to an outcome.

    The log knows what still stands, what is mended, and whether there is news.

    It is news if what is wrong differs from what was last told, if a verdict changed or if data are
    stale. What is wrong and was told before is told again once on each later day. What nobody could
    be told is told with the next run.

    Parameters
    ----------
    outcome : Outcome
    runs : sequence of Outcome
        The log, oldest first.
    jobs : sequence of Job
        The reports of the schedule, whose owners are looked up.
    """
    runs = [Outcome(outcome=""), *runs]
    before = runs[-1]
    told = max((at for at, run in enumerate(runs) if run.news not in ("", UNSENT)), default=0)
    last = runs[told]
    wrong = dict(map(_key, outcome.troubles))
    standing = [
        each
        for each in before.troubles
        if _key(each)[0] not in wrong and _stands(each, outcome, before.as_of)
    ]
    wrong |= dict(map(_key, standing))
    late = [*(run for run in runs[told + 1 :] if run.news == UNSENT), outcome]
    update: dict[str, Any] = {
        part: [*{each.said: each for run in late for each in getattr(run, part)}.values()]
        for part in ("changed_words", "stale")
    }
    news = ""
    if any(update.values()) or wrong != dict(map(_key, last.troubles)):
        news = "news"
    elif wrong and outcome.as_of > last.as_of:
        news = REMINDER
    update |= {
        "standing": standing,
        "mended": [each for each in last.troubles if _key(each)[0] not in wrong],
        "news": news,
    }
    outcome = outcome.model_copy(update=update)
    if not news:
        return outcome
    about = {each.about for part in NEWS for each in getattr(outcome, part)}
    owners = dict.fromkeys(one for job in jobs if job.name in about for one in job.plan.owner)
    return outcome.model_copy(update={"owners": [*owners]})


def _key(trouble: Said) -> tuple[str, str]:
    """Return what a trouble is about, such as a report, and what it says.

    Numbers are left out, since they vary by run.
    """
    said = re.sub(r"0x[0-9a-f]+|\d+", "#", trouble.said)
    return trouble.about or trouble.key or said, said


def _stands(trouble: Said, outcome: Outcome, since: str) -> bool:
    """Return whether a failure of earlier runs stands after a run that does not name it.

    The last of the earlier runs was as of `since`.

    It does if the run did not come to reports, or made no attempt at the report that failed.
    """
    if now := outcome.reports.get(trouble.about):
        return now.state == "not run" or (
            now.state in ("not due", "unchanged") and "" < now.as_of <= since
        )
    return not outcome.reports or (
        bool(trouble.about) and outcome.outcome not in ("published", "unchanged")
    )
