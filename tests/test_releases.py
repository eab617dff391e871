"""Over all releases: a page, a feed from which each run's outcome can be read, and room made by
rule.
"""

import json
import os
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest
from pages import Page
from reading import read_json
from releases import REPORT, make

from runner import Outcome, chain, log, publish, release, site, verify
from runner.release import LATEST, MANIFEST

AT = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)
ATOM = {"a": "http://www.w3.org/2005/Atom"}
HARM = "<script>alert(1)</script> & \x00\x0b"


def outcome(what="published", **known):
    given = {
        "release": "2026-11-25",
        "as_of": "2026-11-25",
        "reports": {REPORT: "published  2.0 s"},
    }
    return Outcome(outcome=what, **{**given, **known})


def entries(out):
    return ElementTree.parse(out / site.FEED).getroot().findall("a:entry", ATOM)


def text(element, name):
    return element.find(f"a:{name}", ATOM).text


def told(line, headline="It cannot be told.", heading="Data"):
    return {
        "changes.json": json.dumps(
            {"headline": headline, "line": line, "told": [[heading, [line]]]}
        )
    }


def test_a_feed_is_as_atom_asks(tmp_path):
    make(tmp_path)
    site.record(tmp_path, outcome(), AT)
    site.record(tmp_path, outcome("failed", release="", draft="draft", failures=["05: died"]), AT)
    root = ElementTree.parse(tmp_path / site.FEED).getroot()
    assert root.tag == "{http://www.w3.org/2005/Atom}feed"
    ids = []
    for element in (root, *root.findall("a:entry", ATOM)):
        for name in ("id", "title", "updated"):  # RFC 4287, 4.1.1 and 4.1.2: exactly one of each
            assert len(element.findall(f"a:{name}", ATOM)) == 1
            assert text(element, name)
        assert datetime.fromisoformat(text(element, "updated")).tzinfo
        ids.append(text(element, "id"))
        alternates = [
            link for link in element.findall("a:link", ATOM) if link.get("rel") == "alternate"
        ]
        assert len(alternates) == 1
    assert len({*ids}) == 3
    assert all(one.startswith("urn:uuid:") for one in ids)
    assert root.find("a:author/a:name", ATOM).text
    assert root.find("a:link[@rel='self']", ATOM).get("href") == site.FEED


def test_outcomes_can_be_read_from_the_feed_alone(tmp_path):
    make(tmp_path)
    site.record(tmp_path, outcome(changed_words=["C01 V1: Not shown, now Supported"]), AT)
    failed = outcome(
        "failed",
        release="",
        draft="draft",
        failures=["05_growth: a cell failed with X\n    Traceback"],
    )
    site.record(tmp_path, failed, AT.replace(hour=7))
    first, second = entries(tmp_path)
    assert [one.find("a:category", ATOM).get("term") for one in (first, second)] == [
        "failed",
        "published",
    ]
    assert "Failed: 05_growth: a cell failed" in text(first, "content")
    assert "Traceback" not in text(first, "content")
    assert "Word changed: C01 V1: Not shown, now Supported" in text(second, "content")
    assert second.find("a:link", ATOM).get("href") == "2026-11-25/index.html"


def test_of_two_runs_in_one_second_the_last_is_the_first_entry(tmp_path):
    make(tmp_path)
    for what in ("published", "failed", "refused"):
        site.record(tmp_path, outcome(what), AT)
    assert [text(one, "title").partition(":")[0] for one in entries(tmp_path)] == [
        "Refused",
        "Failed",
        "Published",
    ]


def test_an_entry_of_a_release_says_what_moved_and_keeps_its_id_when_the_release_is_gone(tmp_path):
    found = make(tmp_path, more=told("Since the release of 2026-11-24: 1 number moved."))
    site.record(tmp_path, outcome(), AT)
    (before,) = entries(tmp_path)
    assert "Since the release of 2026-11-24: 1 number moved." in text(before, "content")
    release.remove(found.folder)
    site.refresh(tmp_path)
    (after,) = entries(tmp_path)
    assert text(after, "id") == text(before, "id")
    assert after.find("a:link", ATOM).get("href") == site.PAGE


