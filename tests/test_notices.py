"""Notices: what is news, and how it reaches a real mail server, a real web server and a real
command.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from desk import SOURCES, cases
from reading import read_json

from runner import ASIDE, Outcome, Said, notices, scheduled
from runner.remembered import letter, owners, remembered, undelivered, ways
from runner.schedule import Job, Notice, Plan

READ = SOURCES["read_outcome"]
FAILED = SOURCES["failed_outcome"]
SECRET = "unmistakable-5ecret-7f3a"
SENT = Outcome(**FAILED).model_dump(mode="json", exclude=ASIDE)
QUIET = {
    **FAILED,
    "outcome": "published",
    "changed_words": [],
    "failures": [],
    "release": "2026-11-26",
    "draft": "",
}
QUIET |= {"news": ""}


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxy stands between a test and its server."""
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def notice(**keys):
    return Notice.model_validate({"timeout": 5, **keys})


def send(told, *hooks, root=Path(), jobs=(), **environment):
    """Send an outcome on all ways, or nothing if it is None, and return what was not taken."""
    environment = {**os.environ, **environment}
    outcome = told and Outcome(**{**told, "out": root})
    letters = dict.fromkeys(ways(hooks, jobs), outcome)
    return undelivered(letters, notices.send(letters, environment, root=root))


# What is news


STANDS = {"state": "unchanged", "as_of": "2026-11-01"}
STATES = {
    "made": "published",
    "stands": {**STANDS, "state": "not due"},
    "later": {**STANDS, "as_of": "2026-11-27"},
}
REPORTS = {"01_a": "failed", "02_b": STANDS}
STATES = {state: dict.fromkeys(REPORTS, line) for state, line in STATES.items()}
REPORTS = {**STATES, "": REPORTS, "none": {}, "gone": {"3": ""}}


def ran(wrong=(), day=26, outcome="", reports="", **known):
    outcome = outcome or ("failed" if wrong else "published")
    said = {part: [*map(of_report, some)] for part, some in {**known, "failures": wrong}.items()}
    return Outcome(outcome=outcome, as_of=f"2026-11-{day}", reports=REPORTS[reports], **said)


def of_report(text):
    return Said(about="".join(re.findall(r"\b0\d_\w+", text)[:1]), said=text)


def run_of(row):
    """The run of a case, and what of it is looked at."""
    given = {part: row[part] for part in ("wrong", "day", "outcome", "reports") if part in row}
    stands = {
        part: [each.model_copy(update={"key": each.said}) for each in map(of_report, row[part])]
        for part in ("stale", "waits")
        if part in row
    }
    outcome = ran(**given, changed_words=row.get("turned", []))
    return outcome.model_copy(update=stands)


@pytest.mark.parametrize("case", cases("news"), ids=lambda case: case["name"])
def test_what_matters_is_told_once_to_those_whose_report_it_is(case):
    log = []
    jobs = [Job(name, Path(), {}, plan=Plan(owner=f"{name}@b.c")) for name in ("01_a", "02_b")]
    for row in case["runs"]:
        true = {"news": row.get("news", "")}
        true |= {part: row.get(part, []) for part in ("standing", "mended", "changed_words")}
        told = remembered(run_of(row), log)
        said = {
            part: [each.said for each in getattr(told, part)] for part in true if part != "news"
        }
        assert said | {"news": told.news} == true
        of = [job.name for job in jobs if f"{job.name}:" in told.letter]
        assert owners(told, jobs) == ([f"{name}@b.c" for name in of] if true["news"] else [])
        assert all(f"\n- {line}" in told.letter for line in (*said["standing"], *said["mended"]))
        assert told.line.startswith("Reminder: reports" if told.news == "reminder" else "Reports")
        log.append(told)


@pytest.mark.parametrize("case", cases("ways"), ids=lambda case: case["name"])
def test_what_a_way_did_not_take_is_owed_to_it_until_it_does_and_is_marked_as_late(case):
    log = []
    jobs = [Job("01_a", Path(), {}, plan=Plan(owner="owner@b.c"))]
    desk, owner = ways([notice(email={**PLAIN, "to": "desk@b.c"})], jobs)
    for row in case["runs"]:
        outcome = remembered(run_of(row), log)
        letters = {way: letter(outcome, log, way) for way in (desk, owner)}
        told = {way.address: letters[way] and letters[way].letter for way in letters}
        lines = {name: re.findall("^- (.+)", text or "", re.M) for name, text in told.items()}
        assert lines == {f"{name}@b.c": row.get(name, []) for name in ("desk", "owner")}
        taken = {way.id: not (letters[way] and row.get("down")) for way in letters}
        log.append(outcome.model_copy(update={"ways": {} if row.get("nobody") else taken}))


