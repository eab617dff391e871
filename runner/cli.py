"""The command line, ``market-impact``: each function that is registered here is one of its commands."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Context, Option

from analysis import parameters
from analysis.errors import DataError, DesignError
from analysis.event import ON_RECORD
from analysis.provenance import ROOT
from runner import Exit, ReportError, disk_full, kernels, release, say, schedule

_EXITS = (
    "exit codes: 0 done; 2 the request or the data are refused: nothing was run, or one notebook found that these data "
    "cannot answer it and the others went on; 3 a notebook failed, died or took too long; 4 another run is at work; "
    "5 a PDF could not be made; 6 all is done, but a notice could not be sent; 7 the disk is full; 130, 143 "
    "interrupted. Whatever happens, releases stay as they are, and what a failed run has made lies in the folder draft."
)
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
    return Exit.OK


def _command(name: str, epilog: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a command whose result or error sets the exit code of the process."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def ended(**options: Any) -> None:
            try:
                code = function(**options) or Exit.OK
                sys.stdout.flush()
            except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = Exit.OK
            except KeyboardInterrupt:
                print("error: interrupted; what was published is untouched.", file=sys.stderr)
                code = 128 + signal.SIGINT
            except (DesignError, DataError, ReportError) as error:
                say(f"error: {error}", sys.stderr)
                code = getattr(error, "code", Exit.REFUSED)
            except OSError as error:
                full = disk_full(error)
                code = Exit.DISK_FULL if full else Exit.FAILED
                what, remedy = (f"The disk is full ({error})", "make room") if full else (str(error), "mend that")
                say(f"error: {what}; what was published is untouched: {remedy} and run again.", sys.stderr)
            raise typer.Exit(code)

        return app.command(name, epilog=epilog)(ended)

    return register


Values = Annotated[list[str] | None, Option("-p", metavar="KEY=VALUE", help="Set a parameter; give -p once for each.")]
FORMATS = ".csv, .csv.gz, .tsv, .parquet, .xlsx or .dta"
Panel = Annotated[Path | None, Option(metavar="FILE", help=f"A panel of your own instead of our data: {FORMATS}.")]
Map = Annotated[Path | None, Option("--map", metavar="MAP.yml", help="The map of that panel, which names its columns.")]
Event = Annotated[str | None, Option(metavar="NAME", help=f"The event of that panel ({ON_RECORD}).")]


@_command("run", _EXITS)
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
) -> int:
    """Make what is not up to date and publish a release."""
    from runner import scheduled
    from runner.run import Request

    if due and (names or panel is not None):
        raise DesignError("Option --due: it goes with the whole schedule; leave it, or names and --panel, out.")
    request = Request(
        as_of=as_of or schedule.today(),
        names=names or (),
        given=_given(given),
        out=out,
        workers=jobs,
        timeout=timeout,
        force=force,
        panel=_own_panel(panel, map_, event),
    )
    return scheduled.work(context.obj, request, due=due, as_json=as_json)


@_command("verify")
def verify(
    context: Context,
    folder: Annotated[Path, Argument(metavar="RELEASE", help="Its folder, such as reports/latest.")],
    again: Annotated[str | None, Option(metavar="NAME", help="The report to make again; the quickest if none.")] = None,
    no_again: Annotated[bool, Option("--no-again", help="Hashes only.")] = False,
) -> int:
    """Prove that a release is what was published."""
    from runner import verify

    if no_again and again is not None:
        raise typer.BadParameter("--no-again goes without --again.")
    return verify.prove(context.obj, folder, None if no_again else again or "")


@_command("diff")
def diff(
    old: Annotated[Path, Argument(metavar="OLD", help="Folder of a release.")],
    new: Annotated[Path, Argument(metavar="NEW", help="Folder of a later one.")],
    as_json: Annotated[bool, Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what moved between two releases, by how much and why."""
    from runner import diff

    changes = diff.between(*(release.read(folder.resolve()) for folder in (old, new)))
    if as_json:
        return print(json.dumps(changes.as_json(), ensure_ascii=False, indent=2))
    print(diff.line(changes))
    for heading, lines in diff.sections(changes):
        print("", heading, *(f"  {line}" for line in lines), sep="\n")
    print(f"\nNumbers that both have: {changes.compared}; moved by less than is written: {changes.rounded}")


