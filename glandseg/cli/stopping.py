"""Signals that end a process, taken as Ctrl-C is: the work is put in order first."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stop:
    """What stopped the process.

    Attributes:
        number: Of the signal; None where none came.
    """

    number: int | None = None


@contextlib.contextmanager
def take_signals() -> Iterator[Stop]:
    """Raise `Stopped` in the main thread when one of the signals arrives that end a process unasked."""
    stop, owner = Stop(), os.getpid()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process as it is
        if os.getpid() != owner:  # forked off: it has nothing to put in order
            os.kill(os.getpid(), number)
            return
        stop.number = number
        raise Stopped(number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield stop
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
