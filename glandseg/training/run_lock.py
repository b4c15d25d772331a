"""One process in a run folder at a time: two would mix their steps, logs and weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from glandseg.core.atomic import explain_disk_errors
from glandseg.core.errors import EnvironmentLacksError

LOCK = ".lock"


@contextlib.contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Hold a run folder until the block ends; a killed process holds nothing.

    The lock file stays: removing it could part two processes that wait for it.

    Args:
        folder: Run folder; it is made.

    Raises:
        EnvironmentLacksError: If another process holds it, or it cannot be written.
    """
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EnvironmentLacksError(
                f"{folder}: another glandseg trains in this folder. Wait for it, or give another --out."
            ) from None
    try:
        yield
    finally:
        lock.release()
