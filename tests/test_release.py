"""The output folder: whole at any moment, whatever becomes of the run for the next release."""

import multiprocessing
import os
import time
from random import Random

import pytest
from desk import AS_OF, full_disk
from fewtreated.errors import DesignError

from runner import publish, release

NAMES = ["a.pdf", "b.pdf"]
ABOUT = {"as_of": AS_OF, "previous": "", "panel": "", "panel_is": "", "commit": None}
ABOUT |= {"files": {}, "reports": {}}
ABOUT["inputs"] = {part: {} for part in ("data", "code", "layout", "words", "versions")}


def make(out, number, as_of=AS_OF):
    """Put a release, or a draft if there is no date, as a run does."""
    with release.locked(out), release.staging(out) as stage:
        new = stage / "new"
        new.mkdir()
        for name in (*NAMES, release.VERDICTS, release.DATA):
            (new / name).write_text(f"{number}\n" * 10_000)
        if as_of:
            name = release.next_name(out, as_of)
        else:
            name = release.DRAFT
        about = {**ABOUT, "as_of": as_of, "release": name, "files": release.file_hashes(new)}
        publish.write_json(new / release.MANIFEST, about)
        release.put(new, out / name, stage)
        if as_of:
            release.point(out, name, stage, AS_OF)


def make_for_ever(out):
    while True:
        make(out, time.time_ns())


def test_a_run_that_is_killed_at_any_moment_leaves_whole_releases(tmp_path):
    random = Random(1)
    make(tmp_path, 0)
    for _ in range(20):
        process = multiprocessing.get_context("fork").Process(
            target=make_for_ever, args=(tmp_path,)
        )
        process.start()
        time.sleep(random.uniform(0.0, 0.3))
        process.kill()
        process.join()
        there = release.names(tmp_path)
        assert [release.read(tmp_path / name).faults() for name in there] == [[]] * len(there)
        assert os.readlink(tmp_path / "latest") in there[-2:]
    assert len(there) > 5  # it was killed at work
    make(tmp_path, 0)
    assert os.readlink(tmp_path / "latest") == f"{AS_OF}.{len(there) + 1}"
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", "latest", *release.names(tmp_path)])


@pytest.mark.parametrize("step", ["file_hashes", "reach_disk", "point"])
def test_a_release_that_cannot_be_finished_changes_nothing_of_what_is_seen(
    tmp_path, monkeypatch, step
):
    make(tmp_path, 0)
    monkeypatch.setattr(release, step, full_disk)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path, 1)
    assert os.readlink(tmp_path / "latest") == AS_OF
    assert release.read(tmp_path / "latest" / ".." / AS_OF).faults() == []


def test_releases_follow_each_other_by_date_and_number_and_no_name_comes_twice(tmp_path):
    for number in range(12):
        make(tmp_path, number)
    release.remove(tmp_path / f"{AS_OF}.3")
    (tmp_path / "2026-11-26").symlink_to("nowhere")
    make(tmp_path, 12, "2026-11-26")
    assert release.names(tmp_path)[-2:] == [f"{AS_OF}.12", "2026-11-26.2"]
    assert release.next_name(tmp_path, AS_OF) == f"{AS_OF}.13"
    assert release.names(tmp_path, AS_OF)[-1] == f"{AS_OF}.12"


def test_latest_never_goes_back_to_an_earlier_date(tmp_path):
    make(tmp_path, 0)
    make(tmp_path, 1, "2026-11-20")
    assert os.readlink(tmp_path / "latest") == AS_OF
    release.remove(tmp_path / AS_OF)
    make(tmp_path, 1, "2026-11-21")
    assert os.readlink(tmp_path / "latest") == "2026-11-21"  # it led nowhere


def test_a_draft_takes_the_place_of_the_one_before(tmp_path):
    make(tmp_path, 0, "")
    make(tmp_path, 1, "")
    assert (tmp_path / "draft" / "a.pdf").read_text().startswith("1\n")
    assert sorted(os.listdir(tmp_path)) == [".lock", "draft"]


# What others have put there


def test_what_bears_the_name_of_a_killed_run_is_cleared_and_what_a_link_shows_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    out = tmp_path / "out"
    (out / ".run-folder" / "sub").mkdir(parents=True)
    (out / ".run-file").write_text("x")
    (out / ".run-link").symlink_to(tmp_path / "mine")
    make(out, 0)
    assert sorted(os.listdir(out)) == [".lock", AS_OF, "latest"]
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_a_lock_that_is_a_link_empties_no_file(tmp_path):
    (tmp_path / "mine").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(
        DesignError, match=r"out: .*\.lock cannot be written \(Too many levels of symbolic links\)"
    ):
        make(out, 0)
    assert (tmp_path / "mine").read_text() == "mine"


OURS = {"latest": "a file or folder has that name"}
OURS |= {"draft": "it is not a draft made by a run"}


@pytest.mark.parametrize(("name", "why"), OURS.items())
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_of_the_users_that_bears_a_name_of_ours_is_refused_and_stays(
    tmp_path, name, why, kind
):
    place = tmp_path / name
    (place if kind == "folder" else tmp_path).mkdir(exist_ok=True)
    if kind == "folder":
        mine = place / "thesis.txt"
    else:
        mine = place
    mine.write_text("mine")
    with pytest.raises(DesignError, match=f"{name}: {why}; move it elsewhere"):
        make(tmp_path, 0)
    assert mine.read_text() == "mine"


def as_nobody(work):
    """Do something as another user, if we may, and return what was raised."""

    def child(end):
        if os.getuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        try:
            work()
        except Exception as error:
            end.send((type(error), str(error)))
        else:
            end.send(None)

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    said = ours.recv()
    process.join()
    return said


@pytest.mark.parametrize("kind", ["read-only", "inside one", "a lock of another"])
def test_a_folder_that_may_not_be_written_is_refused_in_a_sentence(tmp_path, kind):
    for folder in (*tmp_path.parents, tmp_path):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(0o755)
    out = tmp_path / "out"
    out.mkdir()
    if kind == "a lock of another":
        (out / ".lock").touch()
        (out / ".lock").chmod(0o000)
        out.chmod(0o777)
    else:
        out.chmod(0o555)
    if kind == "inside one":
        target = out / "below"
    else:
        target = out
    error, said = as_nobody(lambda: make(target, 0))
    assert error is DesignError
    assert said.startswith(f"Cannot publish to {target}: ")
    assert "cannot be written (Permission denied); choose another folder with --out DIR" in said


# What a release is made of


def test_data_are_packed_into_the_same_bytes_whenever(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "facts").mkdir(parents=True)
        (tmp_path / name / "facts" / "a.csv").write_text("a\n1\n")
        (tmp_path / name / "b.csv").write_text("b\n")
        os.utime(tmp_path / name / "b.csv", (1e9, 1e9 * len(name)))
        release.pack(tmp_path / name, ["b.csv", "facts/a.csv"], tmp_path / f"{name}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
