"""A process that runs slides for this one, so that several run at a time and none can end the others."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import CohortJob, Listener, Outcome, open_slide_runner
from glandseg.cohort.slide_state import FAILED, read_slide_state, write_slide_state
from glandseg.core.callbacks import Say
from glandseg.core.errors import EnvironmentLacksError, GlandsegError

_STOPPED = (-signal.SIGTERM, -9)  # exit codes of a process that the system or a person ended
_END_S = 20.0  # for a worker to end


class WorkerProcess:
    """Runs slides in a process of its own, which is started again if a slide ends it.

    Args:
        job: What to do with each slide.
    """

    def __init__(self, job: CohortJob) -> None:
        self._job, self._is_stopped = job, False
        self._start()

    def wait_ready(self, say: Say) -> None:
        """Wait until the worker has opened the model; call `say` with what it says.

        Raises:
            GlandsegError: It cannot open the model.
            EnvironmentLacksError: It ends.
        """
        while True:
            try:
                kind, *values = self._receive()
            except OSError as error:
                raise EnvironmentLacksError(
                    "a worker ended while it opened the model, perhaps because memory ran out. "
                    "Give fewer --workers."
                ) from error
            if kind == "say":
                say(*values)
            elif kind == "ready":
                return
            else:
                raise values[0]

    def run(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Run a slide unless it is settled or another process works on it."""
        try:
            self._connection.send(slide)
            while True:
                kind, *values = self._receive()
                if kind == "end":
                    outcome: Outcome = values[0]
                    return outcome
                getattr(listener, kind)(*values)
        except OSError:
            return self._replace(slide, listener)

    def stop(self) -> None:
        """End the process; what it has finished of a slide is kept."""
        self._is_stopped = True
        self._end()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # libraries with threads do not survive a fork
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, self._job), name="glandseg worker")
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self._connection.recv()
        except EOFError:
            raise BrokenPipeError("the worker has ended") from None
        return message

    def _replace(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Count the slide as failed, and start a new process for the next one."""
        self._process.join(_END_S)
        self._end()
        error, began = _explain_end(self._process.exitcode), read_slide_state(slide)
        if self._is_stopped:
            return Outcome(slide=slide, state=began, is_new=False)
        if began is None:
            raise error
        state = replace(began, state=FAILED, exit_code=error.exit_code, reason=str(error))
        write_slide_state(slide, state)
        listener.fail(slide.path.name, state.reason)
        self._start()
        self.wait_ready(lambda text: None)
        return Outcome(slide=slide, state=state, is_new=True)


@contextlib.contextmanager
def start_workers(jobs: Sequence[CohortJob], say: Say) -> Iterator[list[WorkerProcess]]:
    """Start a worker for each job, and end them with the block.

    Raises:
        GlandsegError: One cannot open the model.
    """
    with ExitStack() as opened:
        workers = []
        for job in jobs:
            worker = WorkerProcess(job)
            opened.callback(worker.stop)
            workers.append(worker)
        for number, worker in enumerate(workers):
            worker.wait_ready(say if number == 0 else lambda text: None)
        yield workers


class _Sender:
    """A listener at the other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def warn(self, slide: str, text: str) -> None:
        self._connection.send(("warn", slide, text))

    def fail(self, slide: str, reason: str) -> None:
        self._connection.send(("fail", slide, reason))

    def advance(self, slide: str, done: int, total: int) -> None:
        self._connection.send(("advance", slide, done, total))


def _serve(connection: Connection, job: CohortJob) -> None:
    """Run the slides that arrive until the connection closes; Ctrl-C is for the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        try:
            opened = ExitStack()
            runner = opened.enter_context(open_slide_runner(job, lambda text: connection.send(("say", text))))
        except Exception as error:
            connection.send(("refuse", _make_sendable(error)))
            return
        with opened:
            connection.send(("ready",))
            while True:
                connection.send(("end", runner.run(connection.recv(), _Sender(connection))))


def _make_sendable(error: Exception) -> GlandsegError:
    """Return an error that pickles: its kind and its message."""
    kind = EnvironmentLacksError if getattr(error, "exit_code", 4) == 3 else GlandsegError
    return kind(str(error) or type(error).__name__)


def _explain_end(exitcode: int | None) -> GlandsegError:
    if exitcode in _STOPPED:
        return EnvironmentLacksError(
            "its process was killed, perhaps because memory ran out. Run it again with fewer --workers."
        )
    return GlandsegError(
        f"its process crashed (exit code {exitcode}): the file may be damaged. Export it again."
    )
