"""Decide whether a run's outcome is news, and send it to commands, e-mail addresses and webhooks.

The schedule names the environment variables that contain hosts, addresses of webhooks and passwords. Notebooks run
without these variables, and no message quotes them or the reply of a server.
"""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from errno import errorcode
from html import escape
from pathlib import Path
from typing import Any

from runner import NEWS, REMINDER, UNSENT, Outcome, Said
from runner.schedule import Job, Mail, Notice

Env = Mapping[str, str]


def remembered(outcome: Outcome, runs: Sequence[Outcome], jobs: Sequence[Job]) -> Outcome:
    """Add what the log knows to an outcome: what still stands, what is mended, and whether there is news.

    It is news if what is wrong differs from what was last told, if a verdict changed or if data are stale. What is
    wrong and was told before is told again once on each later day. What nobody could be told is told with the next run.

    Parameters
    ----------
    outcome : Outcome
    runs : sequence of Outcome
        The log, oldest first.
    jobs : sequence of Job
        The reports of the schedule, whose owners are looked up.
    """
    told = next((at for at in reversed(range(len(runs))) if runs[at].news not in ("", UNSENT)), -1)
    last, before = runs[told] if told >= 0 else Outcome(outcome=""), runs[-1] if runs else Outcome(outcome="")
    wrong = dict(map(_key, outcome.troubles))
    standing = [each for each in before.troubles if _key(each)[0] not in wrong and _stands(each, outcome, before.as_of)]
    wrong |= dict(map(_key, standing))
    late = [*(run for run in runs[told + 1 :] if run.news == UNSENT), outcome]
    parts = {part: [each for run in late for each in getattr(run, part)] for part in ("changed_words", "stale")}
    events = {part: [*{each.said: each for each in some}.values()] for part, some in parts.items()}
    mended = [each for each in last.troubles if _key(each)[0] not in wrong]
    news = any(events.values()) or wrong != dict(map(_key, last.troubles))
    why = "news" if news else REMINDER if wrong and outcome.as_of > last.as_of else ""
    outcome = outcome.model_copy(update={**events, "standing": standing, "mended": mended, "news": why})
    about = {each.about for part in NEWS for each in getattr(outcome, part)}
    owners = [one for job in jobs if job.name in about for one in job.plan.owner]
    return outcome.model_copy(update={"owners": [*dict.fromkeys(owners)]}) if why else outcome


def _key(trouble: Said) -> tuple[str, str]:
    """Return what a trouble is about, such as a report, and what it says without numbers, which vary by run."""
    said = re.sub(r"0x[0-9a-f]+|\d+", "#", trouble.said)
    return trouble.about or trouble.key or said, said


def _stands(trouble: Said, outcome: Outcome, since: str) -> bool:
    """Return whether a failure of earlier runs, the last of them as of `since`, stands after a run that names it not.

    It does if the run did not come to reports, or made no attempt at the report that failed.
    """
    if now := outcome.reports.get(trouble.about):
        return now.state == "not run" or (now.state in ("not due", "unchanged") and "" < now.as_of <= since)
    return not outcome.reports or (bool(trouble.about) and outcome.outcome not in ("published", "unchanged"))