def test_an_entry_of_an_earlier_version_keeps_its_id_and_the_log_has_no_address(tmp_path):
    line = {
        "outcome": "failed",
        "release": "",
        "manifest": "",
        "draft": "draft",
        "as_of": "2026-11-25",
    }
    line |= {
        "reports": {REPORT: "failed"},
        "changed_words": [],
        "stale": [],
        "failures": [f"{REPORT}: a cell failed"],
    }
    line |= {"notes": [], "standing": [], "mended": [], "news": "news", "owners": ["a@b.c"]}
    (tmp_path / log.LOG).write_text(json.dumps({**line, "at": "2026-11-25T06:00:00+00:00"}))
    for _ in range(2):
        site.record(tmp_path, outcome("unchanged", owners=["a@b.c"]), AT)
        assert (
            text(entries(tmp_path)[-1], "id") == "urn:uuid:8436baab-4eaa-5a26-9712-67e7c287b8ab"
        )  # as it was
    assert "a@b.c" not in "".join(file.read_text() for file in tmp_path.glob("*.*"))


def test_a_release_of_which_the_log_knows_nothing_is_an_entry_too(tmp_path):
    make(tmp_path)
    chain.adopt(tmp_path)
    site.refresh(tmp_path)
    (one,) = entries(tmp_path)
    assert text(one, "updated") == "2026-11-25T06:00:00+00:00"
    assert text(one, "title") == "Published: 2026-11-25"


def test_folders_of_the_machine_are_not_published(tmp_path):
    site.record(
        tmp_path, outcome("failed", failures=["/home/someone/secret/panel.csv: no such file"]), AT
    )
    (one,) = entries(tmp_path)
    assert "Failed: panel.csv: no such file" in text(one, "content")
    for file in tmp_path.iterdir():
        assert "someone" not in file.read_text()


@pytest.mark.parametrize("what", ["refused", "failed", "interrupted"])
def test_what_came_to_nothing_leaves_nothing_where_no_run_was_recorded(tmp_path, what):
    site.record(tmp_path, outcome(what, release=""), AT)
    assert not [*tmp_path.iterdir()]
    site.record(tmp_path, outcome("draft"), AT)
    site.record(tmp_path, outcome("refused"), AT)
    assert len(entries(tmp_path)) == 2


def test_a_run_that_is_locked_out_is_recorded_and_the_other_one_writes_the_feed(tmp_path):
    site.record(tmp_path, outcome("failed"), AT)
    with release.locked(tmp_path):
        site.record(tmp_path, outcome("refused"), AT.replace(hour=7))
        assert len(entries(tmp_path)) == 1
    site.record(tmp_path, outcome("failed"), AT.replace(hour=8))
    assert len(entries(tmp_path)) == 3


def runs_after(out, count, **known):
    """Record runs that found nothing changed: but for the last one, in the log alone, since pages
    take time.
    """
    with (out / log.LOG).open("a") as file:
        for hour in range(count - 1):
            run = outcome(
                "unchanged", at=(AT + timedelta(hours=hour)).isoformat(), id=f"urn:{hour}", **known
            )
            file.write(run.model_dump_json() + "\n")
    site.record(out, outcome("unchanged", **known), AT + timedelta(hours=count))


def replaced_with_its_manifest(found):
    """Replace a PDF of a release, and its hash in the manifest."""
    (found.folder / f"{REPORT}.pdf").write_bytes(b"%PDF-1.7 forged\n%%EOF\n")
    content = read_json(found.folder / MANIFEST)
    publish.write_json(
        found.folder / MANIFEST, content | {"files": release.file_hashes(found.folder)}
    )
    return release.read(found.folder)


@pytest.mark.parametrize("count", [1, 500, 1500])
def test_a_replaced_release_is_told_however_many_runs_ago_it_was_published(tmp_path, count):
    found = make(tmp_path)
    site.record(tmp_path, outcome(manifest=found.digest), AT - timedelta(days=1))
    runs_after(tmp_path, count)
    assert log.known(log.logged(tmp_path)) == {found.folder.name: found.digest}
    assert len(log.logged(tmp_path)) <= log.KEPT + 1
    forged = replaced_with_its_manifest(found)
    assert f"{MANIFEST}: its hash is not the one in {log.LOG}" in [*verify.faults(forged)]
    standing, damage = release.standing(tmp_path, "2026-11-26", log.known(log.logged(tmp_path)))
    assert (standing, "is not the one that its run logged" in damage) == (None, True)