def test_a_release_that_a_way_did_not_take_is_told_with_the_next_run():
    (way,) = ways([notice(webhook="HOOK", on="published")], [])
    first, second, quiet = (
        ran(reports="made", day=day).model_copy(update={"release": f"2026-11-{day}"})
        for day in (25, 26, 27)
    )
    quiet = quiet.model_copy(update={"outcome": "unchanged"})
    assert letter(quiet, [], way) is None
    log = [run.model_copy(update={"ways": {way.id: False}}) for run in (first, second)]
    told = letter(quiet, log, way)
    assert told.release == "2026-11-26"
    assert "Release 2026-11-25 was not told. (late: of 2026-11-25)" in told.letter
    log[-1] = second.model_copy(update={"ways": {way.id: True}})
    assert letter(quiet, log, way) is None


def test_a_recipient_whom_the_server_refuses_is_named_and_the_others_are_sent(served):
    class Choosy(Inbox):
        async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
            if address.startswith("b@"):
                return "550 unknown"
            envelope.rcpt_tos.append(address)
            return "250 known"

    inbox, host = served(inbox=Choosy())
    fault = "notices.0 (email to b@example.org): could not be sent (SMTPRecipientsRefused)"
    assert send(FAILED, notice(email=PLAIN), MAIL_HOST=host) == [fault]
    assert [recipients for _, recipients, *_ in inbox.letters] == [["a@example.org"]]


def test_a_line_has_the_reason_and_the_command_that_mends_it():
    problem = (
        f"data/a.csv: its hash is {'a1' * 32}, not the accepted {'b2' * 32}; run: market-impact"
        " check --accept a.csv"
    )
    told = ran(
        [
            f"01_a: Cannot load a: found 2 problems:\n  {problem}\n  data/b.csv: correct it",
            "02_b: KeyError",
        ]
    )
    assert told.line.endswith(
        "not the accepted b2b2b2b2b2b2...; run: market-impact check --accept a.csv, and 1 more"
    )


def test_the_outcome_is_one_line_whatever_failed():
    told = {
        **FAILED,
        "failures": ["a\r\nBcc: b@c.d\x1b[2J\ud800" + "x" * 1000, "b"],
        "stale": ["s"],
    }
    line = Outcome(**told).line
    assert line.startswith(
        "Reports failed, as of 2026-11-26, in draft; failed: a, and 1 more; changed: C01 V2 in 05"
    )
    assert line.isprintable()
    Outcome(**{**told, "failures": ["\x1b[2J\ud800" + "x" * 1000]}).line.encode()
    assert len(line) < 1000


def test_the_letter_has_every_failure_whole_and_what_is_waited_for():
    letter = Outcome(**{**FAILED, "notes": ["06_shift waits for a.csv, which is missing."]}).letter
    assert "\n06_shift waits for a.csv, which is missing.\n" in letter
    assert "    line 2" in letter
    assert f"{'06_shift':34}  unchanged" in letter


# A command


def script(folder, source):
    file = folder / "hook.py"
    file.write_text(source)
    return notice(command=[sys.executable, str(file), "argument; not a shell's $HOME"])


def test_a_command_reads_the_outcome_in_the_projects_folder(tmp_path):
    assert send(FAILED, script(tmp_path, READ), root=tmp_path, TOKEN="t") == []
    assert read_json(tmp_path / "told.json") == [
        SENT,
        ["argument; not a shell's $HOME"],
        "t",
    ]


def test_a_command_that_fails_is_told_and_the_others_are_sent(tmp_path):
    (tmp_path / "b").mkdir()
    failing = script(tmp_path / "b", f"import sys; print('{SECRET}'); sys.exit('{SECRET}')")
    none = notice(command=["no-such-command-here"])
    assert send(FAILED, failing, none, script(tmp_path, READ), root=tmp_path) == [
        "notices.0 (command): ended with 1",
        "notices.1 (command): No such file or directory",
    ]
    assert (tmp_path / "told.json").exists()


def test_a_command_that_reads_nothing_is_no_failure(tmp_path):
    told = {**FAILED, "failures": ["x" * 1_000_000]}
    assert send(told, script(tmp_path, ""), root=tmp_path) == []


def test_a_command_that_does_not_end_is_ended_with_what_it_started(tmp_path):
    source = """\
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(600)
"""
    slow = script(tmp_path, source).model_copy(update={"timeout": 2})
    assert send(FAILED, slow, root=tmp_path) == ["notices.0 (command): not finished after 2 s"]
    assert ended(int((tmp_path / "child").read_text()))


