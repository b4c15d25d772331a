"""Stop a fit early without losing a step: Ctrl-C, SIGTERM, or a file named STOP."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

STOP = "STOP"


class TrainingStopped(Exception):  # noqa: N818 - requested, so no error
    """A fit ended on request; its state is saved, and the same call resumes it."""


class StopRequest:
    """Whether a stop was requested, by signal or by a file, which `obey` removes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STOP
        self._signalled = False

    def __bool__(self) -> bool:
        """Return whether a stop was requested."""
        return self._signalled or self._path.exists()

    def obey(self) -> None:
        """Remove the file, so that it does not stop the next call."""
        self._path.unlink(missing_ok=True)

    def take(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal; restore its default, so that a second one ends the process."""
        self._signalled = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextlib.contextmanager
def listen_for_stop(folder: Path) -> Iterator[StopRequest]:
    """Treat signals as requests to stop inside the block; outside the main thread, only the file counts."""
    request = StopRequest(folder)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, request.take) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