@pytest.mark.parametrize("day", ["2026-11-25", "2026-11-26"])
def test_the_list_of_releases_marks_the_one_that_was_forged_and_no_other(tmp_path, day):
    found = {made: make(tmp_path, made) for made in ("2026-11-25", "2026-11-26")}
    for release_ in found.values():
        told = outcome(release=release_.folder.name, manifest=release_.digest)
        site.record(tmp_path, told, AT - timedelta(days=1))
    assert "Not as published" not in (tmp_path / site.PAGE).read_text()
    replaced_with_its_manifest(found[day])
    site.refresh(tmp_path)
    shown = (tmp_path / site.PAGE).read_text()
    assert shown.count("Not as published") == 1
    card = shown.partition(f'"{day}/index.html"')[2].partition("</li>")[0]
    assert f"Not as published: {MANIFEST}" in card
    assert f"{tmp_path}" not in shown


def test_every_release_stays_in_the_log_also_those_that_are_gone(tmp_path):
    names = [f"{date(2024, 1, 1) + timedelta(days=day)}" for day in range(600)]
    with (tmp_path / log.LOG).open("w") as file:
        for name in names:
            file.write(
                outcome(
                    release=name, manifest=f"{name}#", at=f"{name}T06:00:00+00:00"
                ).model_dump_json()
                + "\n"
            )
    runs_after(tmp_path, 900)
    assert log.known(log.logged(tmp_path)) == {name: f"{name}#" for name in names}


def test_a_run_that_found_nothing_changed_is_an_entry_only_with_news(tmp_path):
    found = make(tmp_path)
    site.record(tmp_path, outcome(manifest=found.digest), AT - timedelta(days=1))
    feed = (tmp_path / site.FEED).read_bytes()
    runs_after(tmp_path, 150)
    assert (tmp_path / site.FEED).read_bytes() == feed
    site.record(
        tmp_path,
        outcome("unchanged", news="news", stale=["05: a.csv is dated 2020-01-01"]),
        AT.replace(hour=7),
    )
    assert [text(one, "title").partition(":")[0] for one in entries(tmp_path)] == [
        "Unchanged",
        "Published",
    ]


def test_what_was_told_stays_in_the_log_while_nothing_changes(tmp_path):
    site.record(tmp_path, outcome(), AT - timedelta(days=2))
    told = outcome("unchanged", news="news", stale=["05: a.csv is dated 2020-01-01"])
    site.record(tmp_path, told, AT - timedelta(days=1))
    runs_after(tmp_path, 600)
    assert [each.said for run in log.logged(tmp_path) for each in run.stale] == [
        "05: a.csv is dated 2020-01-01"
    ]


def test_a_log_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / log.LOG).symlink_to(tmp_path / "mine.txt")
    with pytest.raises(OSError, match="symbolic"):
        site.record(tmp_path, outcome("unchanged"), AT)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_no_text_of_others_does_harm(tmp_path):
    make(tmp_path, more=told(HARM.replace("\x00\x0b", ""), HARM, HARM))
    site.record(tmp_path, outcome("failed", failures=[HARM], reports={REPORT: HARM}), AT)
    assert HARM.partition(" & ")[0] in text(entries(tmp_path)[0], "content")
    assert "<script>" not in (tmp_path / site.PAGE).read_text()


def test_the_page_has_the_newest_release_first_with_its_headline_and_what_changed(tmp_path):
    make(
        tmp_path,
        "2026-11-25.10",
        more=told("Since the release of 2026-11-25.9: nothing moved.", "Old."),
    )
    make(tmp_path, "2026-11-25.9")
    make(
        tmp_path,
        "2026-11-26",
        more=told("Since the release of 2026-11-25.10: 1 number moved.", "New."),
    )
    (tmp_path / "2026-11-27").mkdir()  # no release
    site.refresh(tmp_path)
    shown = (tmp_path / site.PAGE).read_text()
    assert "<h1>New.</h1>" in shown
    places = [
        shown.index(f'"{name}/index.html"')
        for name in ("2026-11-26", "2026-11-25.10", "2026-11-25.9")
    ]
    assert places == sorted(places)
    assert "2026-11-27" not in shown
    assert "1 number moved." in shown