@_command("prune")
def prune(
    context: Context,
    keep: Annotated[int | None, Option(min=1, metavar="N", help="How many to keep; the schedule's if none.")] = None,
    out: Annotated[Path | None, Option(metavar="DIR", help="Folder of the releases; the schedule's if none.")] = None,
) -> None:
    """Remove the oldest releases, but not the latest."""
    from runner import verify

    plan = schedule.load(context.obj)
    most = keep or plan.keep
    if most is None:
        raise DesignError(
            "Cannot prune: nothing says how many releases to keep; give --keep N, or write keep: N in schedule.yml."
        )
    folder = (out or context.obj / plan.publish).absolute()
    with release.locked(folder):
        for line in verify.prune(folder, most):
            say(line)


@_command("list")
def list_(context: Context) -> None:
    """Show the reports of the schedule."""
    for job in schedule.read(context.obj):
        values = ", ".join(f"{name}={value}" for name, value in job.parameters.items())
        print(f"{job.name:24}  {job.notebook.name:28}  {values}".rstrip())


@_command("params")
def params(context: Context, name: Annotated[str, Argument(metavar="NAME", help="Report name or number.")]) -> None:
    """Show the parameters of a report."""
    jobs = [job for job in schedule.select(schedule.read(context.obj), [name]) if name in job.called]
    for job in schedule.settled(jobs, {}, schedule.today()):  # the brief, which brings the others along, alone
        print(job.name)
        for key, field in parameters.declared(job.notebook).model_fields.items():
            value, option = job.parameters[key], schedule.OPTIONS.get(key)
            other = f"; by schedule.yml, the notebook has {field.default!r}" if value != field.default else ""
            why = f"; option {option} sets it" if option else other
            print(f"  {key} = {value!r}  ({field.title})  {field.description}{why}")


@_command("map")
def map_(
    file: Annotated[Path, Argument(metavar="FILE", help=FORMATS)],
    out: Annotated[Path | None, Option(metavar="MAP.yml", help="Write the map to this new file.")] = None,
) -> None:
    """Propose the map of a panel's file, with questions."""
    from analysis.panel.propose import propose

    text = propose(file)
    if out is None:
        return print(text, end="")
    if out.exists():
        raise DesignError(f"Option --out {out}: the file exists and stays as it is; give another name.")
    out.write_text(text, encoding="utf-8")
    print(f"{out}: answer its lines that begin with `# ?`, write over each value `?`, then check the panel with it")


@_command("check")
def check(
    context: Context,
    accept: Annotated[Path | None, Option(metavar="FILE", help="Record a change of this file as meant.")] = None,
    vintage: Annotated[str | None, Option(metavar="DATE", help="Date of that change; today if none.")] = None,
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
        card = data.accept(accept, vintage=vintage or schedule.today(), root=folder)
        accepted = card["path"]
        say(f"{accepted}: accepted as of {card['vintage']}, {card['bytes']:,} bytes, {card['hash']}\n")
    print(data.check(folder, accepted=accepted).to_string(index=False))


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


@_command("uncited")
def uncited(
    context: Context,
    folder: Annotated[Path, Argument(metavar="RELEASE", help="Its folder, such as reports/latest.")],
) -> None:
    """List public figures whose source no report of a release cites, so that none is forgotten."""
    from runner.exports import uncited

    lines = uncited(release.read(folder.resolve()).folder, context.obj / "data")
    for line in lines:
        say(line)
    say(f"Public figures whose source no report cites: {len(lines)}.")


@_command("purchases")
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


@_command("simulate", "python benchmarks/solve.py --moments compares this market with published figures of Amazon's.")
def simulate(
    preset: Annotated[str, Option(metavar="NAME", help="Such as mid_3k; a wrong one lists them.")],
    seed: Annotated[int, Option(metavar="N", help="Whole number of at least 0.")],
    out: Annotated[Path, Option(metavar="DIR", help="Folder for panel and truth.")],
    given: Values = None,
) -> None:
    """Make a simulated market with its truth."""
    from market import export
    from market.parameters import from_text

    print(export(preset, seed, out, from_text(_given(given))))


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
