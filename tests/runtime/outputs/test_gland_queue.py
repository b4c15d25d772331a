"""Outputs written side by side: one that fails ends them all, and none waits for ever."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from shapely import box

from glandseg.runtime.glands.store import Glands, GlandStore
from glandseg.runtime.outputs import write
from glandseg.runtime.outputs.gland_queue import CHUNK, GlandQueue, MeasuredGland, StoppedError
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.output import Output
from glandseg.runtime.outputs.write import OutputPaths, write_outputs
from tests.runtime.outputs.conftest import MakeFound

MANY = 1000  # glands, more than queues hold


@pytest.fixture
def glands(tmp_path: Path) -> Iterator[Glands]:
    with contextlib.closing(GlandStore(tmp_path / "store")) as store:
        for top in range(MANY):
            store.add((top, 0), (top, 0), box(0, top, 10, top + 1), (1.0, 0.0))
        yield store.finish()


class Writer:
    """Writes numbers, and fails at one of them, or when it is opened or closed."""

    def __init__(self, fails_at: int | str | None = None) -> None:
        self.fails_at = fails_at
        self.numbers: list[int] = []
        self.threads: set[int] = set()
        self.ended = self.completed = False

    @contextlib.contextmanager
    def __call__(self, path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
        self.fail("open")
        try:
            yield lambda gland, _: self.add(gland.number)
            self.fail("close")
            warn(f"{len(self.numbers)} written")
            self.completed = True
        finally:
            self.ended = True

    def add(self, number: int) -> None:
        self.fail(number)
        self.numbers.append(number)
        self.threads.add(threading.get_ident())

    def fail(self, now: int | str) -> None:
        if now == self.fails_at:
            raise OSError(28, "No space left on device")


def use(monkeypatch: pytest.MonkeyPatch, *writers: Writer) -> tuple[str, ...]:
    known = {f"w{i}": Output(f".w{i}", writer) for i, writer in enumerate(writers)}
    monkeypatch.setattr(write, "WRITERS", known)
    return tuple(known)


def test_every_output_gets_every_gland_in_its_own_thread(
    glands: Glands, tmp_path: Path, make_found: MakeFound, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = Writer(), Writer()
    paths = OutputPaths(tmp_path, "a", use(monkeypatch, *writers))
    said = write_outputs(make_found(glands), paths)
    assert said == [f"{MANY} written"] * 2
    for writer in writers:
        assert writer.numbers == list(range(1, MANY + 1))
    assert len(writers[0].threads | writers[1].threads) == 2


@pytest.mark.parametrize("fails_at", ["open", 1, 500, MANY, "close"])
def test_one_that_fails_ends_them_all(
    glands: Glands,
    tmp_path: Path,
    make_found: MakeFound,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int | str,
) -> None:
    whole, torn = Writer(), Writer(fails_at)
    paths = OutputPaths(tmp_path, "a", use(monkeypatch, torn, whole))
    with pytest.raises(OSError, match="No space left"):
        write_outputs(make_found(glands), paths)
    assert not torn.completed
    assert whole.ended


def test_a_stopped_run_completes_no_output(
    glands: Glands, tmp_path: Path, make_found: MakeFound, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer()
    paths = OutputPaths(tmp_path, "a", use(monkeypatch, writer))
    found = make_found(glands)

    put = GlandQueue.put

    def stop_later(queue: GlandQueue, chunk: Sequence[MeasuredGland]) -> None:
        if chunk[0][0].number > 5 * CHUNK:  # more than a queue holds, so the output has begun
            raise KeyboardInterrupt
        put(queue, chunk)

    monkeypatch.setattr(GlandQueue, "put", stop_later)
    with pytest.raises(KeyboardInterrupt):
        write_outputs(found, paths)
    assert writer.ended
    assert not writer.completed


def test_a_closed_queue_holds_nobody_up() -> None:
    queue = GlandQueue()
    queue.close()
    for _ in range(20):
        queue.put([])
    queue.stop()
    with pytest.raises(StoppedError):
        next(iter(queue))