def ended(process):
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.05)
    return False


# A webhook


@pytest.fixture
def web():
    """A web server on this machine, what it was sent, and what it answers."""
    seen = SimpleNamespace(requests=[], status=200, headers={})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.path, self.headers["Content-Type"], json.loads(content)))
            self.send_response(seen.status)
            for name, value in seen.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self):
            seen.requests.append((self.path, "", None))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen.address = f"http://127.0.0.1:{server.server_port}"
    yield seen
    server.shutdown()
    server.server_close()


def test_a_webhook_is_sent_the_outcome_as_json(web):
    assert send(FAILED, notice(webhook="HOOK"), HOOK=f"{web.address}/{SECRET}") == []
    assert web.requests == [(f"/{SECRET}", "application/json", SENT)]


def test_slack_is_sent_text_in_which_nothing_is_a_link_or_a_call(web):
    told = {**FAILED, "stale": ["<!channel> & <https://x.y|z>"]}
    assert send(told, notice(webhook="HOOK", form="slack"), HOOK=web.address) == []
    ((_, _, content),) = web.requests
    assert list(content) == ["text"]
    assert "&lt;!channel&gt; &amp; &lt;https://x.y|z&gt;" in content["text"]
    assert content["text"].startswith(
        "Reports failed, as of 2026-11-26, in draft; failed: 05_growth: a cell failed"
    )


@pytest.mark.parametrize("status", [403, 302])
def test_an_error_of_a_webhook_is_told_by_its_code_alone_and_another_address_is_not_followed(
    web, status
):
    web.status = status
    web.headers = {"Location": f"{web.address}/elsewhere"}
    fault = f"notices.0 (webhook): answered {status}"
    assert send(FAILED, notice(webhook="HOOK"), HOOK=f"{web.address}/{SECRET}") == [fault]
    assert [path for path, *_ in web.requests] == [f"/{SECRET}"]


LOCAL = "http://127.0.0.1"
NO_WEBHOOK = dict.fromkeys((f"file:///{SECRET}", SECRET), "could not be sent (ValueError)")
NO_WEBHOOK |= dict.fromkeys(
    (f"{LOCAL}:{SECRET}", f"{LOCAL}/\n{SECRET}"), "could not be sent (InvalidURL)"
)
NO_WEBHOOK |= {
    f"{LOCAL}:1/{SECRET}": "Connection refused",
    f"http://{SECRET}.invalid/": "the host name was not found",
}


@pytest.mark.parametrize(("address", "said"), NO_WEBHOOK.items())
def test_a_webhook_that_is_none_is_told_without_its_address(address, said):
    (fault,) = send(FAILED, notice(webhook="HOOK"), HOOK=address)
    assert fault == f"notices.0 (webhook): {said}"


def test_a_server_that_never_answers_or_does_so_a_letter_at_a_time_holds_nobody_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = threading.Event()

        def drip():
            connection, _ = silent.accept()
            while not done.wait(0.1):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        slow = notice(webhook="HOOK", timeout=1)
        late = [f"notices.{place} (webhook): not finished after 1 s" for place in (0, 1)]
        assert send(FAILED, slow, slow, HOOK=address) == late
        done.set()


# E-mail