def send(
    outcome: Outcome, notices: Sequence[Notice], environment: Env, *, root: Path, brief: Path | None, logged: bool
) -> list[str]:
    """Send at once all notices for which there is a reason, and return the failures.

    Each failure is a line that names the notice and the reason.

    Parameters
    ----------
    outcome : Outcome
    notices : sequence of Notice
    environment : mapping
        As :func:`runner.scheduled.withheld` yields it.
    root : Path
        Folder in which a command runs.
    brief : Path or None
        PDF to attach to an e-mail.
    logged : bool
        Whether the run is in the log, as notices that are not only for news expect: they may copy the folder.
    """
    failed, threads, began = dict[int, str](), dict[int, threading.Thread](), time.monotonic()

    def attempt(at: int, notice: Notice) -> None:
        try:
            _send(outcome, notice, environment, root, brief)
        except Exception as error:  # a failed notice must not stop the release or other notices
            failed[at] = _why(error, notice.timeout)

    reasons = {"news": outcome.news, "always": True, "published": outcome.outcome == "published"}
    for at, notice in enumerate(notices):
        if (notice.on == "news") == logged:
            continue
        if lacks := [name for name in notice.variables if not environment.get(name)]:
            failed[at] = f"not sent: the environment has no {' and no '.join(lacks)}; set it"
        elif reasons[notice.on]:
            threads[at] = threading.Thread(target=attempt, args=(at, notice), daemon=True)
            threads[at].start()
    for at, thread in threads.items():  # the timeout of a socket cannot stop a server that answers byte by byte
        thread.join(max(0.0, notices[at].timeout + 1 - (time.monotonic() - began)))
        if thread.is_alive():
            failed[at] = _why(TimeoutError(), notices[at].timeout)
    return [f"notices.{at} ({notices[at].kind}): {failed[at]}" for at in sorted(failed)]


def _why(error: Exception, timeout: float) -> str:
    """Explain why a notice was not sent.

    Neither the server nor the error is quoted, since both may contain a secret.
    """
    reason = getattr(error, "reason", None)  # set by a URLError
    reason = reason if isinstance(reason, Exception) else error
    code = next(filter(None, (getattr(reason, name, None) for name in ("code", "smtp_code", "returncode"))), None)
    said = {
        f"not finished after {timeout:g} s": isinstance(reason, TimeoutError | subprocess.TimeoutExpired),
        "the host name was not found": isinstance(reason, socket.gaierror),
        "the encrypted connection could not be trusted": isinstance(reason, ssl.SSLError),
        f"ended with {code}": isinstance(reason, subprocess.CalledProcessError),
        f"answered {code}": code is not None,
        os.strerror(getattr(reason, "errno", None) or 0): getattr(reason, "errno", None) in errorcode,
    }
    return next((text for text, holds in said.items() if holds), f"could not be sent ({type(reason).__name__})")


def _send(outcome: Outcome, notice: Notice, environment: Env, root: Path, brief: Path | None) -> None:
    content = outcome.model_dump(exclude={"at", "id"})
    if notice.command:
        _run(notice.command, json.dumps(content).encode(), environment, root, notice.timeout)
    elif notice.email:
        _mail(outcome, notice.email, brief, environment, notice.timeout)
    elif notice.webhook:
        # escaped, so that Slack neither makes links nor notifies a whole channel
        content = {"text": escape(outcome.letter, quote=False)} if notice.form == "slack" else content
        _post(environment[notice.webhook], json.dumps(content).encode(), notice.timeout)


def _run(command: Sequence[str], content: bytes, environment: Env, root: Path, timeout: float) -> None:
    """Run a command with the outcome as its standard input.

    The output of the command is discarded, since it may contain secrets.
    """
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd=root, env=environment, start_new_session=True
    ) as process:
        try:
            process.communicate(content, timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its child processes
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[0])


def _mail(outcome: Outcome, mail: Mail, brief: Path | None, environment: Env, timeout: float) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"] = outcome.line[:300], mail.sender
    letter["To"] = ", ".join(dict.fromkeys([*mail.to, *outcome.owners]))
    letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain=mail.sender.partition("@")[2])
    letter.set_content(outcome.letter)
    if brief is not None and brief.is_file():
        letter.add_attachment(brief.read_bytes(), maintype="application", subtype="pdf", filename=brief.name)
    host, _, port = environment[mail.host].partition(":")
    with smtplib.SMTP(host, int(port or (587 if mail.starttls else 25)), timeout=timeout) as server:
        if mail.starttls:
            server.starttls(context=ssl.create_default_context())
        if mail.user and mail.password:
            server.login(environment[mail.user], environment[mail.password])
        server.send_message(letter)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Handler that rejects all redirects, since they could pass on a secret address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return None, so that a redirect raises an error."""


def _post(address: str, content: bytes, timeout: float) -> None:
    if not address.startswith(("https://", "http://")):  # urllib would open files too
        raise ValueError
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method="POST")
    urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout).close()