def test_the_page_is_whole_and_says_that_the_last_run_failed(tmp_path):
    make(tmp_path)
    site.record(tmp_path, outcome("failed", release="", draft="draft"), AT)
    shown = (tmp_path / site.PAGE).read_text()
    assert "The last run: Failed: draft, as of 2026-11-25." in shown
    Page(shown)  # nested as it should be


def test_the_same_releases_and_log_give_the_same_bytes(tmp_path):
    make(tmp_path)
    site.record(tmp_path, outcome(), AT)
    before = {file: (tmp_path / file).read_bytes() for file in (site.PAGE, site.FEED)}
    site.refresh(tmp_path)
    assert {file: (tmp_path / file).read_bytes() for file in before} == before


def test_what_changed_is_not_taken_from_a_file_that_was_altered(tmp_path):
    found = make(tmp_path, more=told("Since x: nothing moved."))
    (found.folder / "changes.json").write_text(json.dumps({"headline": "False."}))
    assert site.changes(found) == site.Summary()


@pytest.mark.parametrize("text", ["[]", "{", '{"told": {"Data": ["x"]}}', '{"headline": 5}'])
def test_what_changed_in_another_form_stops_no_page(tmp_path, text):
    found = make(tmp_path, more={"changes.json": text})
    site.refresh(tmp_path)
    assert site.changes(found) == site.Summary()


@pytest.mark.parametrize(
    "text", ["5", '{"outcome": "failed"}', '{"outcome": "a", "at": "then"}', '{"at": []}', '{"a']
)
def test_a_line_of_the_log_in_another_form_or_cut_off_stops_no_page_and_loses_no_other(
    tmp_path, text
):
    (tmp_path / log.LOG).write_text(text)
    site.record(tmp_path, outcome("failed"), AT)
    assert [one.outcome for one in log.logged(tmp_path)] == ["failed"]
    assert len(entries(tmp_path)) == 1


DAYS = [f"2026-11-2{day}" for day in range(1, 6)]


@pytest.fixture
def five(tmp_path):
    for day in DAYS:
        make(tmp_path, day)
    return tmp_path


def show(out, name):
    os.symlink(name, out / LATEST)


def test_prune_removes_the_oldest_and_says_which(five):
    show(five, DAYS[-1])
    assert [line.partition(",")[0] for line in site.prune(five, 2)] == [
        f"{day}: removed" for day in DAYS[:3]
    ]
    assert release.names(five) == DAYS[3:]
    assert site.prune(five, 2) == []
    assert not [*five.glob(".run-*")]


def test_prune_never_removes_what_latest_shows(five):
    show(five, DAYS[0])
    assert site.prune(five, 1)[0] == f"{DAYS[0]}: kept, since `latest` points at it"
    assert release.names(five) == [DAYS[0], DAYS[4]]


def test_prune_never_removes_the_last_that_verifies(five):
    show(five, DAYS[-1])
    for day in DAYS[2:]:
        (five / day / f"{REPORT}.pdf").write_text("damaged")
    assert f"{DAYS[1]}: kept, since it is the newest one that verifies" in site.prune(five, 1)
    assert release.names(five) == [DAYS[1], DAYS[4]]


@pytest.mark.parametrize(
    "spoil", [lambda f: f.unlink(), lambda f: f.write_text("{}"), lambda f: f.write_text("[")]
)
def test_prune_leaves_alone_what_is_no_release_by_its_manifest(five, spoil):
    show(five, DAYS[-1])
    spoil(five / DAYS[0] / MANIFEST)
    os.rename(five / DAYS[1], five / "2020-01-01")  # its manifest is of another folder
    site.prune(five, 1)
    assert release.names(five) == ["2020-01-01", DAYS[0], DAYS[4]]


def test_prune_does_not_follow_a_link(five, tmp_path):
    elsewhere = make(tmp_path / "elsewhere", "2026-11-01").folder
    os.symlink(elsewhere, five / "2026-11-01")
    site.prune(five, 1)
    assert (elsewhere / MANIFEST).exists()
    assert (five / "2026-11-01").is_symlink()
