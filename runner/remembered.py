"""Decide what a run has to tell, and to whom, by what the log knows.

What is wrong, stale or waited for has a beginning and an end, and both are told. Each way to a
recipient has a record of its own: what it did not take is owed until it takes it.

Importing this module is fast, unlike :mod:`runner.notices`, which imports network clients.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner import NEWS, REMINDER, Outcome, Said, publish, shortened
from runner.schedule import Job, Notice

LOOKED_AT = ("stale", "waits")


@dataclass(frozen=True)
class Way:
    """A way to a recipient: a notice or, if that is an e-mail, one of its addresses.

    `reports` are those of which an owner is told; None means all, and what is of no report.
    """

    notice: Notice
    place: int  # of the notice in the schedule
    address: str = ""
    reports: frozenset[str] | None = None

    @property
    def id(self) -> str:
        """Name of the way in the log, from which no address can be read."""
        target = self.notice.command or self.notice.webhook
        if self.notice.email:
            target = (self.notice.email.host, self.address)
        return publish.digest_of([self.notice.kind, self.notice.on, self.notice.form, target])[:16]


def ways(notices: Iterable[Notice], jobs: Iterable[Job]) -> Iterator[Way]:
    """Yield the ways of a schedule's notices; owners of reports have ways of every e-mail."""
    owned = dict[str, set[str]]()
    for job in jobs:
        for owner in job.plan.owner:
            owned.setdefault(owner, set()).add(job.name)
    for place, notice in enumerate(notices):
        if notice.email is None:
            yield Way(notice, place)
            continue
        to = dict.fromkeys(notice.email.to)
        yield from (Way(notice, place, address) for address in to)
        for address in owned.keys() - to:
            yield Way(notice, place, address, frozenset(owned[address]))


def remembered(
    outcome: Outcome, runs: Sequence[Outcome], looked_at: Collection[str] = LOOKED_AT
) -> Outcome:
    """Add to an outcome what stands of earlier runs, what is over and whether there is news.

    That is what the page and the feed tell, which have each line of the log.

    Parameters
    ----------
    outcome : Outcome
    runs : sequence of Outcome
        The log, oldest first.
    looked_at : collection of str
        Which of `LOOKED_AT` the run has looked at; the rest stands as it was.
    """
    before = runs[-1] if runs else Outcome(outcome="")
    wrong = {_thing(each) for each in outcome.troubles}
    carried: dict[str, Any] = {
        part: [
            each
            for each in getattr(before, part)
            if part == "stale" or _state(outcome, each) != "published"
        ]
        for part in LOOKED_AT
        if part not in looked_at
    }
    standing = [
        each for each in before.troubles if _thing(each) not in wrong and _stands(each, outcome)
    ]
    return _since(outcome.model_copy(update={**carried, "standing": standing}), before, [])


def letter(outcome: Outcome, runs: Sequence[Outcome], way: Way) -> Outcome | None:
    """Return what one way has to tell after a run, or None if it is nothing.

    It includes what the way did not take of earlier runs, marked as late.

    Parameters
    ----------
    outcome : Outcome
        As from :func:`remembered`.
    runs : sequence of Outcome
        The log before the run, oldest first.
    way : Way
    """
    knew, missed = _record(runs, way.id)
    if way.notice.on == "published":
        return _release(outcome, missed)
    owed = _since(_of(outcome, way), _of(knew, way), [_of(run, way) for run in missed])
    return owed if owed.news or way.notice.on == "always" else None


def undelivered(letters: Collection[Way], failed: Mapping[Way, str]) -> list[str]:
    """Return a line for each notice that was not taken, with its addresses if some did take it."""
    lines = list[str]()
    places = {way.place: way.notice for way in letters}
    for place, notice in places.items():
        whys = {way: why for way, why in failed.items() if way.place == place}
        every = len({*whys.values()}) == 1 and len(whys) == sum(
            way.place == place for way in letters
        )
        for way, why in whys.items():
            to = "" if every or not way.address else f" to {way.address}"
            lines.append(f"notices.{place} ({notice.kind}{to}): {why}")
    return [*dict.fromkeys(lines)]


