"""The progress of a build, and a way to stop it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

Advance = Callable[[int, int, str], None]  # done, total, note
PERCENT = 100


class Phases:
    """Nested phases as one percentage, which never falls."""

    def __init__(self) -> None:
        self._phases: dict[str, list[Any]] = {}  # by name: parent, steps, steps done
        self.percent = 0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase inside another."""
        self._phases[name] = [parent, max(steps, 1), 0]

    def step(self, name: str, step: int) -> None:
        """End a step of a phase, counted from 0."""
        if name in self._phases:
            self._phases[name][2] = min(step + 1, self._phases[name][1])
            roots = [key for key, phase in self._phases.items() if phase[0] not in self._phases]
            self.percent = max(self.percent, int(PERCENT * self._measure(roots[0])))

    def finish(self, name: str) -> None:
        """End a phase."""
        self._phases.pop(name, None)

    def _measure(self, name: str) -> float:
        _, steps, done = self._phases[name]
        inner = (self._measure(key) for key, phase in self._phases.items() if phase[0] == name)
        return float(min(done + max(inner, default=0.0), steps) / steps)


def open_progress(module: Any, advance: Advance) -> Any:
    """Return a progress monitor that stops the build once its `stop` is set or `advance` raises.

    An exception through TensorRT would end the process, so what `advance` raises is kept in `error`.

    Args:
        module: TensorRT.
        advance: Called with (percent done, 100, phase) where one of them changed.
    """

    class Progress(module.IProgressMonitor):  # type: ignore[misc]
        """Progress monitor that reports changes and can stop the build."""

        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.stop = threading.Event()
            self.error: BaseException | None = None
            self._phases, self._lock = Phases(), threading.Lock()
            self._reported: tuple[int, str] | None = None

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            """Begin a phase."""
            with self._lock:
                self._phases.start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            """Report the progress; return False to stop the build."""
            try:
                with self._lock:
                    self._phases.step(name, step)
                    self._report(self._phases.percent, name)
            except BaseException as error:
                self.error = error
                self.stop.set()
            return not self.stop.is_set()

        def _report(self, percent: int, name: str) -> None:
            if self._reported != (percent, name):
                self._reported = percent, name
                advance(percent, PERCENT, name)

        def phase_finish(self, name: str) -> None:
            """End a phase."""
            with self._lock:
                self._phases.finish(name)

    return Progress()


@contextlib.contextmanager
def interrupts_noted(stop: threading.Event) -> Iterator[None]:
    """Delay Ctrl-C until the block ends, for it must not be raised inside TensorRT's callbacks.

    Raises:
        KeyboardInterrupt: if it was pressed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = threading.Event()

    def note(number: int, frame: Any) -> None:
        pressed.set()
        stop.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed.is_set():
            raise KeyboardInterrupt
