"""The front desk: ``python -m analysis report``, ``list``, ``params``, ``check`` and ``simulate``."""

import argparse
import datetime
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import config
from analysis.errors import DataError, DesignError
from analysis.report import Exit, disk_full, publish, run, schedule
from analysis.report.schedule import OwnPanel, Paths

ROOT = Path(__file__).resolve().parent.parent

_EXITS = (
    "exit codes: 0 done; 2 the request or the data are refused: nothing was run, or one notebook found that these data "
    "cannot answer it and the others went on; 3 a notebook failed, died or took too long; 4 another run is at work; "
    "5 a PDF could not be made; 7 the disk is full; 130, 143 interrupted. Whatever happens, what was published before "
    "stays as it was."
)


def main(arguments: Sequence[str] | None = None, paths: Paths | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str
        Those of the command line if None.
    paths : Paths
        Those of this repository if None.

    Returns
    -------
    int
        The exit code, as `Exit` names it.
    """
    asked = _parser().parse_args(arguments)
    try:
        code = int(_COMMANDS[asked.command](asked, paths or Paths.under(ROOT)))
        sys.stdout.flush()
        return code
    except (DesignError, DataError) as error:
        return _refused(error, Exit.REFUSED)
    except publish.LockedError as error:
        return _refused(error, Exit.LOCKED)
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except OSError as error:
        if not disk_full(error):
            raise
        return _refused(
            f"The disk is full ({error}); what was published is untouched: make room, run again.",
            Exit.DISK_FULL,
        )


def _report(asked: argparse.Namespace, paths: Paths) -> int:
    return run.report(
        paths,
        as_of=asked.as_of or datetime.date.today().isoformat(),
        names=asked.names,
        given=_given(asked.parameters),
        out=asked.out,
        workers=asked.jobs,
        timeout=asked.timeout,
        force=asked.force,
        panel=_own_panel(asked),
    )


def _own_panel(asked: argparse.Namespace) -> OwnPanel | None:
    if asked.panel is not None:
        return OwnPanel(asked.panel, asked.map, asked.event or OwnPanel.event)
    for name in ("map", "event"):
        if value := getattr(asked, name):
            raise DesignError(
                f"Option --{name} {value}: it goes with a panel of your own; give --panel FILE too, or set the "
                "parameter event with -p."
            )
    return None


def _list(asked: argparse.Namespace, paths: Paths) -> int:
    for job in schedule.read(paths):
        given = ", ".join(f"{name}={value}" for name, value in job.parameters.items())
        print(f"{job.name:24}  {job.notebook.name:28}  {given}".rstrip())
    return Exit.OK


def _params(asked: argparse.Namespace, paths: Paths) -> int:
    for job in schedule.select(schedule.read(paths), [asked.name]):
        if asked.name in (job.name, job.number):  # the brief brings the others along
            print(job.name)
            for name, field in config.parameters(job.notebook).model_fields.items():
                print(f"  {name} = {field.default!r}  ({field.title})  {field.description}")
    return Exit.OK


def _check(asked: argparse.Namespace, paths: Paths) -> int:
    if own := _own_panel(asked):
        return _audit(own, asked)
    from analysis import facts

    if asked.accept is not None:
        facts.accept(asked.accept, vintage=asked.vintage or datetime.date.today().isoformat(), root=paths.data)
    checked = facts.check(root=paths.data)
    print(checked.to_string(index=False))
    return Exit.OK


def _audit(own: OwnPanel, asked: argparse.Namespace) -> int:
    """Print what a panel holds, then what a report could learn from it; no effect is shown."""
    if asked.accept is not None:
        raise DesignError(f"Option --accept {asked.accept}: it goes with files in data/; leave it or --panel out.")
    from analysis import inventory, subject
    from analysis.estimands.design import Design

    found = subject.take(own.parameters | {"conf": Design.level})
    print(f"{own.path}: {inventory.sentence(found.panel)}\n{found.line}\n")
    print(inventory.printed(inventory.inventory(found.panel)), flush=True)
    print("\n" + inventory.printed(inventory.reach(found.panel, found.design)))
    return Exit.OK


def _simulate(asked: argparse.Namespace, paths: Paths) -> int:
    from analysis.market.export import export
    from analysis.market.parameters import from_text

    print(export(asked.preset, asked.seed, asked.out, from_text(_given(asked.parameters))))
    return Exit.OK


_COMMANDS = {"report": _report, "list": _list, "params": _params, "check": _check, "simulate": _simulate}


def _given(pairs: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name in given:
            fault = "comes twice" if equals else "has no `=`"
            raise DesignError(f"Parameter {pair}: it {fault}; write -p NAME=VALUE once for each parameter.")
        given[name] = text
    return given


def _refused(error: object, code: Exit) -> Exit:
    print(f"error: {error}", file=sys.stderr)
    return code


def _positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _positive_seconds(text: str) -> float:
    number = float(text)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__.partition(":")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_report(commands.add_parser("report", help="make and publish reports", epilog=_EXITS))
    commands.add_parser("list", help="show the reports of the schedule")
    params = commands.add_parser("params", help="show the parameters of a report")
    params.add_argument("name", metavar="NAME", help="report name or number")
    check = commands.add_parser("check", help="validate every data file against its descriptor, or audit a panel")
    check.add_argument("--panel", type=Path, metavar="FILE", help="audit a panel of your own, CSV or Parquet, instead")
    check.add_argument("--map", type=Path, metavar="MAP.yml", help="what that panel calls its columns")
    check.add_argument("--event", metavar="NAME", help=f"the event of that panel ({OwnPanel.event})")
    check.add_argument("--accept", type=Path, metavar="FILE", help="first record a deliberate change of it")
    check.add_argument("--vintage", metavar="DATE", help="with --accept: date of the change (today)")
    simulate = commands.add_parser(
        "simulate",
        help="make a simulated market with its truth",
        epilog="python -m analysis.market prints how near the market is to published moments of Amazon's",
    )
    simulate.add_argument("--preset", required=True, metavar="NAME", help="such as mid_3k; a wrong one lists them")
    simulate.add_argument("--seed", required=True, type=int, metavar="N", help="whole number of at least 0")
    simulate.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for panel, truth and manifest")
    simulate.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="KEY=VALUE", help="set a parameter of the market"
    )
    return parser


def _add_report(report: argparse.ArgumentParser) -> None:
    report.add_argument("names", nargs="*", metavar="NAME", help="report names or numbers; none means all")
    report.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="KEY=VALUE", help="set a parameter, with --out"
    )
    report.add_argument(
        "--panel", type=Path, metavar="FILE", help="run on a panel of your own, CSV or Parquet; with --out"
    )
    report.add_argument("--map", type=Path, metavar="MAP.yml", help="what that panel calls its columns")
    report.add_argument("--event", metavar="NAME", help=f"the event of that panel ({OwnPanel.event})")
    report.add_argument("--as-of", metavar="DATE", help="date of knowledge, YYYY-MM-DD, not before the data (today)")
    report.add_argument("--out", type=Path, metavar="DIR", help="publish here (reports/)")
    report.add_argument("--jobs", type=_positive_int, metavar="N", help="notebooks at a time (cores)")
    report.add_argument(
        "--timeout",
        type=_positive_seconds,
        default=run.TIMEOUT,
        metavar="S",
        help=f"seconds for each notebook ({run.TIMEOUT:g})",
    )
    report.add_argument("--force", action="store_true", help="make also what is unchanged")


if __name__ == "__main__":
    sys.exit(main())
