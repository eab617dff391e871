"""All releases of an output folder: a page and an Atom feed of them and of the runs, and making room for more."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ValidationError

from runner import ReportError, diff, feed, release, verify
from runner.feed import FEED, PAGE, Outcome
from runner.page import page as html
from runner.release import LATEST, Release

LOG = "outcomes.jsonl"
KEPT = 400  # outcomes in the log
SHOWN = 100  # in the feed, and on the page
PATHS = re.compile(r"(?<![\w.:/<])/(?:[^/\s'\"]+/)+")  # folders of this machine, in what is said of a failure


def newest_first(out: Path) -> list[Release]:
    """Return the releases of an output folder; what has no manifest of a release is none."""
    found = list[Release]()
    for name in reversed(release.names(out)):
        try:
            found.append(release.read(out / name))
        except ReportError:
            continue
    return found


def record(out: Path, outcome: Mapping[str, Any], at: datetime) -> None:
    """Add what became of a run to the log, and write the page and the feed anew, unless another run is about to.

    What came to nothing leaves nothing in a folder that has no log.

    Parameters
    ----------
    out : Path
        The output folder.
    outcome : mapping
        As :meth:`runner.run.Outcome.as_json` returns it.
    at : datetime
        When the run ended.
    """
    if not (outcome.get("release") or outcome.get("draft") or (out / LOG).is_file()):
        return
    line = {**outcome, "at": at.isoformat(timespec="seconds")}
    line |= {part: [_first_line(one) for one in outcome.get(part, ())] for part in ("failures", "notes")}
    text = json.dumps(line, ensure_ascii=False, sort_keys=True)
    descriptor = os.open(out / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, f"\n{text}\n".encode())  # in one piece, and after what a killed run has left of a line
    finally:
        os.close(descriptor)
    with suppress(ReportError), release.locked(out):
        lines = (json.dumps(one, ensure_ascii=False, sort_keys=True) for one in logged(out)[-KEPT:])
        _replace(out / LOG, "\n".join(lines) + "\n")
        write(out)


class _Ended(BaseModel):
    """A line of the log."""

    outcome: str
    at: Annotated[str, AfterValidator(lambda at: datetime.fromisoformat(at).astimezone(UTC).isoformat())]
    release: str = ""
    draft: str = ""
    as_of: str = ""
    reports: dict[str, str] = {}
    changed_words: list[str] = []
    stale: list[str] = []
    failures: list[str] = []
    notes: list[str] = []


class Told(BaseModel):
    """What ``changes.json`` of a release says of it, as far as the page and the feed show it."""

    headline: str = ""
    line: str = ""
    told: list[tuple[str, list[str]]] = []


def logged(out: Path) -> list[Outcome]:
    """Return what became of the runs, the oldest first; a line that is no outcome does not count."""
    found = list[Outcome]()
    lines = (out / LOG).read_text(encoding="utf-8", errors="replace").splitlines() if (out / LOG).is_file() else []
    for line in lines:
        with suppress(ValidationError):
            found.append(_Ended.model_validate_json(line).model_dump())
    return found


def write(out: Path) -> None:
    """Write the page and the feed of an output folder, each in one step; the same releases and log, the same bytes."""
    found, runs = newest_first(out), logged(out)
    told = {run["release"] for run in runs if run["outcome"] == "published"}
    runs += [_of(one) for one in found if one.folder.name not in told]
    runs = sorted(runs, key=lambda run: run["at"])[-SHOWN:][::-1]  # of one second the last comes first
    moved = {one.folder.name: changes(one).line for one in found}
    runs = [{**run, "line": moved.get(run["release"], "") if run["outcome"] == "published" else ""} for run in runs]
    _replace(out / FEED, feed.write(runs, moved))
    _replace(out / PAGE, page(found, runs))


def _of(found: Release) -> Outcome:
    """Return the outcome that a release stands for, where the log has none of it."""
    entries = found.manifest.reports
    at = max((entry.finished for entry in entries.values()), default=f"{found.manifest.as_of}T00:00:00+00:00")
    return _Ended(outcome="published", release=found.folder.name, as_of=found.manifest.as_of, at=at).model_dump()


def changes(found: Release) -> Told:
    """Return what a release says of what changed; nothing if it says nothing that is whole and of this form."""
    try:
        return Told.model_validate_json(found.read(diff.FILE))
    except (ReportError, ValidationError):
        return Told()


def _first_line(failure: str) -> str:
    return PATHS.sub("", failure.splitlines()[0].removesuffix(":")) if failure.strip() else ""


# The page


def page(found: Iterable[Release], runs: Iterable[Outcome]) -> str:
    """Return the page over all releases, the newest first, with what each found and what had changed."""
    found, runs = [*found], [*runs]
    first = changes(found[0]).headline if found else ""
    lead = f'<p class="quiet">Newest release first. <a href="{FEED}">Atom feed of all runs</a>.</p>'
    lead += f"<h1>{escape(first or ('Reports' if found else 'No release yet'))}</h1>"
    if runs and runs[0]["outcome"] not in ("published", "unchanged"):
        lead += f'<p class="warning">The last run: {escape(feed.title(runs[0]))}.</p>'
    items = "".join(_item(one) for one in found)
    told = "".join(_run(run) for run in runs)
    parts = {"Releases": items and f'<ul class="cards">{items}</ul>', "Runs": told and f'<ul class="words">{told}</ul>'}
    return html("Reports", lead, {heading: part for heading, part in parts.items() if part})


def _item(found: Release) -> str:
    told, name = changes(found), found.folder.name
    parts = "".join(
        f"<p>{escape(heading)}</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in some)}</ul>"
        for heading, some in told.told
    )
    more = f"<details><summary>What moved, and what may have moved it</summary>{parts}</details>" if parts else ""
    return (
        f'<li class="card"><h3><a href="{quote(name)}/{PAGE}">{escape(name)}</a></h3>'
        f"{''.join(f'<p>{escape(text)}</p>' for text in (told.headline, told.line) if text)}{more}</li>"
    )


def _run(run: Outcome) -> str:
    some = "".join(f"<li>{escape(line)}</li>" for line in feed.lines(run))
    head = f"{escape(run['at'])} {escape(feed.title(run))}"
    return f"<li><details><summary>{head}</summary><ul>{some}</ul></details></li>" if some else f"<li>{head}</li>"


def _replace(file: Path, text: str) -> None:
    """Put a text in the place of a file in one step, on the disk."""
    draft = file.with_name(f"{release.STAGE}{file.name}")
    release.remove(draft)
    with draft.open("x", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, file)


# Making room


def prune(out: Path, keep: int) -> list[str]:
    """Remove the oldest releases but the newest `keep`, and return a line for each; needs the lock.

    The release that `latest` shows and the newest one that verifies stay, however old. What is no release by its
    manifest is left alone.
    """
    found = newest_first(out)
    latest = os.readlink(out / LATEST) if (out / LATEST).is_symlink() else ""
    sound = next((one.folder.name for one in found if not verify.faults(one)), "")
    told = []
    for one in reversed(found[keep:]):
        name = one.folder.name
        if name in (latest, sound):
            why = "`latest` shows it" if name == latest else "it is the newest one that verifies"
            told.append(f"{name}: stays, {why}")
            continue
        away = out / f"{release.STAGE}{name}"
        os.rename(one.folder, away)  # nobody sees half a release
        release.remove(away)
        told.append(f"{name}: removed, {len(one.manifest.files)} files of {one.manifest.as_of}")
    if told:
        write(out)
    return told