class Server(Controller):
    """A mail server on a port that the system chooses."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Inbox:
    """What a mail server was sent."""

    def __init__(self):
        self.letters = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd calls it so)
        letter = message_from_bytes(envelope.content, policy=policy.default)
        self.letters.append(
            (envelope.mail_from, envelope.rcpt_tos, letter, session.ssl is not None)
        )
        return "250 kept"


@pytest.fixture
def served():
    """Start a mail server on this machine with options of its own."""
    started = []

    def start(inbox=None, **options):
        inbox = inbox or Inbox()
        controller = Server(inbox, hostname="127.0.0.1", port=0, **options)
        controller.start()
        started.append(controller)
        return inbox, f"localhost:{controller.port}"

    yield start
    for controller in started:
        controller.stop()


MAIL = {
    "to": ["a@example.org", "b@example.org"],
    "from": "reports@example.org",
    "host": "MAIL_HOST",
}
PLAIN = {**MAIL, "starttls": False}
LOGIN = {**MAIL, "user": "MAIL_USER", "password": "MAIL_PASSWORD"}


def test_an_email_has_the_brief_and_the_line_as_its_subject(served, tmp_path):
    inbox, host = served()
    (tmp_path / "2026-11-26").mkdir()
    (tmp_path / "2026-11-26" / "00_brief.pdf").write_bytes(b"%PDF-1.7 brief")
    told = {**QUIET, "reports": {"00_brief": "published", "05_growth": "published"}}
    jobs = [Job("05_growth", Path(), {}, plan=Plan(owner=("c@example.org", "a@example.org")))]
    mail = notice(email=PLAIN)
    assert send(told, mail, root=tmp_path, jobs=jobs, MAIL_HOST=host) == []
    assert sorted(recipients for _, recipients, *_ in inbox.letters) == [
        ["a@example.org"],
        ["b@example.org"],
        ["c@example.org"],
    ]
    sender, _, letter, _ = inbox.letters[0]
    assert sender == "reports@example.org"
    assert letter["Subject"].startswith("Reports published, as of 2026-11-26, in 2026-11-26")
    assert letter.get_body().get_content().replace("\r\n", "\n") == Outcome(**told).letter
    (attached,) = letter.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == (
        "00_brief.pdf",
        b"%PDF-1.7 brief",
    )
    assert socket.gethostname() not in letter["Message-ID"]


def test_an_email_without_a_brief_is_sent_all_the_same(served, tmp_path):
    inbox, host = served()
    assert send(FAILED, notice(email=PLAIN), root=tmp_path, MAIL_HOST=host) == []
    assert list(inbox.letters[0][2].iter_attachments()) == []


def test_no_failure_can_write_a_header(served):
    inbox, host = served()
    told = {
        **FAILED,
        "failures": ["05: x\r\nBcc: c@example.org\r\n\r\nhello"],
        "reports": {"05\r\nBcc: d@e.f": "ü"},
    }
    assert send(told, notice(email=PLAIN), MAIL_HOST=host) == []
    assert sorted(each for _, to, *_ in inbox.letters for each in to) == MAIL["to"]
    assert "Bcc" not in inbox.letters[0][2]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate of the test's server, is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    key = folder / "key.pem"
    file = folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True
    )
    return file, key


def encrypted(certificate):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def accept(password):
    def authenticate(server, session, envelope, mechanism, given):
        known = (given.login, given.password) == (b"reports", password.encode())
        return AuthResult(success=known, handled=known)

    return authenticate


def test_a_login_goes_over_an_encrypted_connection(served, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = encrypted(certificate)
    inbox, host = served(
        tls_context=context, require_starttls=True, authenticator=accept(SECRET), auth_required=True
    )
    known = {"MAIL_HOST": host, "MAIL_USER": "reports", "MAIL_PASSWORD": SECRET}
    assert send(FAILED, notice(email=LOGIN), **known) == []
    assert inbox.letters[0][3]
    wrong = known | {"MAIL_PASSWORD": f"{SECRET}!"}
    assert send(FAILED, notice(email=LOGIN), **wrong) == ["notices.0 (email): answered 535"]
    assert send(FAILED, notice(email=PLAIN), **known) == ["notices.0 (email): answered 530"]


def test_a_server_that_nobody_vouches_for_is_told_no_password(served, certificate):
    inbox, host = served(tls_context=encrypted(certificate), authenticator=accept(SECRET))
    known = {"MAIL_HOST": host, "MAIL_USER": "reports", "MAIL_PASSWORD": SECRET}
    (fault,) = send(FAILED, notice(email=LOGIN), **known)
    assert fault == "notices.0 (email): the encrypted connection could not be trusted"
    assert inbox.letters == []


@pytest.mark.parametrize("host", [f"{SECRET}.invalid", f"127.0.0.1:{SECRET}", "127.0.0.1:1"])
def test_a_mail_server_that_is_not_there_is_told_without_its_name(host):
    (fault,) = send(FAILED, notice(email=PLAIN), MAIL_HOST=host)
    assert fault.startswith("notices.0 (email): ")
    assert SECRET not in fault


# What the environment holds


def test_what_the_environment_lacks_is_told_even_when_there_is_no_news():
    hooks = [notice(command=["true"]), notice(email=LOGIN), notice(webhook="HOOK")]
    assert send(None, *hooks, MAIL_HOST="h", MAIL_USER="", HOOK="") == [
        (
            "notices.1 (email): not sent: the environment has no MAIL_USER and no MAIL_PASSWORD;"
            " set it"
        ),
        "notices.2 (webhook): not sent: the environment has no HOOK; set it",
    ]


def test_secrets_are_out_of_the_environment_while_reports_are_made_and_back_afterwards(monkeypatch):
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.delenv("MAIL_HOST", raising=False)
    hooks = [notice(webhook="HOOK"), notice(email=PLAIN)]
    with scheduled.withheld(hooks):
        assert SECRET not in os.environ.values()
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, check=True
        )
        assert SECRET.encode() not in child.stdout
    assert os.environ["HOOK"] == SECRET
    assert "MAIL_HOST" not in os.environ
