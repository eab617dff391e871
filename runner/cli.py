"""The command line, ``market-impact``: each function that is registered here is one of its commands."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Context, Option

from analysis import parameters
from analysis.errors import DataError, DesignError
from analysis.event import ON_RECORD
from analysis.provenance import ROOT
from runner import Exit, ReportError, disk_full, kernels, release, say, schedule

app = typer.Typer(
    name="market-impact",
    help="Make, prove and compare the reports, and look at the data that they are made of.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run the command of the arguments, by default those of the command line, and return its exit code."""
    try:
        app(args=arguments, obj=root, prog_name="market-impact")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (DesignError, DataError, ReportError) as error:
        say(f"error: {error}", sys.stderr)
        return getattr(error, "code", Exit.REFUSED)
    except OSError as error:
        full = disk_full(error)
        what, remedy = (f"The disk is full ({error})", "make room") if full else (str(error), "mend that")
        say(f"error: {what}; what was published is untouched: {remedy} and run again.", sys.stderr)
        return Exit.DISK_FULL if full else Exit.FAILED
    return Exit.OK


Values = Annotated[list[str] | None, Option("-p", metavar="KEY=VALUE", help="Set a parameter; give -p once for each.")]
FORMATS = ".csv, .csv.gz, .tsv, .parquet, .xlsx or .dta"
Panel = Annotated[Path | None, Option(metavar="FILE", help=f"A panel of your own instead of our data: {FORMATS}.")]
Map = Annotated[Path | None, Option("--map", metavar="MAP.yml", help="The map of that panel, which names its columns.")]
Folder = Annotated[Path, Argument(metavar="RELEASE", help="Its folder, such as reports/latest.")]
Event = Annotated[str | None, Option(metavar="NAME", help=f"The event of that panel ({ON_RECORD}).")]


@app.command("run")
def run(
    context: Context,
    names: Annotated[list[str] | None, Argument(metavar="NAME", help="Names or numbers; all reports if none.")] = None,
    due: Annotated[bool, Option("--due", help="Make only what the schedule says is due.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the outcome as one JSON object.")] = False,
    as_of: Annotated[str | None, Option(metavar="DATE", help="Date of knowledge, YYYY-MM-DD; today if none.")] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="Folder to publish in; the schedule's if none.")] = None,
    jobs: Annotated[int | None, Option(min=1, metavar="N", help="Notebooks at a time; one a core if none.")] = None,
    timeout: Annotated[float, Option(min=1, max=1e6, metavar="S", help="Seconds for a notebook.")] = kernels.TIMEOUT,
    force: Annotated[bool, Option("--force", help="Make unchanged reports too.")] = False,
    given: Values = None,
    panel: Panel = None,
    map_: Map = None,
    event: Event = None,
) -> None:
    """Make what is not up to date and publish a release; docs/night-shift.md lists the exit codes."""
    from runner import scheduled
    from runner.run import Request

    if due and (names or panel is not None):
        raise DesignError("Option --due: it goes with the whole schedule; leave it, or names and --panel, out.")
    own, day = _own_panel(panel, map_, event), as_of or schedule.today()
    request = Request(day, names or (), _given(given), out, jobs, timeout, force, own)
    raise typer.Exit(scheduled.work(context.obj, request, due=due, as_json=as_json))


@app.command("verify")
def verify(
    context: Context,
    folder: Folder,
    again: Annotated[str | None, Option(metavar="NAME", help="The report to make again; the quickest if none.")] = None,
    no_again: Annotated[bool, Option("--no-again", help="Hashes only.")] = False,
) -> None:
    """Prove that a release is what was published."""
    from runner import verify

    if no_again and again is not None:
        raise typer.BadParameter("--no-again goes without --again.")
    raise typer.Exit(verify.prove(context.obj, folder, None if no_again else again or ""))


