"""Send the outcome of a run to commands, e-mail addresses and webhooks.

The schedule names the environment variables that contain hosts, addresses of webhooks and
passwords. Notebooks run without these variables, and no message quotes them or the reply of a
server.
"""

from __future__ import annotations

import json
import os
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

from runner import ASIDE, Outcome
from runner.remembered import Way
from runner.schedule import Mail, number

Env = Mapping[str, str]


def send(letters: Mapping[Way, Outcome | None], environment: Env, *, root: Path) -> dict[Way, str]:
    """Send at once what each way is to be told, and return why some ways did not take it.

    Parameters
    ----------
    letters : mapping
        None if there is nothing to tell; then only the environment of the way is looked at.
    environment : mapping
        As :func:`runner.scheduled.withheld` yields it.
    root : Path
        Folder in which a command runs.
    """
    failed = dict[Way, str]()
    threads = dict[Way, threading.Thread]()
    began = time.monotonic()

    def attempt(way: Way, letter: Outcome) -> None:
        try:
            _send(letter, way, environment, root)
        except Exception as error:  # a failed notice must not stop the release or other notices
            failed[way] = _why(error, way.notice.timeout)

    for way, letter in letters.items():
        if lacks := [name for name in way.notice.variables if not environment.get(name)]:
            failed[way] = f"not sent: the environment has no {' and no '.join(lacks)}; set it"
        elif letter:
            threads[way] = threading.Thread(target=attempt, args=(way, letter), daemon=True)
            threads[way].start()
    for (
        way,
        thread,
    ) in threads.items():  # the timeout of a socket cannot stop a server that answers byte by byte
        thread.join(max(0.0, way.notice.timeout + 1 - (time.monotonic() - began)))
        if thread.is_alive():
            failed[way] = _why(TimeoutError(), way.notice.timeout)
    return failed


def _why(error: Exception, timeout: float) -> str:
    """Explain why a notice was not sent.

    Neither the server nor the error is quoted, since both may contain a secret.
    """
    reason = getattr(error, "reason", None)  # set by a URLError
    if not isinstance(reason, Exception):
        reason = error
    code = next(
        filter(None, (getattr(reason, name, None) for name in ("code", "smtp_code", "returncode"))),
        None,
    )
    said = {
        f"not finished after {timeout:g} s": isinstance(
            reason, TimeoutError | subprocess.TimeoutExpired
        ),
        "the host name was not found": isinstance(reason, socket.gaierror),
        "the encrypted connection could not be trusted": isinstance(reason, ssl.SSLError),
        f"ended with {code}": isinstance(reason, subprocess.CalledProcessError),
        f"answered {code}": code is not None,
        os.strerror(getattr(reason, "errno", None) or 0): getattr(reason, "errno", None)
        in errorcode,
    }
    return next(
        (text for text, holds in said.items() if holds),
        f"could not be sent ({type(reason).__name__})",
    )


def _send(letter: Outcome, way: Way, environment: Env, root: Path) -> None:
    notice = way.notice
    content = letter.model_dump(exclude=ASIDE)
    if notice.command:
        _run(notice.command, json.dumps(content).encode(), environment, root, notice.timeout)
    elif notice.email:
        _mail(letter, notice.email, way.address, environment, notice.timeout)
    elif notice.webhook:
        # escaped, so that Slack neither makes links nor notifies a whole channel
        if notice.form == "slack":
            content = {"text": escape(letter.letter, quote=False)}
        _post(environment[notice.webhook], json.dumps(content).encode(), notice.timeout)


def _run(
    command: Sequence[str], content: bytes, environment: Env, root: Path, timeout: float
) -> None:
    """Run a command with the outcome as its standard input.

    The output of the command is discarded, since it may contain secrets.
    """
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=quiet,
        stderr=quiet,
        cwd=root,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            process.communicate(content, timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its child processes
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[0])


def _mail(outcome: Outcome, mail: Mail, address: str, environment: Env, timeout: float) -> None:
    letter = EmailMessage()
    letter["Subject"] = outcome.line[:300]
    letter["From"] = mail.sender
    letter["To"] = address
    letter["Date"], letter["Message-ID"] = (
        formatdate(),
        make_msgid(domain=mail.sender.partition("@")[2]),
    )
    letter.set_content(outcome.letter)
    briefs = (name for name in outcome.reports if number(name) == "00")
    brief = outcome.folder / f"{next(briefs, '')}.pdf"
    if brief.is_file():
        letter.add_attachment(
            brief.read_bytes(), maintype="application", subtype="pdf", filename=brief.name
        )
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
    request = urllib.request.Request(
        address, content, {"Content-Type": "application/json"}, method="POST"
    )
    urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout).close()
