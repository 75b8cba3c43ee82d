"""The ``mdplib`` command: solve a model, check theorems, reproduce experiments.

Exit codes: 0 done, 1 done but something failed (a cell, a theorem), 2 an error, 130 interrupted.
This module imports nothing heavy, so that ``mdplib --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

SCALES = ("smoke", "default", "paper")
EXECUTORS = ("serial", "loky", "dask")


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mdplib: error: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Examples
    --------
    >>> parser().parse_args(["solve", "FrozenLake-v1", "--gamma", "0.95"]).gamma
    0.95
    """
    top = _Parser(
        prog="mdplib", description="Certified solutions, checked theorems, reproducible figures."
    )
    top.add_argument("--debug", action="store_true", help="show the stack trace of an error")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_solve(commands)
    commands.add_parser("list", help="name the experiments, solvers, models and theorems")
    _add_check(commands)
    _add_reproduce(commands)
    report = commands.add_parser("report", help="rebuild the page of results")
    status = commands.add_parser("status", help="count finished, missing and failed cells")
    for command in (report, status):
        _add_results(command)
    for command in commands.choices.values():  # the option may also follow the subcommand
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return top


def _add_solve(commands: argparse._SubParsersAction) -> None:
    solve = commands.add_parser(
        "solve", help="solve a model and prove bounds on its value", description=_SOLVE
    )
    solve.add_argument(
        "model", help="Gymnasium id, name from mdplib list, or path of a model file (any format)"
    )
    solve.add_argument("--gamma", type=float, help="discount factor (Gymnasium: 0.99 by default)")
    solve.add_argument("--horizon", type=int, metavar="H", help="number of steps, if finite")
    solve.add_argument("--tol", type=float, default=1e-6, help="wanted gap (default: %(default)s)")
    solve.add_argument(
        "--rtol", type=float, help="without discount: wanted gap relative to the value, added"
    )
    ask = solve.add_mutually_exclusive_group()
    ask.add_argument("--reach", metavar="LABEL", help="probability of reaching the states LABEL")
    ask.add_argument("--until", metavar="LABEL", help="expected reward until the states LABEL")
    ask.add_argument("--average", action="store_true", help="average reward per step")
    solve.add_argument("--objective", choices=("max", "min"), default="max", help="(default: max)")
    solve.add_argument("--reward", metavar="NAME", help="which reward of the file")
    solve.add_argument("--method", default="auto", help="name of a solver (default: %(default)s)")
    solve.add_argument("--time-limit", type=float, metavar="S", help="seconds")
    solve.add_argument("--json", action="store_true", help="print everything as JSON")


_SOLVE = (
    "Print status, proven lower and upper bound at the initial law, gap and policy. "
    "Exit code 1 if the gap is not proven to be at most the tolerance."
)


def _add_check(commands: argparse._SubParsersAction) -> None:
    check = commands.add_parser("check", help="hold theorems against computed instances")
    check.add_argument(
        "ids", nargs="*", default=["all"], metavar="ID", help="all, group, paper, theorem"
    )
    check.add_argument("--scale", choices=SCALES, default="smoke", help="(default: %(default)s)")
    check.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    _add_results(check)


def _add_reproduce(commands: argparse._SubParsersAction) -> None:
    reproduce = commands.add_parser(
        "reproduce", help="compute the missing cells, draw the figures, write the report"
    )
    reproduce.add_argument("experiment", nargs="?", default="all", help="name, or all (default)")
    reproduce.add_argument("--scale", choices=SCALES, default="default", help="how much")
    reproduce.add_argument(
        "--executor",
        choices=EXECUTORS,
        help="where (default: in one process per core; at smoke scale in this one)",
    )
    reproduce.add_argument("--jobs", type=int, metavar="N", help="processes (default: all cores)")
    reproduce.add_argument("--address", help="Dask scheduler, such as tcp://host:8786")
    reproduce.add_argument("--dry-run", action="store_true", help="say what would be computed")
    _add_results(reproduce)


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--results", type=Path, default=Path("results"), help="folder (default: %(default)s)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        See the text of this module.
    """
    options = parser().parse_args(argv)
    from mdplib.errors import MdplibError

    try:
        code = import_module(f"experiments.commands.{options.command}").run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(
            "mdplib: interrupted; finished rows are kept, run the same command again to go on",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # the reader of a pipe went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        text = " ".join(str(error).split()) or "no message"
        if not isinstance(error, MdplibError | OSError):
            text = f"{type(error).__name__}: {text} (unexpected; --debug shows where)"
        print(f"mdplib: error: {text}", file=sys.stderr)
        return 2
