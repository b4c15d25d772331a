"""Progress of a thumbnail as lines: most slides need none, and a slow drive needs many."""

from __future__ import annotations

import time
from collections.abc import Callable

LINE_S = 15.0


def report_thumbnail(
    say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int], None]:
    """Return a function to call with (blocks read, blocks in all), which reports every 15 s.

    Args:
        say: Called with a line.
        clock: Called without arguments; returns seconds.
    """
    last = clock()

    def advance(done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= LINE_S and done < total:
            say(f"thumbnail: {done / total:.0%} of the slide read")
            last = clock()

    return advance
