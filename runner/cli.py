"""Command line of ``market-impact``, with one function per command."""

import errno
import json
import re
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from fewtreated.errors import DataError, DesignError
from typer import Argument, Option

from analysis import memory, parameters
from analysis.data import SHIPPED
from analysis.provenance import ROOT
from runner import Exit, ReportError, disk_full, kernels, release, say, schedule
from runner.waiting import counted

if TYPE_CHECKING:
    from analysis.study import Study

app = typer.Typer(
    name="market-impact",
    help="Make, verify and compare the reports, and inspect the data behind them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


LONGEST_ARGUMENT = 1000  # characters
HERE = ContextVar("HERE", default=ROOT)  # the folder of the project


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run a command, by default the one on the command line, and return its exit code."""
    try:
        if memory.limit() < memory.LEAST:
            raise MemoryError
        HERE.set(root)
        _refuse_arguments(arguments or sys.argv[1:])
        app(args=arguments, prog_name="market-impact")
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code
        return int(ended.code is not None)
    except (DesignError, DataError, ReportError) as error:
        say(f"error: {error}", sys.stderr)
        return getattr(error, "code", Exit.REFUSED)
    except (MemoryError, ImportError, RuntimeError, OSError) as error:
        if memory.is_lack(error):
            say(f"error: {memory.lacking(memory.needed(error))}", sys.stderr)
            return Exit.MEMORY
        if not isinstance(error, OSError):
            raise
        return _ended(error)
    return Exit.OK


def _ended(error: OSError) -> Exit:
    """Tell an error of the file system, and return the exit code."""
    what = f"{error}; published releases are untouched; fix the cause and run again"
    code = Exit.FAILED
    if disk_full(error):
        what = f"The disk is full ({error}); published releases are untouched; make room"
        what += " and run again"
        code = Exit.DISK_FULL
    elif error.errno == errno.ENAMETOOLONG:
        name = max(Path(str(error.filename)).parts, key=len)
        what = f"Cannot use a name of {len(name):,} characters ({name[:30]!r}...): files have"
        what += " shorter ones; shorten it"
        code = Exit.REFUSED
    say(f"error: {what}.", sys.stderr)
    return code


def _refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise DesignError for an argument that is empty, or too long to be meant."""
    for text in arguments:
        if re.fullmatch("(--[a-z-]+=)?", text):
            raise DesignError(
                f"Argument {text or repr('')} is empty; give it a value, or leave it out."
            )
        if len(text) > LONGEST_ARGUMENT:
            raise DesignError(
                f"Cannot use an argument of {len(text):,} characters ({text[:30]!r}...): at most"
                f" {LONGEST_ARGUMENT:,} are allowed; shorten it."
            )


Values = Annotated[
    list[str] | None,
    Option("-p", metavar="KEY=VALUE", help="Set a parameter; repeat -p for each one."),
]
FORMATS = ".csv, .csv.gz, .tsv, .parquet, .xlsx or .dta"
Panel = Annotated[
    Path | None, Option(metavar="FILE", help=f"A panel of your own instead of our data: {FORMATS}.")
]
Map = Annotated[
    Path | None, Option("--map", metavar="MAP.yml", help="Map for the columns of that panel.")
]
Folder = Annotated[
    Path, Argument(metavar="RELEASE", help="Folder of a release, such as reports/latest.")
]
Event = Annotated[
    str | None, Option(metavar="NAME", help=f"Event that the panel covers; default: {SHIPPED}.")
]

Engine = Annotated[
    str,
    Option(
        metavar="VARIABLE",
        help="Environment variable with the address of the database that has the table.",
    ),
]


@app.command("run")
def run(
    names: Annotated[
        list[str] | None,
        Argument(metavar="NAME", help="Names, numbers or words; default: all reports."),
    ] = None,
    due: Annotated[bool, Option("--due", help="Make only the reports that are due.")] = False,
    dry: Annotated[bool, Option("--dry-run", help="Only say what would be made, and why.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the outcome as one JSON object.")
    ] = False,
    as_of: Annotated[
        str | None, Option(metavar="DATE", help="As-of date, YYYY-MM-DD; default: today.")
    ] = None,
    out: Annotated[
        Path | None,
        Option(metavar="DIR", help="Folder of results; default: reports, or one of its own."),
    ] = None,
    jobs: Annotated[
        int | None, Option(min=1, metavar="N", help="Notebooks at a time; default: one per core.")
    ] = None,
    timeout: Annotated[
        float, Option(min=1, max=1e6, metavar="S", help="Seconds per notebook.")
    ] = kernels.TIMEOUT,
    force: Annotated[bool, Option("--force", help="Also make unchanged reports.")] = False,
    accept: Annotated[
        bool,
        Option(
            "--accept-changes", help="Publish parameters and data that differ from the last commit."
        ),
    ] = False,
    given: Values = None,
    panel: Panel = None,
    map_: Map = None,
    event: Event = None,
) -> None:
    """Make the reports that are out of date, and publish a release.

    The exit codes are listed in docs/night-shift.md.
    """
    from runner import scheduled
    from runner.request import Request

    if due and (names or panel is not None):
        raise DesignError(
            "Option --due applies to the whole schedule; drop it, or drop the names and --panel."
        )
    own = _own_panel(panel, map_, event)
    day = as_of or schedule.today()
    request = Request(day, names or (), _given(given), out, jobs, timeout, force, dry, own, accept)
    raise typer.Exit(scheduled.work(HERE.get(), request, due=due, as_json=as_json))


@app.command("verify")
def verify(
    folder: Folder,
    again: Annotated[
        list[str] | None, Option(metavar="NAME", help="Make it again; default: the quickest.")
    ] = None,
    all_: Annotated[bool, Option("--all", help="Make all reports again.")] = False,
    no_again: Annotated[bool, Option("--no-again", help="Check hashes only.")] = False,
    head: Annotated[
        str, Option(metavar="HASH", help="A head of the chain of releases that you kept elsewhere.")
    ] = "",
    signers: Annotated[
        Path | None, Option(metavar="FILE", help="Who may sign, as ssh-keygen reads it.")
    ] = None,
) -> None:
    """Check that a release is as it was published, make one report again, or more, and compare."""
    from runner import verify

    if bool(again) + all_ + no_again > 1:
        raise typer.BadParameter(
            "Cannot combine --again, --all and --no-again; choose one of them."
        )
    if all_:
        names = [*release.read(folder.resolve()).manifest.reports]
    else:
        names = again or []
    kept = verify.Kept(head, signers)
    raise typer.Exit(verify.prove(HERE.get(), folder, None if no_again else names, kept))


@app.command("diff")
def diff(
    old: Annotated[Path, Argument(metavar="OLD", help="Folder of a release.")],
    new: Annotated[Path, Argument(metavar="NEW", help="Folder of a later release.")],
    as_json: Annotated[bool, Option("--json", help="Print the changes as JSON.")] = False,
) -> None:
    """Show what changed between two releases, by how much and why."""
    from runner import diff

    changes = diff.between(*(release.read(folder.resolve()) for folder in (old, new)))
    if as_json:
        return say(json.dumps(changes.as_json(), ensure_ascii=False, indent=2))
    say(diff.summary_line(changes))
    for heading, lines in diff.headed_lines(changes):
        say("\n  ".join([f"\n{heading}", *lines]))
    say(
        f"\nNumbers in both releases: {changes.compared}; moved by less than the printed digits:"
        f" {changes.rounded}"
    )


@app.command("prune")
def prune(keep: Annotated[int, Option(min=1, metavar="N", help="Releases to keep.")]) -> None:
    """Remove the oldest releases, but never the latest."""
    from runner import chain, site

    with release.locked(folder := (HERE.get() / schedule.load(HERE.get()).publish).absolute()):
        chain.adopt(folder)
        for line in [*chain.accept_gone(folder), *site.prune(folder, keep)]:
            say(line)
        site.refresh(folder)


@app.command("list")
def list_() -> None:
    """List the reports in the schedule."""
    for job in schedule.read_jobs(HERE.get()):
        values = ", ".join(f"{name}={value}" for name, value in job.parameters.items())
        say(f"{job.name:34}  {job.notebook_name:28}  {values}".rstrip())


@app.command("params")
def params(name: Annotated[str, Argument(metavar="NAME", help="Report name or number.")]) -> None:
    """Show the parameters of a report."""
    every = schedule.read_jobs(HERE.get())
    jobs = [job for job in every if schedule.meant(every, name) in job.called]
    for job in schedule.settled(
        jobs, {}, schedule.today()
    ):  # the brief, which brings the others along, alone
        say(job.name)
        for key, field in parameters.parameter_model(job.notebook).model_fields.items():
            value = job.parameters[key]
            option = schedule.OPTIONS.get(key)
            why = ""
            if option:
                why = f"; option {option} sets it"
            elif value != field.default:
                why = f"; set in schedule.yml, {field.default!r} in the notebook"
            say(f"  {key} = {value!r}  ({field.title})  {field.description}{why}")


@app.command("map")
def map_(
    file: Annotated[Path, Argument(metavar="FILE", help=f"{FORMATS}, or a table.")],
    second: Annotated[
        Path | None, Argument(metavar="SECOND", help="A file with attributes, to be joined.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="MAP.yml", help="Write the map to this new file.")
    ] = None,
    event: Event = None,
    engine: Engine = "",
) -> None:
    """Propose a map for a panel file or a table, with questions to answer."""
    from analysis.panel.propose import propose

    if not engine:
        _say_memory(file, most=memory.BOUNDED)
    text = propose(file, second, engine=engine, event=event or SHIPPED)
    if out is None:
        return say(text.rstrip())
    _refuse_existing(out)
    out.write_text(text, encoding="utf-8")
    say(
        f"{out}: answer the lines that begin with `# ?`, replace each value `?`, then check the"
        " panel with the map"
    )


@app.command("panel")
def panel_(
    source: Annotated[list[str], Argument(metavar="SOURCE...", help=f"{FORMATS}, or a table.")],
    out: Annotated[Path, Option(metavar="FILE.parquet", help="Write the panel to this new file.")],
    map_: Map = None,
    event: Event = None,
    pieces: Annotated[
        int, Option(min=0, help="Firms are added up in so many pieces; default: by size.")
    ] = 0,
    sample: Annotated[
        int, Option(min=0, metavar="N", help="Sample so many firms of categories without closures.")
    ] = 0,
    engine: Engine = "",
) -> None:
    """Build a panel from a file of any size, and reconcile it with the file's rows."""
    from analysis.event import read_event
    from analysis.panel.read import build_panel

    _refuse_existing(out)
    of = read_event(event or SHIPPED)
    how: dict[str, Any] = {"map": map_, "home": of.home, "platforms": [*of.platforms]}
    if not engine:
        _say_memory(*map(Path, source), most=memory.BOUNDED)
    with counted("panel", 1) as count:
        count.begin("reading and checking the rows")
        how["begin"] = count.begin
        lines = build_panel(source, out, **how, pieces=pieces, sample=sample, engine=engine)
    say(lines.to_string(index=False, float_format="{:,.2f}".format, na_rep=""))


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise DesignError(f"Option --out {out}: the file already exists; choose another name.")
    if not out.parent.is_dir():
        raise DesignError(
            f"Option --out {out}: there is no folder {out.parent}; make it, or choose another one."
        )


@app.command("check")
def check(
    accept: Annotated[
        Path | None, Option(metavar="FILE", help="Record a change to this file as intended.")
    ] = None,
    given: Values = None,
    panel: Panel = None,
    map_: Map = None,
    event: Event = None,
    details: Annotated[bool, Option("--details", help="Also print all tables on a panel.")] = False,
) -> None:
    """Check every data file, or audit a panel of your own."""
    if files := _own_panel(panel, map_, event):
        if accept is not None:
            raise DesignError(
                f"Option --accept {accept} applies to files in data/; drop it or --panel."
            )
        return _audit(HERE.get(), files, f"{panel}", _given(given), details=details)
    if given:
        raise DesignError(f"Option -p {given[0]} needs a panel of your own; add --panel FILE.")
    from analysis import data

    accepted = ""
    folder = HERE.get() / "data"
    if accept is not None:
        card = data.accept(accept, vintage=schedule.today(), root=folder)
        accepted = card["path"]
        say(
            f"{accepted}: accepted as of {card['vintage']}, {card['bytes']:,} bytes,"
            f" {card['hash']}\n"
        )
    say(data.check_files(folder, accepted=accepted).to_string(index=False))


def _audit(
    root: Path, files: dict[str, str], panel_name: str, given: dict[str, str], *, details: bool
) -> None:
    """Print what can be estimated from a panel and, with details, its contents."""
    from analysis import study

    with counted("check", 3) as count:
        count.begin("reading the panel")
        opened = study.Study.open(schedule.asked(root, files, given, schedule.today()))
        count.begin("trying the estimates")
        _say_contents(opened, panel_name, details=details)
        count.begin("looking at the window, and trying closures of other firms")
        _say_estimable(opened, details=details)
    opened.design.sample(opened.panel)  # raises, with the values to write, if it does not fit
    if not details:
        say("\nAdd --details for what the panel holds, the firms compared and the grades.")


def _say_contents(opened: "Study", panel_name: str, *, details: bool) -> None:
    """Print what a panel can answer and, with details, what it contains."""
    from analysis import study

    panel = opened.panel
    say(f"{panel_name}: {opened.answer}\n")
    say(opened.paragraph)
    if details:
        tables = [
            *study.contents(panel),
            *study.sales_by_year(panel),
            *study.possible_windows(panel, opened.design),
        ]
        say(f"\n{study.tables_as_text(tables)}")


def _say_estimable(opened: "Study", *, details: bool) -> None:
    """Print the window of the estimates and, with details, what can be estimated in it."""
    from analysis import study

    nearest = opened.design.fitted(opened.panel)
    if nearest and nearest != opened.design:
        say(f"\nThe estimates are for the nearest window that fits: {nearest.given}")
    if details and nearest:
        say(f"\n{study.tables_as_text(study.estimable(opened.panel, nearest))}")


@app.command("uncited")
def uncited(folder: Folder) -> None:
    """List the public figures that no report in a release uses, and why."""
    from runner.uncited import NO_REASON, listed, uncited

    rows = uncited(release.read(folder.resolve()).folder, HERE.get() / "data")
    for line in listed(rows):
        say(line)
    unexplained = int((rows["reason"] == NO_REASON).sum())
    say(
        f"Rows of public figures that no report uses: {len(rows)}, {unexplained} of them without a"
        " reason."
    )


@app.command("purchases")
def purchases(
    file: Annotated[
        Path, Argument(metavar="FILE", help="amazon-purchases.csv, or a Parquet copy of it.")
    ],
    brands: Annotated[
        Path | None, Option(metavar="FILE", help="Product stores: parent_asin, store.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Write the tables to this new folder.")
    ] = None,
) -> None:
    """Count household purchases in a file."""
    import runpy

    program = runpy.run_path(str(ROOT / "data" / "households" / "count.py"))
    for line in program["run"](file, brands, out, root=HERE.get() / "data"):
        say(line)


@app.command("simulate")
def simulate(
    preset: Annotated[
        str, Option(metavar="NAME", help="Preset, such as mid_3k; an unknown name lists all.")
    ],
    seed: Annotated[int, Option(metavar="N", help="Random seed, a non-negative whole number.")],
    out: Annotated[Path, Option(metavar="DIR", help="Folder for the panel and its true effects.")],
    given: Values = None,
    event: Event = None,
) -> None:
    """Simulate a market, and write its panel and the true effects."""
    from market import export
    from market.parameters import from_text

    say(
        f"memory: about {memory.in_words(memory.MARKET)} needed,"
        f" {memory.in_words(memory.available())} available",
        sys.stderr,
    )
    with counted("simulate", 3) as count:
        values = from_text(_given(given))
        folder = export(preset, seed, out, values, event=event or SHIPPED, begin=count.begin)
    say(f"{folder}")


def _own_panel(panel: Path | None, map_: Path | None, event: str | None) -> dict[str, str] | None:
    if panel is not None:
        _say_memory(panel)
        return schedule.own_panel(panel, map_, event or SHIPPED)
    if alone := f"--map {map_}" if map_ else f"--event {event}" if event else "":
        raise DesignError(
            f"Option {alone} needs a panel of your own; add --panel FILE, or use -p event=NAME"
            " instead."
        )
    return None


def _say_memory(*files: Path, most: int = memory.UNLIMITED) -> None:
    """Print what the panels in files will take of memory, at `most`, and what there is."""
    there = memory.available()  # before libraries take their part
    from analysis.panel.opening import cells_about

    size = memory.of_cells(sum(map(cells_about, files)), most)
    say(
        f"memory: about {memory.in_words(size)} needed, {memory.in_words(there)} available",
        sys.stderr,
    )


def _given(pairs: Iterable[str] | None) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or name in values:
            if equals:
                fault = "is given twice"
            else:
                fault = "has no `=`"
            raise DesignError(
                f"Parameter {pair} {fault}; write -p NAME=VALUE once for each parameter."
            )
        values[name] = text
    return values
