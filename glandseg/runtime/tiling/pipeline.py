"""Windows read, run, stored and finished at the same time, so that only the network is waited for.

One after the other, decoding would leave a GPU idle, and the GPU the decoders. Readers run some batches
ahead, `slots` calls of the network overlap, one thread finishes rows in order, and others follow it. Queues
are bounded, so that memory does not depend on the slide. A window is stored before the rows that need it are
finished: a killed process loses at most the batches under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.trace import Trace
from glandseg.core.workers import Workers, await_result
from glandseg.model.card import CORE, GLAND
from glandseg.runtime.tiling.order import Step
from glandseg.runtime.tiling.window_store import Key, WindowStore

Read = Callable[[Key], "NDArray[np.uint8] | None"]
Infer = Callable[["NDArray[np.uint8]"], "NDArray[np.uint8]"]
_BATCHES_AHEAD = 3  # read before the network asks for them
_FINISHES_AHEAD = 2  # steps whose rows may wait to be finished


@dataclass(frozen=True)
class _Batch:
    """Windows for one call of the network, and the steps that end with them."""

    keys: list[Key]
    windows: list[NDArray[np.uint8]]
    ended: list[Step]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Runs windows through the network, in threads that are bounded in what they hold.

    Attributes:
        read: Called with (key); returns a window, (320, 320, 3) uint8 RGB, or None with nothing to run.
        infer: Network; called from `slots` threads.
        finish: Called with (rows that are final), from one thread, in order.
        follow: Each called with (rows that are finished), from a thread of its own, in order.
        store: Finished windows, which are not run again.
        keeps_core: Store the network's p(core) too.
        batch: Windows per call of the network.
        slots: Number of calls of the network that may overlap.
        readers: Number of threads that read.
        trace: Time spent by stage.
        stall_s: Seconds that a read or a call of the network may take.
    """

    read: Read
    infer: Infer
    finish: Callable[[int], None]
    follow: Sequence[Callable[[int], None]] = ()
    store: WindowStore
    keeps_core: bool = False
    batch: int
    slots: int
    readers: int
    trace: Trace
    stall_s: float

    def run(self, steps: Iterable[Step], count: Callable[[int], None]) -> None:
        """Run all windows of all steps.

        Args:
            steps: Steps in order; a barrier's windows are stored before the next step is taken.
            count: Called with (windows done), those found in the store included.

        Raises:
            StalledError: A read or the network does not answer.
        """
        # Entered last, left first: the readers end before the network, the network before the finishing.
        with (
            ExitStack() as opened,
            Workers("finish", 1) as finishers,
            Workers("network", self.slots) as networks,
            Workers("read", self.readers) as readers,
        ):
            followers = [opened.enter_context(Workers("follow", 1)) for _ in self.follow]
            running: deque[tuple[_Batch, Future[NDArray[np.uint8]]]] = deque()
            finishing = _Finishing(
                lambda rows: finishers.submit(self._finish, rows, followers),
                lambda future: await_result(future, "finishing", self.stall_s),
            )
            for batch in self._gather(self._read_ahead(steps, readers, count)):
                running.append((batch, networks.submit(self._compute, batch)))
                is_barrier = any(step.is_barrier for step in batch.ended)
                while running and (is_barrier or len(running) > self.slots):
                    self._keep(*running.popleft(), finishing, count)
            while running:
                self._keep(*running.popleft(), finishing, count)
            finishing.wait(0)

    def _read_ahead(
        self, steps: Iterable[Step], readers: Workers, count: Callable[[int], None]
    ) -> Iterator[tuple[Key, NDArray[np.uint8]] | Step]:
        """Read windows some way ahead; a step follows the last of its windows."""
        reading: deque[tuple[Key, Future[NDArray[np.uint8] | None]] | Step] = deque()
        for step in steps:
            for key in step.windows:
                if key in self.store:
                    count(1)
                    continue
                reading.append((key, readers.submit(self._read, key)))
                if len(reading) > _BATCHES_AHEAD * self.batch:
                    yield from self._take(reading)
            reading.append(step)
            while step.is_barrier and reading:
                yield from self._take(reading)
        while reading:
            yield from self._take(reading)

    def _take(
        self, reading: deque[tuple[Key, Future[NDArray[np.uint8] | None]] | Step]
    ) -> Iterator[tuple[Key, NDArray[np.uint8]] | Step]:
        item = reading.popleft()
        if isinstance(item, Step):
            yield item
        else:
            window = await_result(item[1], "reading the slide", self.stall_s)
            if window is not None:
                yield item[0], window

    def _gather(self, items: Iterable[tuple[Key, NDArray[np.uint8]] | Step]) -> Iterator[_Batch]:
        """Gather windows into batches; a barrier's last batch is not filled up with the next step's."""
        batch = _Batch([], [], [])
        for item in items:
            if isinstance(item, Step):
                batch.ended.append(item)
            else:
                batch.keys.append(item[0])
                batch.windows.append(item[1])
            if len(batch.keys) == self.batch or (batch.ended and batch.ended[-1].is_barrier):
                yield batch
                batch = _Batch([], [], [])
        if batch.ended or batch.keys:
            yield batch

    def _keep(
        self,
        batch: _Batch,
        computed: Future[NDArray[np.uint8]],
        finishing: _Finishing,
        count: Callable[[int], None],
    ) -> None:
        """Store a batch once it is computed, and submit the rows that it makes final."""
        probabilities = await_result(computed, "the network", self.stall_s)
        with self.trace.span("keep"):
            for key, (gland, *core) in zip(batch.keys, probabilities, strict=True):
                for values in core:
                    self.store.append(key.core, values)
                self.store.append(key, gland)  # the last, for with it the window counts as finished
        count(len(batch.keys))
        for step in batch.ended:
            finishing.begin(step.final_px)
        finishing.wait(_FINISHES_AHEAD)

    def _read(self, key: Key) -> NDArray[np.uint8] | None:
        with self.trace.span("read"):
            return self.read(key)

    def _compute(self, batch: _Batch) -> NDArray[np.uint8]:
        if not batch.keys:
            return np.empty((0, 0, 0, 0), np.uint8)
        windows = np.stack(batch.windows)
        with self.trace.span("network"):
            return self.infer(windows)[:, GLAND : CORE + 1 if self.keeps_core else CORE]

    def _finish(self, rows: int, followers: list[Workers]) -> list[Future[None]]:
        """Finish rows, and let the followers begin with them."""
        with self.trace.span("finish"):
            self.finish(rows)
        return [
            worker.submit(self._follow, follow, rows)
            for worker, follow in zip(followers, self.follow, strict=True)
        ]

    def _follow(self, follow: Callable[[int], None], rows: int) -> None:
        with self.trace.span("follow"):
            follow(rows)


class _Finishing:
    """Rows that are being finished, and then followed, in order.

    Args:
        submit: Called with (rows); schedules their finishing, which schedules what follows.
        await_done: Called with (future); waits for its result.
    """

    def __init__(
        self,
        submit: Callable[[int], Future[list[Future[None]]]],
        await_done: Callable[[Future[Any]], Any],
    ) -> None:
        self._submit, self._await_done = submit, await_done
        self._finishing: deque[Future[list[Future[None]]]] = deque()
        self._following: deque[list[Future[None]]] = deque()

    def begin(self, rows: int) -> None:
        """Schedule rows."""
        self._finishing.append(self._submit(rows))

    def wait(self, most: int) -> None:
        """Wait until at most `most` calls of each kind are left."""
        while len(self._finishing) > most:
            self._following.append(self._await_done(self._finishing.popleft()))
        while len(self._following) > most:
            for future in self._following.popleft():
                self._await_done(future)
