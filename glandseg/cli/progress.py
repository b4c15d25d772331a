"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Advance = Callable[[int, int, str], None]  # done, total, what else to say
LINE_SECONDS = 15.0


@contextlib.contextmanager
def show_progress(unit: str) -> Iterator[Advance]:
    """Give a function that is told how far the work is, and show it with rate and time left.

    Args:
        unit: of what is counted, in the plural.
    """
    if not sys.stderr.isatty():
        yield _print_lines(unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} {task.fields[note]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task, started = bar.add_task("", total=None, rate="", note=""), time.monotonic()

        def advance(done: int, total: int, note: str = "") -> None:
            rate = f"{done / max(time.monotonic() - started, 1e-9):.1f} {unit}/s"
            bar.update(task, completed=done, total=total, rate=rate, note=note)

        yield advance


def _print_lines(unit: str) -> Advance:
    started = last = time.monotonic()

    def advance(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS and done:
            left = (now - started) / done * (total - done)
            print(f"{done}/{total} {unit}, {left:.0f} s left {note}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201
            last = now

    return advance
