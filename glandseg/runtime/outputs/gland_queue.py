"""The glands of a slide on their way to one output, which is written in a thread of its own.

Geometry, drawing and compression release Python's lock, so outputs are written side by side, and one that
waits for the drive holds up no other.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Sequence

from glandseg.runtime.glands.measurements import Measurements
from glandseg.runtime.glands.store import Gland

CHUNK = 64  # glands put together
_AHEAD = 4  # chunks that wait for the output at most
_TICK_S = 0.5  # between looks at the other side, when Windows too notices Ctrl-C

MeasuredGland = tuple[Gland, Measurements]


class StoppedError(Exception):
    """The glands end before the last one: the run failed elsewhere, or was stopped."""


class GlandQueue:
    """Glands put by one thread and got by another, in order, a bounded number ahead."""

    def __init__(self) -> None:
        self._chunks: queue.Queue[Sequence[MeasuredGland]] = queue.Queue(_AHEAD)
        self._stopped = self._closed = False

    def put(self, chunk: Sequence[MeasuredGland]) -> None:
        """Put some glands, an empty chunk after the last; a closed queue drops them."""
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._chunks.put(chunk, timeout=_TICK_S)
                return

    def __iter__(self) -> Iterator[MeasuredGland]:
        """Yield the glands.

        Raises:
            StoppedError: They end before the last one.
        """
        while chunk := self._get():
            yield from chunk

    def close(self) -> None:
        """Get no more glands; `put` then waits no longer."""
        self._closed = True

    def stop(self) -> None:
        """End the glands for an output that still waits."""
        self._stopped = True

    def _get(self) -> Sequence[MeasuredGland]:
        while not self._stopped:
            with contextlib.suppress(queue.Empty):
                return self._chunks.get(timeout=_TICK_S)
        raise StoppedError
