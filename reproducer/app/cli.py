"""The command `reproduce`.

Bad input ends with one line on standard error and exit status 2, before long work.
"""

from __future__ import annotations

import logging
import signal
import sys

import typer

from reproducer.app.commands.compute import book, plan, run
from reproducer.app.commands.fit import bench, text
from reproducer.app.commands.report import claims, confirm, diff, status
from reproducer.app.commands.ship import merge, pack, verify, warm_start
from reproducer.errors import ReproducerError
from reproducer.interrupts import Stopped, stop_on_signals

app = typer.Typer(
    help="Fit proto-tokens, run the experiments of two papers, build the book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# In the order in which --help shows them.
COMMANDS = (
    *(run, plan, book, status, claims, diff, confirm),
    *(pack, merge, verify, warm_start, text, bench),
)
for command in COMMANDS:
    app.command()(command)


def _told(stop: Stopped) -> str:
    """What is said of a command that a signal ended: what is stored, and how to go on."""
    from reproducer.results.store import Store

    store = Store()
    word = "interrupted" if stop.code == 128 + signal.SIGINT else "terminated"
    try:
        stored = f"{len(store)} results are stored in {store.path}"
    except ReproducerError:
        stored = "what is finished is stored"
    return f"{word}: {stored}; the same command goes on from there"


def main() -> None:
    """Entry point: runs the command, turns expected errors into one line and status 2.

    A command that a signal ends says what is stored; its status is 130 after Ctrl-C, 143 after
    SIGTERM.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s")
    stop_on_signals()
    try:
        app()
    except ReproducerError as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("error: out of memory; what is finished is stored", file=sys.stderr)
        sys.exit(2)
    except Stopped as stop:
        print(_told(stop), file=sys.stderr)
        sys.exit(stop.code)
