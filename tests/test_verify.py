"""A release is proved by its hashes: whatever is damaged, missing or beside it is named."""

import contextlib
import io
import os
import zipfile
from random import Random

import pytest
from reading import read_json
from releases import REPORT, make

from runner import Exit, Outcome, ReportError, log, publish, release, site, verify
from runner.cli import main
from runner.log import LOG
from runner.release import DATA, MANIFEST, VERDICTS

PDF = f"{REPORT}.pdf"
CSV = f"{REPORT}.estimates.csv"


def rewrite(found, **changed):
    """Write the manifest anew, with the hashes that files have now."""
    content = read_json(found.folder / MANIFEST)
    content |= {"files": release.file_hashes(found.folder), **changed}
    publish.write_json(found.folder / MANIFEST, content)
    return release.read(found.folder)


def test_a_whole_release_has_no_fault(tmp_path):
    assert [*verify.faults(make(tmp_path))] == []


SIGNS = ["[1]*", "a?", "'\"", "two words", "a\nb", "#: {x}", "%20&x=y", "$HOME;~"]


@pytest.mark.parametrize("sign", SIGNS)
def test_commands_on_releases_take_a_path_as_it_is_spelled(tmp_path, capsys, sign):
    out = tmp_path / f"o{sign}"
    pair = [make(out, day) for day in ("2026-11-24", "2026-11-25")]
    make(tmp_path / "o1", "2026-11-25", estimates={REPORT: []})  # which a pattern would find
    first, last = (str(each.folder) for each in pair)
    assert main(["verify", last, "--no-again"]) == Exit.OK
    assert "all" in capsys.readouterr().out
    assert main(["diff", first, last]) == Exit.OK
    assert "nothing moved" in capsys.readouterr().out
    assert main(["uncited", last]) == Exit.OK
    assert site.prune(out, 1)
    assert [path.name for path in out.glob("2026*")] == ["2026-11-25"]
    damage(pair[1].folder / PDF)
    assert main(["verify", last, "--no-again"]) == Exit.FAILED


def damage(file):
    content = file.read_bytes()
    file.write_bytes(content[:3] + b"?" + content[4:])


def link(file):
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


DAMAGE = [(damage, "damaged"), (link, "a link"), (lambda file: file.write_bytes(b""), "empty")]
DAMAGE += [
    (lambda file: file.unlink(), "missing"),
    (lambda file: (file.unlink(), file.mkdir()), "missing"),
]


@pytest.mark.parametrize(("does", "said"), DAMAGE)
@pytest.mark.parametrize("name", [PDF, CSV])
def test_a_file_that_is_not_as_it_was_is_named_with_what_happened_to_it(tmp_path, does, said, name):
    found = make(tmp_path)
    does(found.folder / name)
    line, *_ = verify.faults(found)
    assert line.startswith(f"{name}: {said}")


def test_a_file_beside_the_release_is_named(tmp_path):
    found = make(tmp_path)
    (found.folder / "figures").mkdir()
    (found.folder / "figures" / "note.txt").write_text("mine")
    (found.folder / f"{MANIFEST}.sig").write_text("a signature, which no manifest can list")
    assert [*verify.faults(found)] == ["figures/note.txt: extra, not listed in the manifest"]


@pytest.mark.parametrize("file", ["figures", "more"])
def test_an_archive_of_other_data_than_the_reports_were_made_of_is_named(tmp_path, file):
    found = make(tmp_path)
    other = make(tmp_path / "other", data={f"facts/{file}.csv": "other\n"})
    (found.folder / DATA).write_bytes((other.folder / DATA).read_bytes())
    said = (
        f"{DATA}: not the data that the reports were made from: facts/{file}.csv differs, is"
        " missing or extra"
    )
    assert said in [*verify.faults(rewrite(found))]


def zipped(*files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


BOMB = zipped(("facts/figures.csv", bytes(release.MOST + 1)))
HOSTILE = [
    (VERDICTS, b'{"word": "Supported"}'),
    (VERDICTS, b"[" * 100_000),
    (VERDICTS, b" " * (release.JSON + 1)),
    (DATA, b"PK"),
    (DATA, BOMB),
]
HOSTILE += [
    (DATA, zipped(("facts/figures.csv", "firm\n"))[:-9] + b"\xff" * 9)
]  # offsets that lead nowhere


@pytest.mark.parametrize(("name", "content"), HOSTILE)
def test_what_is_hostile_though_its_hash_is_right_ends_in_a_line(tmp_path, capsys, name, content):
    found = make(tmp_path)
    (found.folder / name).write_bytes(content)
    folder = rewrite(found).folder
    assert main(["verify", str(folder)]) == Exit.FAILED
    assert f"{folder.name}/{folder}: {name} " in capsys.readouterr().out


def test_what_is_no_file_is_not_opened(tmp_path):
    found = make(tmp_path)
    for name in (DATA, MANIFEST):
        (found.folder / name).unlink()
        os.mkfifo(found.folder / name)
    assert f"{DATA}: missing" in [*verify.faults(found)]
    assert release.standing(tmp_path, "9999", {})[0] is None


def test_a_manifest_is_held_against_the_log_and_the_release_after_it(tmp_path):
    first = make(tmp_path)
    day = "2026-11-25"
    next_ = "2026-11-26"
    after = rewrite(make(tmp_path, next_), previous=day, previous_sha256=first.digest)
    logged = Outcome(outcome="published", release=day, manifest=first.digest, at=day)
    (tmp_path / LOG).write_text(logged.model_dump_json())
    assert [*verify.faults(first), *verify.faults(after)] == []
    assert release.standing(tmp_path, day, log.known(log.logged(tmp_path)))[0] == first
    said = [
        f"{MANIFEST}: its hash is not the one in {where}"
        for where in (LOG, f"the release of {next_}")
    ]
    assert [*verify.faults(rewrite(first, panel_is="another"))] == said
    _, why = release.standing(tmp_path, day, log.known(log.logged(tmp_path)))
    assert f"{MANIFEST} is not the one that its run logged. All reports" in why


@pytest.mark.parametrize("altered", [100, pytest.param(600, marks=pytest.mark.slow)])
def test_no_altered_byte_of_a_manifest_ends_in_anything_but_a_sentence(tmp_path, altered):
    file = make(tmp_path).folder / MANIFEST
    content = file.read_bytes()
    random = Random(1)
    for at in random.sample(range(len(content)), altered):
        file.write_bytes(
            content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1 :]
        )
        with contextlib.suppress(ReportError):
            [*verify.faults(release.read(file.parent))]
        standing, why = release.standing(tmp_path, "9999", {})
        assert bool(standing) != ("All reports are made again." in why)
        site.refresh(tmp_path)
