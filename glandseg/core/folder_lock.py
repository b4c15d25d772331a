"""A folder that one process at a time works in.

The lock file is removed while it is still held, never afterwards: a process that opened it meanwhile finds
that what it locked has no name any more, and tries again, where one that came later has a lock of its own.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.own_files import check_own_folder

LOCK = "lock"
PID_LOCK = "lock.pid"  # where the file system has no locks: it holds the process and the host
_TRIES, _PAUSE_S = 10, 0.02  # for a process that ends removes the folder
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@contextlib.contextmanager
def lock_folder(work: Path) -> Iterator[None]:
    """Make a folder if there is none and keep other processes out; it goes in the end if it is empty.

    Raises:
        EnvironmentLacksError: Another process is in it, or it is not this user's or holds links.
        OSError: It cannot be written.
    """
    lock = _claim(work)
    try:
        yield
    finally:
        _release(lock, work)


def _claim(work: Path) -> BaseFileLock:
    """Make the folder, or check the one that is there, and lock it; again where another process removes it.

    Raises:
        EnvironmentLacksError: Another process has locked it, or it is not this user's or holds links.
    """
    for last in (*[False] * _TRIES, True):
        try:
            _make(work)
            lock = _try_lock(work)
        except (FileNotFoundError, FileExistsError):  # it went between two steps
            if last:
                raise
            lock = None
        if lock is not None:
            return lock
        time.sleep(_PAUSE_S)
    raise EnvironmentLacksError(
        f"{work.parent}: another glandseg is at work on this slide. Let it end, or give another --out. "
        f"If none runs on any computer, remove {work.name}."
    )


def _make(work: Path) -> None:
    try:
        work.mkdir(parents=True)
    except FileExistsError:
        check_own_folder(work)


def _try_lock(work: Path) -> BaseFileLock | None:
    """Lock the folder: by the system, else by a file that names the process; None where another process has.

    Raises:
        OSError: The lock file cannot be written.
    """
    lock: BaseFileLock = FileLock(work / LOCK)
    try:
        try:
            lock.acquire(timeout=0)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            lock = SoftFileLock(work / PID_LOCK)
            lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _release(lock: BaseFileLock, work: Path) -> None:
    """Remove the lock file, and the folder if it is empty, then release the lock."""
    for end in (  # each may fail: Windows removes no open file, and a folder must be empty
        (work / LOCK).unlink,
        work.rmdir,
        lock.release,
        work.rmdir,
    ):
        with contextlib.suppress(OSError):
            end()
