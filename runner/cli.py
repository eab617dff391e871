"""The command line, ``market-impact``: run, verify, diff, prune, list, params, map, check, purchases, simulate."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import parameters
from analysis.errors import DataError, DesignError
from analysis.event import ON_RECORD
from analysis.provenance import ROOT
from runner import Exit, ReportError, disk_full, kernels, release, say, schedule, scheduled
from runner.run import Request

_EXITS = (
    "exit codes: 0 done; 2 the request or the data are refused: nothing was run, or one notebook found that these data "
    "cannot answer it and the others went on; 3 a notebook failed, died or took too long; 4 another run is at work; "
    "5 a PDF could not be made; 6 all is done, but a notice could not be sent; 7 the disk is full; 130, 143 "
    "interrupted. Whatever happens, releases stay as they are, and what a failed run has made lies in the folder draft."
)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Run one command, of the command line if no arguments are given, and return its exit code, as `Exit` names it."""
    asked = _parser().parse_args(arguments)
    try:
        code = int(asked.command(asked, root))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except KeyboardInterrupt:
        print("error: interrupted; what was published is untouched.", file=sys.stderr)
        return 128 + signal.SIGINT
    except (DesignError, DataError, ReportError) as error:
        say(f"error: {error}", sys.stderr)
        return getattr(error, "code", Exit.REFUSED)
    except OSError as error:
        if disk_full(error):
            said = f"The disk is full ({error}); what was published is untouched: make room, run again."
            print(f"error: {said}", file=sys.stderr)
            return Exit.DISK_FULL
        if asked.command is not _run:
            raise
        say(f"error: {error}; what was published is untouched: mend that and run again.", sys.stderr)
        return Exit.FAILED


def _run(asked: argparse.Namespace, root: Path) -> int:
    if asked.due and (asked.names or asked.panel is not None):
        raise DesignError("Option --due: it goes with the whole schedule; leave it, or names and --panel, out.")
    request = Request(
        as_of=asked.as_of or schedule.today(),
        names=asked.names,
        given=_given(asked.parameters),
        out=asked.out,
        workers=asked.jobs,
        timeout=asked.timeout,
        force=asked.force,
        panel=_own_panel(asked),
    )
    return scheduled.work(root, request, due=asked.due, as_json=asked.json)


def _verify(asked: argparse.Namespace, root: Path) -> int:
    from runner import verify

    return verify.prove(root, asked.release, None if asked.no_again else asked.again)


