"""A run leaves with its release what moved, and with its folder a page and a feed; a release can be
proved again.
"""

import json
from xml.etree import ElementTree

import pytest
from desk import AS_OF, BRIEF_PARAMETERS, LATER, READ_VERDICTS, Desk, sources_kept, stub_render
from reading import read_json

from runner import Exit, log, publish, release

SINCE = BRIEF_PARAMETERS + 'since: str = ""  # what moved since the release before\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    desk = Desk(folder / "project", kernels=False)
    desk.furnish()
    desk.write("00_brief", READ_VERDICTS, "print(since)", parameters=SINCE)
    with sources_kept(folder):
        assert desk.work(as_of=AS_OF) == Exit.OK
        yield desk


def turn(desk):
    """Let a verdict of the next run be another one."""
    notebook = desk.root / "notebooks" / "01_first.ipynb"
    notebook.write_text(
        notebook.read_text().replace(
            '\\"claim\\": \\"c1\\"', '\\"word\\": \\"Supported\\", \\"claim\\": \\"c1\\"'
        )
    )


def told(desk):
    return read_json(desk.published / "changes.json")


def since(desk):
    return desk.manifest()["reports"]["00_brief"]["parameters"].get("since", "")


def verify(desk, *options, render=stub_render):
    return desk.ask("verify", str(desk.reports / "latest"), *options, render=render)


def test_a_run_tells_what_moved_in_its_release_its_brief_its_page_and_its_feed(desk, capsys):
    assert since(desk) == ""
    turn(desk)
    assert desk.work() == Exit.OK
    line = f"Since the release of {AS_OF}: 1 verdict moved."
    assert (told(desk)["line"], told(desk)["until"]) == (line, LATER)
    before = publish.sha256(desk.reports / AS_OF / "manifest.json")
    assert since(desk) == f"{line} Manifest of that release: sha256 {before}."
    assert line in desk.text("00_brief.ipynb")
    assert line in desk.text("index.html")
    assert line in (desk.reports / "index.html").read_text()
    entries = (
        ElementTree.parse(desk.reports / "feed.xml")
        .getroot()
        .findall("{http://www.w3.org/2005/Atom}entry")
    )
    assert len(entries) == 2
    capsys.readouterr()
    beside = (
        "CITATION.cff, annex.pdf, changes.json, index.html, replication.md, ro-crate-metadata.json"
    )
    for said in (
        " of the reports of this release, identical to the byte",
        "the hashes were compared of",
    ):
        assert verify(desk) == Exit.OK
        assert f"{said}: {beside}".replace("of: ", "of ") in capsys.readouterr().out
        release.remove(desk.reports / AS_OF)  # with which it was compared


def test_a_feed_that_cannot_be_written_is_told_and_undoes_no_release(desk, capsys):
    (desk.reports / log.LOG).unlink()
    (desk.reports / log.LOG).mkdir()
    turn(desk)
    assert desk.work() == Exit.NOTICE
    assert "The page and the feed in reports could not be written" in capsys.readouterr().err
    assert desk.published.name == LATER


def test_a_release_is_proved_by_its_hashes_and_by_a_report_made_again(desk, capsys):
    before = desk.bytes()
    assert verify(desk) == Exit.OK
    out = capsys.readouterr().out
    assert "all 14 files match the manifest" in out
    assert (
        f"sha256 {publish.sha256(desk.published / 'manifest.json')}, which is in outcomes.jsonl"
        " beside" in out
    )
    assert "made again, identical to the byte: its 2 files and " in out
    assert "Not made again: 2 reports, of which only the hashes were compared." in out
    assert desk.bytes() == before
    assert desk.is_clear()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("verdicts.json", '"estimate": 4', '"estimate": 5'),
        ("01_first.ipynb", "1795564800", "1795564801"),
        ("index.html", "What is asked?", "What is seen?"),
        ("annex.pdf", "%PDF", "%PdF"),
        ("changes.json", AS_OF, LATER),
        ("note.txt", "", "slipped in"),
    ],
)
def test_what_was_altered_with_its_hash_is_found_when_the_release_is_made_again(
    desk, capsys, file, old, new
):
    (desk.reports / "outcomes.jsonl").unlink()
    altered = desk.published / file
    manifest = desk.published / "manifest.json"
    if altered.exists():
        text = altered.read_text()
    else:
        text = ""
    assert old in text
    altered.write_text(text.replace(old, new))
    publish.write_json(manifest, {**desk.manifest(), "files": release.file_hashes(desk.published)})
    assert verify(desk, "--again", "01_first") == Exit.FAILED
    assert f"{file}: made again " in (said := capsys.readouterr().out)
    assert said.count("it differs.") == 1


def test_a_report_that_comes_out_otherwise_is_named(desk, capsys):
    def other(notebook, page, **options):
        stub_render(notebook, page, **options)
        page.write_text(page.read_text() + "other")

    assert verify(desk, "--again", "02_second", render=other) == Exit.FAILED
    assert "02_second.pdf: made again for 02_second, it differs." in capsys.readouterr().out


def test_a_damaged_release_is_not_made_again(desk, capsys):
    (desk.published / "02_second.pdf").unlink()
    assert verify(desk) == Exit.FAILED
    out = capsys.readouterr().out
    assert f"{AS_OF}/02_second.pdf: missing" in out
    assert "made again" not in out


def test_a_checkout_of_other_data_or_notebooks_says_which_and_which_commit_to_take(desk, capsys):
    turn(desk)
    (desk.root / "data" / "figures.csv").write_text("year,value\n2021,2\n")
    assert verify(desk) == Exit.REFUSED
    out = capsys.readouterr().out
    assert "This checkout differs from the inputs of the release: data: figures.csv" in out
    assert "notebooks: 01_first" in out
    assert f"check out {desk.manifest()['commit'].split()[0]}" in out
    assert verify(desk, "--no-again") == Exit.OK


def test_what_is_no_release_or_no_report_is_refused_with_a_sentence(desk, capsys):
    assert desk.ask("verify", str(desk.root)) != Exit.OK
    assert "not a release" in capsys.readouterr().err
    assert verify(desk, "--again", "07") == Exit.REFUSED
    assert (
        "not in the release; choose from 01_first, 02_second, 00_brief" in capsys.readouterr().err
    )


def test_the_command_diff_tells_in_words_and_as_json(desk, capsys):
    turn(desk)
    assert desk.work() == Exit.OK
    capsys.readouterr()
    folders = [str(desk.reports / AS_OF), str(desk.reports / "latest")]
    assert desk.ask("diff", *folders) == Exit.OK
    out = capsys.readouterr().out
    assert "Words that moved\n  c1 in 01_first: word none, now Supported." in out
    assert "01_first: its notebook" in out
    assert desk.ask("diff", *folders, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["words"][0]["report"] == "01_first"


def test_the_command_prune_keeps_as_many_as_it_is_told(desk, capsys):
    assert desk.work(force=True) == Exit.OK
    assert desk.ask("prune", "--keep", "1") == Exit.OK
    assert f"{AS_OF}: removed" in capsys.readouterr().out
    assert release.names(desk.reports) == [LATER]
