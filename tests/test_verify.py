"""A release is proved by its hashes: whatever is damaged, missing or beside it is named."""

import contextlib
import io
import os
import shutil
import subprocess
import zipfile
from random import Random
from unittest import mock

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
    (found.folder / "none" / "within").mkdir(parents=True)
    (found.folder / f"{MANIFEST}.sig").write_text("a signature, which no manifest can list")
    assert [*verify.faults(found)] == [
        "figures/note.txt: extra, not listed in the manifest",
        "none/within: extra, an empty folder",
    ]


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
    for each in (first, after):
        name = each.folder.name
        log.append(
            tmp_path, Outcome(outcome="published", release=name, manifest=each.digest, at=name)
        )
    assert [*verify.faults(first), *verify.faults(after)] == []
    assert release.standing(tmp_path, day, log.known(log.logged(tmp_path)))[0] == first
    said = [
        f"{MANIFEST}: its hash is not the one in {where}"
        for where in (LOG, f"the release of {next_}")
    ]
    assert [*verify.faults(rewrite(first, panel_is="another"))] == said
    _, why = release.standing(tmp_path, day, log.known(log.logged(tmp_path)))
    assert f"{MANIFEST} is not the one that its run logged. All reports" in why


def chained(out, *days):
    """Make releases that follow each other, with their log, and return them."""
    made = []
    for day in days:
        before = {}
        if made:
            before = {"previous": made[-1].folder.name, "previous_sha256": made[-1].digest}
        made.append(rewrite(make(out, day), **before))
        line = Outcome(outcome="published", release=day, manifest=made[-1].digest, at=day, id=day)
        log.append(out, line)
    return made


DAYS = ["2026-11-24", "2026-11-25", "2026-11-26"]


def test_a_release_whose_line_was_taken_out_of_the_log_does_not_fit(tmp_path):
    *_, last = chained(tmp_path, *DAYS)
    log.rewrite(tmp_path, log.logged(tmp_path)[:-1])
    (said,) = verify.faults(last)
    assert said.startswith(f"{MANIFEST}: no line of {LOG} has it: its run was killed before it")
    (tmp_path / LOG).unlink()  # as beside a copy of a release
    assert [*verify.faults(last)] == []


def test_releases_that_were_swapped_and_logged_so_do_not_fit(tmp_path):
    first, second, _ = chained(tmp_path, *DAYS)
    os.rename(first.folder, tmp_path / "aside")
    os.rename(second.folder, first.folder)
    os.rename(tmp_path / "aside", second.folder)
    swapped = [
        rewrite(release.Release(each.folder, each.manifest), release=each.folder.name)
        for each in (first, second)
    ]
    (tmp_path / LOG).unlink()
    for each in swapped:
        name = each.folder.name
        log.append(
            tmp_path, Outcome(outcome="published", release=name, manifest=each.digest, at=name)
        )
    said = [line for each in swapped for line in verify.faults(each)]
    assert f"{MANIFEST}: it is as of 2026-11-25, another day than the name of its folder" in said
    assert f"{MANIFEST}: the release before it would be 2026-11-24" in said


def test_a_release_before_that_is_gone_is_told_with_the_reason_if_there_is_one(tmp_path, capsys):
    first, second, _ = chained(tmp_path, *DAYS)
    for said in ("and nothing says why.", "and was pruned on 2026-12-01."):
        release.remove(first.folder)
        assert main(["verify", str(second.folder), "--no-again"]) == Exit.OK
        out = capsys.readouterr().out
        assert f"The release before, 2026-11-24, is not here, {said}" in out
        assert "So far, nothing was changed by accident." in out
        log.mark_pruned(tmp_path, ["2026-11-24"], "2026-12-01")


def test_a_head_that_was_kept_is_linked_with_a_release_or_not(tmp_path, capsys):
    first, second, third = chained(tmp_path, *DAYS)

    def held(head):
        code = main(["verify", str(second.folder), "--no-again", "--head", head])
        return code, capsys.readouterr()

    for head, said, proves in (
        (second.digest, "is that of this release, which was not changed since.", True),
        (third.digest, "is that of 2026-11-26, 1 after this release, by an unbroken chain", True),
        (first.digest.upper(), "is that of 2026-11-24, 1 before this release, by an unb", False),
    ):
        code, told = held(head)
        assert (code, said in told.out) == (Exit.OK, True)
        assert ("So far, nothing was changed" in told.out) != proves
    code, told = held("0" * 64)
    assert (code, "no unbroken chain of hashes leads to the head 0000" in told.out) == (3, True)
    code, told = held("abc")
    assert (code, "expected a sha256 of 64 hexadecimal digits" in told.err) == (2, True)


def test_releases_that_were_all_forged_with_their_log_fit_but_not_a_head_that_was_kept(
    tmp_path, capsys
):
    kept = chained(tmp_path / "true", *DAYS)[-1].digest
    forged = chained(tmp_path / "false", *DAYS[:2], "2026-11-27")[-1].folder
    assert main(["verify", str(forged), "--no-again"]) == Exit.OK
    assert "--head or --signers" in capsys.readouterr().out
    assert main(["verify", str(forged), "--no-again", "--head", kept]) == Exit.FAILED


@pytest.fixture
def signed(tmp_path):
    """A release, and the keys and signatures of two people, of whom the first is allowed."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen, which makes the keys, is not installed")
    found = make(tmp_path / "out")
    for name in ("mine", "other"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", tmp_path / name]
        subprocess.run(key, check=True)
    public = (tmp_path / "mine.pub").read_text()
    (tmp_path / "signers").write_text(f"me@example.org {public}")

    def sign(name="mine", namespace="market-impact"):
        signature = found.folder / f"{MANIFEST}.sig"
        signature.unlink(missing_ok=True)
        sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", tmp_path / name, "-n", namespace]
        subprocess.run([*sign, found.folder / MANIFEST], check=True, capture_output=True)
        return signature

    return found, tmp_path / "signers", sign


def test_a_signature_is_checked_against_those_who_may_sign(signed, capsys):
    found, signers, sign = signed

    def verified(*options):
        code = main(["verify", str(found.folder), "--no-again", *options])
        return code, capsys.readouterr().out

    by = ("--signers", str(signers))
    assert verified(*by) == (3, mock.ANY)  # nobody has signed
    sign()
    code, told = verified(*by)
    assert (code, "signed by me@example.org, whom" in told) == (0, True)
    code, told = verified()
    assert (code, "by whom is not known without --signers FILE." in told) == (0, True)
    assert f"there are no others but {MANIFEST}.sig" in told
    for wrong in (("other",), ("mine", "another-purpose")):
        sign(*wrong)
        code, told = verified(*by)
        assert (code, "by anybody whom" in told) == (3, True)
    signature = sign()
    rewrite(found, panel_is="forged")
    for content in (signature.read_text(), "-----BEGIN SSH SIGNATURE-----\n", "not a signature"):
        signature.write_text(content)
        assert verified()[0] == verified(*by)[0] == 3


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
