"""How a user ends a fit early without losing a step: Ctrl-C, SIGTERM, or a file named STOP."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

STOP = "STOP"


class TrainingStopped(Exception):  # noqa: N818 - asked for, so no error
    """A fit ended on request; all that it did is saved, and the same call goes on with it."""


class StopRequest:
    """Knows whether a stop was asked for; a file that asked is removed by `obey`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / STOP
        self._signalled = False

    def __bool__(self) -> bool:
        """Tell whether a stop was asked for."""
        return self._signalled or self._path.exists()

    def obey(self) -> None:
        """Take the request as done, so that the next call is not stopped by it."""
        self._path.unlink(missing_ok=True)

    def take(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; a second one ends the process as it always does."""
        self._signalled = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextlib.contextmanager
def listen_for_stop(folder: Path) -> Iterator[StopRequest]:
    """Take signals as requests to stop while inside; in another than the main thread, the file alone."""
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
