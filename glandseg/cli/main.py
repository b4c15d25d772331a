"""The `glandseg` command: its subcommands, and one line for every error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from glandseg import RESEARCH_USE, __version__
from glandseg.cli.adapt import adapt
from glandseg.cli.check import check
from glandseg.cli.compare import compare
from glandseg.cli.console import print_error, say, warn
from glandseg.cli.cut import cut
from glandseg.cli.demo import demo
from glandseg.cli.doctor import doctor
from glandseg.cli.evaluate import evaluate
from glandseg.cli.export import export
from glandseg.cli.infer import infer
from glandseg.cli.inspect import inspect
from glandseg.cli.stopping import INTERRUPTED, take_signals
from glandseg.cli.streams import guard_streams
from glandseg.cli.train import train
from glandseg.cli.verify import verify
from glandseg.cli.view import view
from glandseg.cli.watch import watch
from glandseg.core.errors import EnvironmentLacksError

SIGNALLED = 128  # shells add the number of the signal that ended a process

app = typer.Typer(
    name="glandseg",
    help=f"Finds glands in H&E whole-slide images. {RESEARCH_USE}",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(cut)
app.command()(train)
app.command()(export)
app.command()(verify)
app.command()(infer)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(watch)
app.command()(view)
app.command()(check)
app.command()(evaluate)
app.command()(adapt)
app.command()(compare)
app.command()(demo)
app.command()(inspect)
app.command()(doctor)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        say(f"glandseg {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def set_up(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error occurred.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options of every command; print the help where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 not all well, 2 bad input, 3 environment, 4 internal.

    After a signal the exit code is the one that shells report: 130 for Ctrl-C, 143 for SIGTERM.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with guard_streams() as out:
        code = run(given)
        out.flush()
        if out.loss is not None:
            warn(
                f"error: stdout: cannot be written ({out.loss}). The printed text is lost, the files are not."
            )
            code = code or EnvironmentLacksError.exit_code
    sys.exit(code)


def run(given: list[str]) -> int:
    """Run the command line and return its exit code."""
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    words = [word for word in options if word != "--debug"] + given[len(options) :]
    with take_signals() as stop:
        try:
            code = app(args=words, standalone_mode=False) or 0
        except Exception as error:
            if debug:
                raise
            code = print_error(error, words)
        except KeyboardInterrupt:
            code = INTERRUPTED
    if code == INTERRUPTED:
        warn("stopped")
    return int(code if stop.number is None else SIGNALLED + stop.number)