@app.command("diff")
def diff(
    old: Annotated[Path, Argument(metavar="OLD", help="Folder of a release.")],
    new: Annotated[Path, Argument(metavar="NEW", help="Folder of a later one.")],
    as_json: Annotated[bool, Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what moved between two releases, by how much and why."""
    from runner import diff

    changes = diff.between(*(release.read(folder.resolve()) for folder in (old, new)))
    if as_json:
        return say(json.dumps(changes.as_json(), ensure_ascii=False, indent=2))
    say(diff.line(changes))
    for heading, lines in diff.sections(changes):
        say("\n  ".join([f"\n{heading}", *lines]))
    say(f"\nNumbers that both have: {changes.compared}; moved by less than is written: {changes.rounded}")


@app.command("prune")
def prune(
    context: Context,
    keep: Annotated[int | None, Option(min=1, metavar="N", help="How many; the schedule's if none.")] = None,
) -> None:
    """Remove the oldest releases, but not the latest."""
    from runner import verify

    plan = schedule.load(context.obj)
    if not (most := keep or plan.keep):
        raise DesignError(
            "Cannot prune: how many releases shall stay? Give --keep N, or write keep: N in schedule.yml."
        )
    with release.locked(folder := (context.obj / plan.publish).absolute()):
        for line in verify.prune(folder, most):
            say(line)


@app.command("list")
def list_(context: Context) -> None:
    """Show the reports of the schedule."""
    for job in schedule.read(context.obj):
        values = ", ".join(f"{name}={value}" for name, value in job.parameters.items())
        say(f"{job.name:24}  {job.notebook.name:28}  {values}".rstrip())


@app.command("params")
def params(context: Context, name: Annotated[str, Argument(metavar="NAME", help="Report name or number.")]) -> None:
    """Show the parameters of a report."""
    jobs = [job for job in schedule.select(schedule.read(context.obj), [name]) if name in job.called]
    for job in schedule.settled(jobs, {}, schedule.today()):  # the brief, which brings the others along, alone
        say(job.name)
        for key, field in parameters.declared(job.notebook).model_fields.items():
            value, option = job.parameters[key], schedule.OPTIONS.get(key)
            other = f"; by schedule.yml, the notebook has {field.default!r}" if value != field.default else ""
            why = f"; option {option} sets it" if option else other
            say(f"  {key} = {value!r}  ({field.title})  {field.description}{why}")


@app.command("map")
def map_(
    file: Annotated[Path, Argument(metavar="FILE", help=FORMATS)],
    out: Annotated[Path | None, Option(metavar="MAP.yml", help="Write the map to this new file.")] = None,
) -> None:
    """Propose the map of a panel's file, with questions."""
    from analysis.panel.propose import propose

    text = propose(file)
    if out is None:
        return say(text.rstrip())
    if out.exists():
        raise DesignError(f"Option --out {out}: the file exists and stays as it is; give another name.")
    out.write_text(text, encoding="utf-8")
    say(f"{out}: answer its lines that begin with `# ?`, write over each value `?`, then check the panel with it")


@app.command("check")
def check(
    context: Context,
    accept: Annotated[Path | None, Option(metavar="FILE", help="Record a change of this file as meant.")] = None,
    given: Values = None,
    panel: Panel = None,
    map_: Map = None,
    event: Event = None,
) -> None:
    """Check every data file, or audit a panel of your own."""
    if files := _own_panel(panel, map_, event):
        if accept is not None:
            raise DesignError(f"Option --accept {accept}: it goes with files in data/; leave it or --panel out.")
        return _audit(context.obj, files, f"{panel}", _given(given))
    if given:
        raise DesignError(f"Option -p {given[0]}: it goes with a panel of your own; give --panel FILE too.")
    from analysis import data

    accepted, folder = "", context.obj / "data"
    if accept is not None:
        card = data.accept(accept, vintage=schedule.today(), root=folder)
        accepted = card["path"]
        say(f"{accepted}: accepted as of {card['vintage']}, {card['bytes']:,} bytes, {card['hash']}\n")
    say(data.check(folder, accepted=accepted).to_string(index=False))


def _audit(root: Path, files: dict[str, str], panel_name: str, given: dict[str, str]) -> None:
    """Print the contents of a panel, then what a report could estimate from it."""
    from analysis import inventory, study

    opened = study.Study.open(schedule.asked(root, files, given, schedule.today()))
    panel, design = opened.panel, opened.design
    say("\n".join([f"{panel_name}: {inventory.sentence(panel)}", *opened.lines, opened.speaks, ""]))
    say(inventory.printed([*inventory.inventory(panel), *inventory.by_year(panel), *inventory.window(panel, design)]))
    if nearest := design.fitted(panel):
        other = "" if nearest == design else f"What follows is of the window that fits: {nearest.given}\n\n"
        say(f"\n{other}{inventory.printed(inventory.estimable(panel, nearest))}")
    design.sample(panel)  # refused where it does not fit, with what to write


@app.command("uncited")
def uncited(context: Context, folder: Folder) -> None:
    """List public figures whose source no report of a release cites, so that none is forgotten."""
    from runner.exports import uncited

    lines = uncited(release.read(folder.resolve()).folder, context.obj / "data")
    for line in lines:
        say(line)
    say(f"Public figures whose source no report cites: {len(lines)}.")


@app.command("purchases")
def purchases(
    context: Context,
    file: Annotated[Path, Argument(metavar="FILE", help="amazon-purchases.csv, or the same as Parquet.")],
    brands: Annotated[Path | None, Option(metavar="FILE", help="Products and stores: parent_asin, store.")] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="Write the tables to this new folder.")] = None,
) -> None:
    """Count the purchases of households in a file."""
    import runpy

    program = runpy.run_path(str(ROOT / "data" / "households" / "count.py"))
    for line in program["run"](file, brands, out, root=context.obj / "data"):
        say(line)


@app.command("simulate")
def simulate(
    preset: Annotated[str, Option(metavar="NAME", help="Such as mid_3k; a wrong one lists them.")],
    seed: Annotated[int, Option(metavar="N", help="Whole number of at least 0.")],
    out: Annotated[Path, Option(metavar="DIR", help="Folder for panel and truth.")],
    given: Values = None,
) -> None:
    """Make a simulated market with its truth."""
    from market import export
    from market.parameters import from_text

    say(f"{export(preset, seed, out, from_text(_given(given)))}")


def _own_panel(panel: Path | None, map_: Path | None, event: str | None) -> dict[str, str] | None:
    if panel is not None:
        return schedule.own_panel(panel, map_, event or ON_RECORD)
    if alone := f"--map {map_}" if map_ else f"--event {event}" if event else "":
        raise DesignError(f"Option {alone}: it goes with a panel of your own; give --panel FILE too, or -p event=NAME.")
    return None


def _given(pairs: Iterable[str] | None) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or name in values:
            fault = "comes twice" if equals else "has no `=`"
            raise DesignError(f"Parameter {pair}: it {fault}; write -p NAME=VALUE once for each parameter.")
        values[name] = text
    return values
