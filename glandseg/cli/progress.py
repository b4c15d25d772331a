"""Progress on stderr: a bar on a terminal, a line every 15 seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, cast

from glandseg.cli.console import escape
from glandseg.cli.streams import SafeStream

Advance = Callable[[int, int, str], None]  # done, total, note
LINE_SECONDS = 15.0


class Pace:
    """The rate of a count since it last restarted."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, done: int) -> None:
        self._first, self._last, self._started = done, done, time.monotonic()

    def measure(self, done: int) -> float:
        """Compute the units per second since the count began; a count that falls restarts."""
        if done < self._last:
            self._begin(done)
        self._last = done
        return (done - self._first) / max(time.monotonic() - self._started, 1e-9)


@contextlib.contextmanager
def show_progress(unit: str) -> Iterator[Advance]:
    """Yield a function that shows the progress with its rate and the time left.

    Args:
        unit: Unit of the count, in the plural.
    """
    if not sys.stderr.isatty():
        yield _print_lines(unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}", markup=False))
    stream = sys.stderr.pass_controls() if isinstance(sys.stderr, SafeStream) else sys.stderr
    with Progress(*columns, console=Console(file=cast(IO[str], stream)), transient=True) as bar:
        task, pace = bar.add_task("", total=None, note=""), Pace()

        def advance(done: int, total: int, note: str = "") -> None:
            said = f"{describe_pace(pace.measure(done), done, total, unit)} {note}"
            bar.update(task, completed=done, total=total, note=escape(said))

        yield advance


def describe_pace(rate: float, done: int, total: int, unit: str) -> str:
    """Write a rate, in units per second, and the time left."""
    left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
    return f"{rate:.1f} {unit}/s{left}"


def _print_lines(unit: str) -> Advance:
    pace, last = Pace(), time.monotonic()

    def advance(done: int, total: int, note: str = "") -> None:
        nonlocal last
        rate, now = pace.measure(done), time.monotonic()
        if now - last >= LINE_SECONDS and done:
            said = f"{done}/{total} {unit}, {describe_pace(rate, done, total, unit)} {note}"
            print(escape(said.rstrip()), file=sys.stderr, flush=True)  # noqa: T201
            last = now

    return advance
