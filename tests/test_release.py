"""Publishing: a folder that is whole at any moment, whatever becomes of the run that makes the next one."""

import multiprocessing
import time
from random import Random

import pytest
from desk import AS_OF, full_disk

from analysis.report import publish

NAMES = ["a.pdf", "b.pdf", "manifest.json"]


def publish_generation(out, number):
    with publish.locked(out), publish.staging(out) as stage:
        for name in NAMES:
            (stage / name).write_text(f"{number}\n" * 10_000)
        publish.release(out / AS_OF, [stage / name for name in NAMES], stage)
        publish.point(out / "latest", AS_OF, stage)


def publish_for_ever(out):
    while True:
        publish_generation(out, time.time_ns())


def test_a_run_that_is_killed_at_any_moment_leaves_a_whole_release(tmp_path):
    random, seen = Random(1), set()
    publish_generation(tmp_path, 0)
    for _ in range(30):
        process = multiprocessing.get_context("fork").Process(target=publish_for_ever, args=(tmp_path,))
        process.start()
        time.sleep(random.uniform(0.0, 0.3))
        process.kill()
        process.join()
        for folder in (tmp_path / AS_OF, tmp_path / "latest"):
            found = {(folder / name).read_text() for name in NAMES}
            assert len(found) == 1
            (content,) = found
            assert len(set(content.split())) == 1
            assert content.count("\n") == 10_000
        seen.add(content)
    assert len(seen) > 5  # it was killed at work
    publish_generation(tmp_path, 0)
    assert not list(tmp_path.glob(".run-*"))
    assert len(list(tmp_path.glob(".release-*"))) == 2  # the new one, and the one before for its readers


@pytest.mark.parametrize("step", ["copytree", "_reach_disk", "point"])
def test_a_release_that_cannot_be_finished_changes_nothing(tmp_path, monkeypatch, step):
    publish_generation(tmp_path, 0)
    monkeypatch.setattr(publish.shutil if step == "copytree" else publish, step, full_disk)
    with pytest.raises(OSError, match="No space left"):
        publish_generation(tmp_path, 1)
    assert {(tmp_path / AS_OF / name).read_text()[:2] for name in NAMES} == {"0\n"}


def test_a_release_keeps_what_stands_in_the_folder_and_the_one_before_it_as_it_was(tmp_path):
    publish_generation(tmp_path, 0)
    before = (tmp_path / AS_OF).resolve()
    (before / "c.pdf").write_text("mine")
    publish_generation(tmp_path, 1)
    assert (tmp_path / AS_OF / "c.pdf").read_text() == "mine"
    assert {(before / name).read_text()[:2] for name in NAMES} == {"0\n"}


def test_a_folder_that_was_published_as_such_is_kept_beside_the_first_release(tmp_path):
    (tmp_path / AS_OF).mkdir()
    (tmp_path / AS_OF / "a.pdf").write_text("old")
    publish_generation(tmp_path, 1)
    assert (tmp_path / f"{AS_OF}.old" / "a.pdf").read_text() == "old"
    assert (tmp_path / AS_OF / "a.pdf").read_text().startswith("1\n")
