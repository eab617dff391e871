"""When a report is due: by the calendar, by the files that it waits for, and how old its data may be.

Nothing here reads a clock or a file, so that the same question always has the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from cronsim import CronSim

from runner.schedule import as_cron


def last_due(every: str, now: datetime) -> date | None:
    """Return the last day on which a report fell due.

    Parameters
    ----------
    every : str
        As in the schedule: ``daily``, ``weekly on monday``, ``monthly on 1`` (or ``last``), or five fields of cron.
    now : datetime
        Of the clock on the wall, without a time zone.

    Returns
    -------
    date or None
        None for a cadence of cron that has had no day in fifty years.

    Examples
    --------
    >>> last_due("weekly on monday", datetime(2026, 11, 26, 12, 0))
    datetime.date(2026, 11, 23)
    """
    found = next(CronSim(as_cron(every), now + timedelta(seconds=1), reverse=True), None)
    return found.date() if found else None


def is_due(every: str, now: datetime, stands: date | None) -> bool:
    """Whether a report is to be made, given the as-of date of the one that stands; None if there is none.

    Whatever was missed is made up for once, since only the last day on which it fell due counts. A report of a later
    date than the clock's, as after the clock was set back, stands.

    >>> is_due("weekly on monday", datetime(2026, 11, 26, 12, 0), date(2026, 11, 2))
    True
    >>> is_due("weekly on monday", datetime(2026, 11, 26, 12, 0), date(2026, 11, 26))
    False
    """
    last = last_due(every, now)
    return stands is None or (last is not None and stands < last)


def awaited(wanted: Mapping[str, str | None], stood: Mapping[str, str]) -> list[str]:
    """Return what a report waits for, in words, of the files that must be there and newer than those that it stands on.

    A file is newer if it is another: its time on the disk says when it was copied.

    Parameters
    ----------
    wanted : mapping
        Hash by file, now; None if it is not there.
    stood : mapping
        Hash by file of what the standing report was made of; empty if there is none.

    Examples
    --------
    >>> awaited({"data/a.csv": None, "data/b.csv": "1", "data/c.csv": "2"}, {"data/b.csv": "1", "data/c.csv": "1"})
    ['data/a.csv, which is not there', 'data/b.csv, which has not changed']
    """
    missing = {file: "is not there" for file, hash_ in wanted.items() if hash_ is None}
    same = {file: "has not changed" for file, hash_ in wanted.items() if hash_ and hash_ == stood.get(file)}
    return [f"{file}, which {why}" for file, why in {**missing, **same}.items()]


def stale(dated: Mapping[str, date], as_of: date, fresh_days: int | None) -> list[str]:
    """Return the files that are older than a report may be made of, in words; none without a limit.

    >>> stale({"data/a.csv": date(2026, 1, 5)}, date(2026, 11, 26), 90)
    ['data/a.csv is of 2026-01-05, 325 days old; at most 90 were asked for']
    """
    old = {file: (as_of - day).days for file, day in dated.items() if fresh_days and (as_of - day).days > fresh_days}
    limit = f"at most {fresh_days} were asked for"
    return [f"{file} is of {dated[file]}, {days:,} days old; {limit}" for file, days in old.items()]
