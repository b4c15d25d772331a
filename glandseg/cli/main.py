"""The `glandseg` command: its subcommands, and one line for whatever goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from glandseg import RESEARCH_USE, __version__
from glandseg.cli.adapt import adapt
from glandseg.cli.cut import cut
from glandseg.cli.demo import demo
from glandseg.cli.doctor import doctor
from glandseg.cli.evaluate import evaluate
from glandseg.cli.export import export
from glandseg.cli.infer import infer
from glandseg.cli.inspect import inspect
from glandseg.cli.telling import tell
from glandseg.cli.train import train
from glandseg.cli.verify import verify

INTERRUPTED = 130  # what typer makes of Ctrl-C

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
app.command()(evaluate)
app.command()(adapt)
app.command()(demo)
app.command()(inspect)
app.command()(doctor)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"glandseg {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def set_up(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that every command has; without a command, say which there are."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 some slides failed, 2 bad input, 3 environment, 4 internal."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        code = app(args=[word for word in given if word != "--debug"], standalone_mode=False)
    except Exception as error:
        if debug:
            raise
        code = tell(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        typer.echo("stopped", err=True)
    sys.exit(code or 0)