def _diff(asked: argparse.Namespace, root: Path) -> int:
    from runner import diff

    found = diff.between(*(release.read(folder.resolve()) for folder in (asked.old, asked.new)))
    if asked.json:
        print(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        return Exit.OK
    print(diff.line(found))
    for heading, lines in diff.sections(found):
        print("", heading, *(f"  {line}" for line in lines), sep="\n")
    print(f"\nNumbers that both have: {found.compared}; moved by less than is written: {found.rounded}")
    return Exit.OK


def _prune(asked: argparse.Namespace, root: Path) -> int:
    from runner import verify

    plan = schedule.load(root)
    keep = asked.keep or plan.keep
    if keep is None:
        raise DesignError(
            "How many releases to keep: it was not said; give --keep N, or write keep: N in schedule.yml."
        )
    out = (asked.out or root / plan.publish).absolute()
    with release.locked(out):
        for line in verify.prune(out, keep):
            say(line)
    return Exit.OK


def _own_panel(asked: argparse.Namespace) -> dict[str, str] | None:
    if asked.panel is not None:
        return schedule.own_panel(asked.panel, asked.map, asked.event or ON_RECORD)
    for name in ("map", "event"):
        if value := getattr(asked, name):
            raise DesignError(
                f"Option --{name} {value}: it goes with a panel of your own; give --panel FILE too, or set the "
                "parameter event with -p."
            )
    return None


def _list(asked: argparse.Namespace, root: Path) -> int:
    for job in schedule.read(root):
        given = ", ".join(f"{name}={value}" for name, value in job.parameters.items())
        print(f"{job.name:24}  {job.notebook.name:28}  {given}".rstrip())
    return Exit.OK


def _params(asked: argparse.Namespace, root: Path) -> int:
    """Show what a scheduled report is given, and where that is not what stands in its notebook."""
    for job in schedule.select(schedule.read(root), [asked.name]):
        if asked.name in job.called:  # the brief brings the others along
            print(job.name)
            fields = parameters.declared(job.notebook).model_fields
            for name, value in schedule.settled([job], {}, schedule.today())[0].parameters.items():
                field, said = fields[name], ""
                if name in schedule.OPTIONS:
                    said = f"; option {schedule.OPTIONS[name]} sets it"
                elif value != field.default:
                    said = f"; by schedule.yml, the notebook has {field.default!r}"
                print(f"  {name} = {value!r}  ({field.title})  {field.description}{said}")
    return Exit.OK


def _check(asked: argparse.Namespace, root: Path) -> int:
    """Validate the data; or print what a panel holds, then what a report could learn from it, without any effect."""
    if own := _own_panel(asked):
        if asked.accept is not None:
            raise DesignError(f"Option --accept {asked.accept}: it goes with files in data/; leave it or --panel out.")
        from analysis import inventory, study

        today = schedule.today()
        found = study.Study.open(schedule.asked(root, own, _given(asked.parameters), today))
        panel, design = found.panel, found.design
        say("\n".join([f"{asked.panel}: {inventory.sentence(panel)}", *found.lines, found.speaks, ""]))
        held = [*inventory.inventory(panel), *inventory.by_year(panel), *inventory.window(panel, design)]
        say(inventory.printed(held))
        if nearest := design.fitted(panel):
            other = "" if nearest == design else f"What follows is of the window that fits: {nearest.given}\n\n"
            say(f"\n{other}{inventory.printed(inventory.estimable(panel, nearest))}")
        design.sample(panel)  # refused where it does not fit, with what to write
        return Exit.OK
    if asked.parameters:
        raise DesignError(f"Option -p {asked.parameters[0]}: it goes with a panel of your own; give --panel FILE too.")
    from analysis import data

    accepted = ""
    if asked.accept is not None:
        vintage = asked.vintage or schedule.today()
        card = data.accept(asked.accept, vintage=vintage, root=root / "data")
        accepted = card["path"]
        say(f"{accepted}: accepted as of {vintage}, {card['bytes']:,} bytes, {card['hash']}\n")
    print(data.check(root / "data", accepted=accepted).to_string(index=False))
    return Exit.OK


def _map(asked: argparse.Namespace, root: Path) -> int:
    """Print the map that a file seems to need, or write it; a file that is there already stays as it is."""
    from analysis.panel.propose import propose

    text = propose(asked.file)
    if asked.out is None:
        print(text, end="")
        return Exit.OK
    try:
        with asked.out.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise DesignError(f"Option --out {asked.out}: there is such a file, which stays; give another name.") from None
    print(
        f"{asked.out}: answer its lines that begin with `# ?`, write over each value `?`, then check the panel with it"
    )
    return Exit.OK


def _purchases(asked: argparse.Namespace, root: Path) -> int:
    """Count a file of purchases, say what is in it, and write the counts where a folder is given."""
    from analysis.households import purchases

    if asked.out is not None:
        purchases.refuse_used(asked.out)
    counts = purchases.count(asked.file, asked.brands, root=root / "data")
    say("\n".join(counts.said))
    for name, table in counts.tables.items():
        say(f"{name}: {len(table):,} rows")
    if asked.out is not None:
        say(str(counts.write(asked.out)))
    return Exit.OK


def _simulate(asked: argparse.Namespace, root: Path) -> int:
    from market import export
    from market.parameters import from_text

    print(export(asked.preset, asked.seed, asked.out, from_text(_given(asked.parameters))))
    return Exit.OK


def _given(pairs: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name in given:
            fault = "comes twice" if equals else "has no `=`"
            raise DesignError(f"Parameter {pair}: it {fault}; write -p NAME=VALUE once for each parameter.")
        given[name] = text
    return given


def _positive_int(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _positive_seconds(text: str) -> float:
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="market-impact", description="The command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(does: object, name: str, about: str, epilog: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, epilog=epilog)
        added.set_defaults(command=does)
        return added

    run_ = command(_run, "run", "make what is not up to date and publish a release", _EXITS)
    run_.add_argument("names", nargs="*", metavar="NAME", help="report names or numbers; none means all")
    run_.add_argument("--due", action="store_true", help="what is due by the schedule, and nothing if nothing is")
    run_.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    run_.add_argument("--as-of", metavar="DATE", help="date of knowledge, YYYY-MM-DD, not before the data (today)")
    run_.add_argument("--out", type=Path, metavar="DIR", help="publish here (what the schedule says, or reports/)")
    run_.add_argument("--jobs", type=_positive_int, metavar="N", help="notebooks at a time (cores)")
    seconds = f"seconds for each notebook ({kernels.TIMEOUT:g})"
    run_.add_argument("--timeout", type=_positive_seconds, default=kernels.TIMEOUT, metavar="S", help=seconds)
    run_.add_argument("--force", action="store_true", help="make also what is unchanged")
    verify = command(_verify, "verify", "prove by hashes that a release is what was published, and make a report again")
    verify.add_argument("release", type=Path, metavar="RELEASE", help="its folder, such as reports/latest")
    which = verify.add_mutually_exclusive_group()
    which.add_argument("--again", default="", metavar="NAME", help="the report that is made again (the quickest)")
    which.add_argument("--no-again", action="store_true", help="hashes only")
    diff = command(_diff, "diff", "show what moved between two releases, by how much and why")
    diff.add_argument("old", type=Path, metavar="OLD", help="folder of a release")
    diff.add_argument("new", type=Path, metavar="NEW", help="folder of a later one")
    diff.add_argument("--json", action="store_true", help="as JSON")
    prune = command(_prune, "prune", "remove the oldest releases, never what latest shows nor the last that verifies")
    prune.add_argument("--keep", type=_positive_int, metavar="N", help="how many stay (keep of schedule.yml)")
    prune.add_argument("--out", type=Path, metavar="DIR", help="of this folder (reports/)")
    command(_list, "list", "show the reports of the schedule")
    params = command(_params, "params", "show the parameters of a report")
    params.add_argument("name", metavar="NAME", help="report name or number")
    map_ = command(_map, "map", "look at a file of a panel and propose its map, with questions")
    map_.add_argument("file", type=Path, metavar="FILE", help="csv, csv.gz, tsv, parquet, xlsx or dta")
    map_.add_argument("--out", type=Path, metavar="MAP.yml", help="write the map here, a new file (print it)")
    check = command(_check, "check", "validate every data file against its descriptor, or audit a panel")
    check.add_argument("--accept", type=Path, metavar="FILE", help="first record a deliberate change of it")
    check.add_argument("--vintage", metavar="DATE", help="with --accept: date of the change (today)")
    purchases = command(_purchases, "purchases", "count purchases of households by month, category and origin of brand")
    purchases.add_argument("file", type=Path, metavar="FILE", help="amazon-purchases.csv, or the same as Parquet")
    purchases.add_argument("--brands", type=Path, metavar="FILE", help="products and stores: parent_asin, store")
    purchases.add_argument("--out", type=Path, metavar="DIR", help="write the tables to this new folder (count only)")
    moments = "python benchmarks/solve.py --moments prints how near the market is to published moments of Amazon's"
    simulate = command(_simulate, "simulate", "make a simulated market with its truth", moments)
    simulate.add_argument("--preset", required=True, metavar="NAME", help="such as mid_3k; a wrong one lists them")
    simulate.add_argument("--seed", required=True, type=int, metavar="N", help="whole number of at least 0")
    simulate.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for panel and truth")
    for added, about in (
        (run_, "a parameter, with --out"),
        (check, "a parameter of the reports on the panel"),
        (simulate, "a parameter of the market"),
    ):
        added.add_argument(
            "-p", dest="parameters", action="append", default=[], metavar="KEY=VALUE", help=f"set {about}"
        )
    for added, about in (
        (run_, "run on a panel of your own; with --out"),
        (check, "audit a panel of your own instead"),
    ):
        added.add_argument(
            "--panel", type=Path, metavar="FILE", help=f"{about}: .csv, .csv.gz, .tsv, .parquet, .xlsx or .dta"
        )
        added.add_argument("--map", type=Path, metavar="MAP.yml", help="what that panel calls its columns")
        added.add_argument("--event", metavar="NAME", help=f"the event of that panel ({ON_RECORD})")
    return parser
