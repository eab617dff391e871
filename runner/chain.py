"""Hold releases against the log of their runs and against each other.

Each manifest has the hash of the one before, so the hash of the newest, its head, stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from fewtreated.errors import DesignError

from runner import ONCE, Outcome, ReportError, Said, State, diff, log, release, schedule
from runner.log import LOG
from runner.release import MANIFEST, Release, order
from runner.remembered import remembered

DO = "restore it from a copy, or accept that with `market-impact prune --keep N`"


def read_all(out: Path) -> tuple[list[Release], dict[str, str]]:
    """Return an output folder's releases, oldest first, and why others cannot be read, by name.

    A folder without a manifest, which no run has made, is left out.
    """
    found = list[Release]()
    unreadable = dict[str, str]()
    known = log.known(log.logged(out))
    for name in release.names(out):
        try:
            found.append(release.read(out / name))
        except ReportError as error:
            if name in known or (out / name / MANIFEST).exists():
                unreadable[name] = str(error).removeprefix(f"{out / name} ")
    return found, unreadable


def misplaced(one: Release, others: Sequence[Release], known: Mapping[str, str]) -> Iterator[str]:
    """Yield what contradicts a release in the log, in its own name and in other releases.

    Parameters
    ----------
    one : Release
    others : sequence of Release
        All releases beside it.
    known : mapping
        Hashes of manifests by name, from the log.
    """
    name = one.folder.name
    manifest = one.manifest
    when = order(name)
    before = order(manifest.previous)
    if known.get(name, one.digest) != one.digest:
        yield f"{MANIFEST}: its hash is not the one in {LOG}"
    if when and when[0] != manifest.as_of:
        yield f"{MANIFEST}: it is as of {manifest.as_of}, another day than the name of its folder"
    if when and manifest.previous and (not before or before >= when):
        yield f"{MANIFEST}: the release before it would be {manifest.previous}"
    for entry in manifest.reports.values():
        if entry.as_of > manifest.as_of:
            yield f"{MANIFEST}: {entry.notebook} is as of {entry.as_of}, a later day"
    logged = known.get(manifest.previous, manifest.previous_sha256)
    if manifest.previous_sha256 not in ("", logged):
        yield f"{MANIFEST}: it has another hash of {manifest.previous} than {LOG}"
    for other in others:
        if other.manifest.previous == name and other.manifest.previous_sha256 not in (
            "",
            one.digest,
        ):
            yield f"{MANIFEST}: its hash is not the one in the release of {other.folder.name}"


def misfits(out: Path) -> Iterator[Said]:
    """Yield the releases of an output folder that do not fit, each with the first reason.

    Only the names of files and the hashes of manifests are looked at, since each run does it.
    """
    runs = log.logged(out)
    known = log.known(runs)
    found, unreadable = read_all(out)
    whys = dict(unreadable)
    for one in found:
        missing = (
            f"{file}: missing" for file in one.manifest.files if not (one.folder / file).is_file()
        )
        wrong = [*misplaced(one, found, known), *missing, *one.strangers()]
        if wrong:
            whys[one.folder.name] = "; ".join(diff.first(wrong, 3))
    for name in gone(out, runs):
        whys[name] = f"{LOG} has this release, and the folder has not; {DO}"
    for name, why in whys.items():
        yield Said(said=f"{out / name}: {why.removesuffix('.')}.", key=name, again=ONCE)


def doubtful(out: Path) -> dict[str, str]:
    """Return why releases of an output folder do not fit, by name, without the folder's path.

    Of the newest release the content of files is looked at too.
    """
    whys = {each.key: each.said for each in misfits(out)}
    today = schedule.today()
    _, damage = release.standing(out, today, log.known(log.logged(out)))
    if damage:
        whys[release.names(out, today)[-1]] = damage.removesuffix(f" {release.MADE_AGAIN}")
    return {name: why.removeprefix(f"{out / name}: ") for name, why in whys.items()}


def gone(out: Path, runs: Sequence[Outcome]) -> list[str]:
    """Return the names of releases that the log has and the folder has not, unless pruned."""
    pruned = {run.release for run in runs if run.pruned}
    there = {*release.names(out)}
    return sorted(log.known(runs).keys() - there - pruned)


def accept_gone(out: Path) -> list[str]:
    """Record that releases which are gone were removed on purpose, and return a line for each.

    The caller holds the lock.
    """
    names = gone(out, log.logged(out))
    log.mark_pruned(out, names, schedule.today())
    return [f"{name}: was gone already, which is now accepted" for name in names]


def enter(outcome: Outcome) -> Outcome:
    """Add a release to the log as soon as it is there, and return its outcome as logged.

    What is told of it takes the place of this line later. The caller holds the lock.
    """
    if outcome.outcome != "published":
        return outcome
    digest = release.read(outcome.folder).digest
    outcome = outcome.model_copy(update={"manifest": digest, "id": log.urn(digest)})
    now = datetime.now(UTC).isoformat(timespec="seconds")
    bare = outcome.model_copy(update={"failures": [], "notes": [], "at": now})
    _add(outcome.out, bare, log.logged(outcome.out))
    return outcome


def adopt(out: Path) -> None:
    """Add to the log the releases that it does not have, such as that of a killed run.

    Later notices then tell what its run could not. The caller holds the lock.
    """
    runs = log.logged(out)
    logged = {run.release for run in runs if log.is_release(run)}
    for name in release.names(out):
        if name not in logged:
            with suppress(ReportError):  # which is told as what does not fit, if it is a release
                runs.append(_add(out, _as_told(release.read(out / name)), runs))


def _add(out: Path, outcome: Outcome, runs: Sequence[Outcome]) -> Outcome:
    """Add an outcome to the log, with what stands of earlier ones."""
    outcome = remembered(outcome, runs, looked_at=())
    with suppress(OSError):  # whoever tells of the run cannot write either, and says so
        log.append(out, outcome)
    return outcome


def _as_told(one: Release) -> Outcome:
    """Return the outcome that the run of a release would have told."""
    manifest = one.manifest
    name = one.folder.name
    why = (
        f"{name}: no line of {LOG} had this release, so its run was killed or somebody put it there"
    )
    states = dict[str, State]()
    for report, entry in manifest.reports.items():
        if entry.stale:
            states[report] = State(state="failed", as_of=entry.as_of)
        elif report in manifest.made:
            states[report] = State(state="published", seconds=entry.seconds)
        else:
            states[report] = State(state="unchanged", as_of=entry.as_of)
    failures = [
        Said(about=report, said=entry.stale)
        for report, entry in manifest.reports.items()
        if entry.stale
    ]
    words = list[Said]()
    with suppress(ReportError):  # without the release before, nothing can be compared
        if manifest.previous:
            changes = diff.between(release.read(one.folder.parent / manifest.previous), one)
            words += diff.turned(changes)
    midnight = f"{manifest.as_of}T00:00:00+00:00"
    return Outcome(
        outcome="published",
        release=name,
        manifest=one.digest,
        as_of=manifest.as_of,
        reports=states,
        changed_words=words,
        failures=[*failures, Said(said=f"{why}.", key=f"unlogged {name}", again=ONCE)],
        at=max((entry.finished for entry in manifest.reports.values()), default=midnight),
        id=log.urn(one.digest),
    )


# From a head to a release


def lineage(newest: Release) -> Iterator[tuple[str, str]]:
    """Yield the name and the hash of a release and of those before it.

    It ends where a manifest is missing, is not the one that the release after it knew, or knew none
    before it.
    """
    one = newest
    yield one.folder.name, one.digest
    while one.manifest.previous_sha256:
        yield one.manifest.previous, one.manifest.previous_sha256
        try:
            before = release.read(one.folder.parent / one.manifest.previous)
        except ReportError:
            return
        if before.digest != one.manifest.previous_sha256:
            return
        one = before


def linked(one: Release, head: str) -> tuple[str, bool]:
    """Say how a release is linked with a head that somebody has kept, and whether that proves it.

    A head proves its own release and those before it. Nothing is said if there is no link.

    Raises
    ------
    DesignError
        If the head is not a hash.
    """
    head = head.lower()
    if len(head) != 64 or {*head} - {*"0123456789abcdef"}:
        raise DesignError(f"Option --head {head}: expected a sha256 of 64 hexadecimal digits.")
    if head == one.digest:
        return "is that of this release, which was not changed since", True
    before = [*lineage(one)]
    if found := [name for name, digest in before if digest == head]:
        steps = [digest for _, digest in before].index(head)
        how = f"is that of {found[0]}, {steps} before this release, by an unbroken chain of hashes"
        return (
            f"{how}: up to there nothing was changed, and of this release it shows nothing",
            False,
        )
    for newest in read_all(one.folder.parent)[0]:
        after = [digest for _, digest in lineage(newest)] if newest.digest == head else []
        if one.digest in after:
            how = f"is that of {newest.folder.name}, {after.index(one.digest)} after this release"
            return f"{how}, by an unbroken chain of hashes, so this was not changed since", True
    return "", False