def _record(runs: Sequence[Outcome], way: str) -> tuple[Outcome, Sequence[Outcome]]:
    """Return the last run of which a way has taken everything, and the runs since.

    A way that has taken nothing yet is owed what came since it is in the schedule.
    """
    took = [at for at, run in enumerate(runs) if run.ways.get(way)]
    if took:
        return runs[took[-1]], runs[took[-1] + 1 :]
    first = next((at for at, run in enumerate(runs) if way in run.ways), len(runs))
    return Outcome(outcome=""), runs[first:]


def _of(outcome: Outcome, way: Way) -> Outcome:
    """Return what of an outcome is for a way: all, or what is about its reports."""
    if way.reports is None:
        return outcome
    kept = {
        part: [each for each in getattr(outcome, part) if each.about in way.reports]
        for part in NEWS
    }
    return outcome.model_copy(update=kept)


def _release(outcome: Outcome, missed: Iterable[Outcome]) -> Outcome | None:
    """Return the outcome of the newest release to be told, with the others in its notes."""
    releases = [run for run in missed if run.outcome == "published"]
    if outcome.outcome == "published":
        newest = outcome
    elif releases:
        newest = releases.pop().model_copy(update={"out": outcome.out})
    else:
        return None
    late = [Said(said=f"Release {run.release} was not told.", late=run.as_of) for run in releases]
    return newest.model_copy(update={"notes": [*newest.notes, *late]})


def _since(outcome: Outcome, knew: Outcome, missed: Sequence[Outcome]) -> Outcome:
    """Return an outcome with what is news to somebody who knew an earlier one and missed others."""
    now = {_thing(each): each for each in outcome.conditions}
    then = {_thing(each): each for each in knew.conditions}
    late = dict[str, Said]()
    for run in missed:
        for each in run.conditions:
            late.setdefault(_thing(each), each.model_copy(update={"late": run.as_of}))
    over = [each for thing, each in {**late, **then}.items() if thing not in now]
    words = [
        each.model_copy(update={"late": run.as_of}) for run in missed for each in run.changed_words
    ]
    update: dict[str, Any] = {
        part: [_dated(each, late, then) for each in getattr(outcome, part)]
        for part in ("failures", "standing", *LOOKED_AT)
    }
    words += outcome.changed_words
    changed = any(
        thing not in then or _words(each) != _words(then[thing]) or each.again != then[thing].again
        for thing, each in now.items()
    )
    daily = any(not each.again for each in outcome.troubles)
    news = ""
    if changed or over or words:
        news = "news"
    elif daily and outcome.as_of != knew.as_of:
        news = REMINDER
    return outcome.model_copy(
        update={**update, "changed_words": words, "mended": over, "news": news}
    )


def _dated(each: Said, late: dict[str, Said], then: dict[str, Said]) -> Said:
    """Mark what began in a run that could not tell it."""
    thing = _thing(shortened(each))
    if thing in late and thing not in then:
        return each.model_copy(update={"late": late[thing].late})
    return each


def owners(outcome: Outcome, jobs: Iterable[Job]) -> list[str]:
    """Return the addresses of those whose reports are in the news of an outcome."""
    about = {each.about for part in NEWS for each in getattr(outcome, part)}
    if not outcome.news:
        return []
    return [*dict.fromkeys(one for job in jobs if job.name in about for one in job.plan.owner)]


def _thing(each: Said) -> str:
    """Return what is told about: the same until it is over, whatever is said of it."""
    return each.key or each.about or _words(each)


def _words(each: Said) -> str:
    """Return what is said without numbers, since they vary by run."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", each.said)


def _state(outcome: Outcome, each: Said) -> str:
    if each.about in outcome.reports:
        return outcome.reports[each.about].state
    return ""


def _stands(trouble: Said, outcome: Outcome) -> bool:
    """Return whether a failure of earlier runs stands after a run that does not name it.

    It does if the run did not come to reports, or made no attempt at the report that failed. One
    that is unchanged and of the day of the run is as it should be.
    """
    if state := _state(outcome, trouble):
        as_of = outcome.reports[trouble.about].as_of
        return state == "not run" or (state in ("not due", "unchanged") and bool(as_of))
    return not outcome.reports or (
        bool(trouble.about) and outcome.outcome not in ("published", "unchanged")
    )
