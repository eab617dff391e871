"""Decide whether a run's outcome is news, by what the log knows.

Importing this module is fast, unlike :mod:`runner.notices`, which imports network clients.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    told = next((at for at in reversed(range(len(runs))) if runs[at].news not in ("", UNSENT)), -1)
    if told >= 0:
        last = runs[told]
    else:
        last = Outcome(outcome="")
    if runs:
        before = runs[-1]
    else:
        before = Outcome(outcome="")
    wrong = dict(map(_key, outcome.troubles))
    standing = [
        each
        for each in before.troubles
        if _key(each)[0] not in wrong and _stands(each, outcome, before.as_of)
    ]
    wrong |= dict(map(_key, standing))
    late = [*(run for run in runs[told + 1 :] if run.news == UNSENT), outcome]
    parts = {
        part: [each for run in late for each in getattr(run, part)]
        for part in ("changed_words", "stale")
    }
    events = {part: [*{each.said: each for each in some}.values()] for part, some in parts.items()}
    mended = [each for each in last.troubles if _key(each)[0] not in wrong]
    news = any(events.values()) or wrong != dict(map(_key, last.troubles))
    if news:
        why = "news"
    elif wrong and outcome.as_of > last.as_of:
        why = REMINDER
    else:
        why = ""
    outcome = outcome.model_copy(
        update={**events, "standing": standing, "mended": mended, "news": why}
    )
    about = {each.about for part in NEWS for each in getattr(outcome, part)}
    owners = [one for job in jobs if job.name in about for one in job.plan.owner]
    if why:
        return outcome.model_copy(update={"owners": [*dict.fromkeys(owners)]})
    return outcome


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
