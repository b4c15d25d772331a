"""The trace file of `--profile`, which may replace an older trace only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.cli.console import say
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.core.trace import Trace


def check_profile(path: Path) -> None:
    """Check, before any work, that a trace can be written to a path.

    Raises:
        BadInputError: The folder is missing, or the file exists and is not a trace.
    """
    from glandseg.core.trace import BEGINNING

    if not path.parent.is_dir():
        raise BadInputError(f"--profile: {path.parent} is not a folder. Create it, or give another file.")
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise BadInputError(f"--profile: {path} is not a regular file. Give another name.")
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(BEGINNING)) not in (b"", BEGINNING.encode()):
                raise BadInputError(
                    f"--profile: {path} exists and is not a trace of glandseg. Give another name."
                )


def write_profile(trace: Trace, path: Path) -> None:
    """Write the trace, replacing a file or link of its name, and print the time of each stage."""
    from glandseg.core.atomic import explain_disk_errors, write_whole
    from glandseg.core.trace import tabulate

    with explain_disk_errors(path.parent), write_whole(path) as part:
        trace.write(part)
    for line in tabulate(trace):
        say(line)
    say(f"trace: {path}; open it at ui.perfetto.dev, which keeps it on this machine")


@contextmanager
def traced(profile: Path | None) -> Iterator[Trace]:
    """Yield a trace, and write it to a file in the end if one is given."""
    from glandseg.core.trace import Trace

    if profile is not None:
        check_profile(profile)
    trace = Trace(keeps_spans=profile is not None)
    try:
        yield trace
    finally:
        if profile is not None:
            write_profile(trace, profile)
