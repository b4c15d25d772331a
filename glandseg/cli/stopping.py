"""Signals that end a process, handled like Ctrl-C: the work is left in order first."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import typer

from glandseg.cli.console import warn

INTERRUPTED = 130  # exit code of typer and of shells for Ctrl-C
_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")


RESUME = "To resume, repeat the command"


@contextlib.contextmanager
def resumable(cure: str = f"{RESUME}.") -> Iterator[None]:
    """Turn a requested stop of a training in the block into a warning and the exit code of Ctrl-C.

    Args:
        cure: How to resume.
    """
    from glandseg.training.loop.stopping import TrainingStopped

    try:
        yield
    except TrainingStopped as stop:
        warn(f"{stop}. {cure}")
        raise typer.Exit(INTERRUPTED) from None


class Stopped(KeyboardInterrupt):
    """A signal that ends this process has arrived.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stop:
    """What stopped the process.

    Attributes:
        number: Number of the signal; None if none has arrived.
    """

    number: int | None = None


@contextlib.contextmanager
def take_signals() -> Iterator[Stop]:
    """Raise `Stopped` in the main thread when a signal arrives that would end the process."""
    stop, owner = Stop(), os.getpid()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends the process immediately
        if os.getpid() != owner:  # a fork has nothing to leave in order
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
