"""A folder that one process at a time works in.

The lock file is removed while it is still held, never afterwards. A process that opened it meanwhile finds
that its lock has no name any more, and retries; removed later, the file could be another process's lock.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.own_files import check_own_folder

LOCK = "lock"
PID_LOCK = "lock.pid"  # where the file system has no locks: it names the process and the host
LEASE_S, HEARTBEAT_S = 600.0, 20.0  # without a heartbeat for so long, its host counts as lost
_TRIES, _PAUSE_S = 10, 0.02  # a process that ends removes the folder
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


class BusyError(EnvironmentLacksError):
    """Another process works in the folder."""


@contextlib.contextmanager
def lock_folder(folder: Path, busy: str, *, is_private: bool = True) -> Iterator[None]:
    """Make a folder if there is none, keep other processes out, and remove it in the end if it is empty.

    Args:
        folder: Folder to work in.
        busy: Message where another process works in it.
        is_private: Whether it must be this user's and hold no links.

    Raises:
        BusyError: Another process works in it, or has taken it over, as this one gave no sign of life.
        EnvironmentLacksError: It is private and not this user's alone.
        OSError: It cannot be written.
    """
    lock = _claim(folder, busy, is_private)
    try:
        yield
    except KeyboardInterrupt:
        if isinstance(lock, SoftFileLease) and lock.compromise:
            raise BusyError(f"{folder}: its lock is lost, for this process stood still: {busy}") from None
        raise
    finally:
        _release(lock, folder)


def _claim(folder: Path, busy: str, is_private: bool) -> BaseFileLock:
    """Make the folder, or check the existing one, and lock it; retry where another process removes it."""
    for last in (*[False] * _TRIES, True):
        try:
            _make(folder, is_private)
            lock = _try_lock(folder)
        except (FileNotFoundError, FileExistsError):  # removed between two steps
            if last:
                raise
            lock = None
        if lock is not None:
            return lock
        time.sleep(_PAUSE_S)
    raise BusyError(busy)


def _make(folder: Path, is_private: bool) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if is_private:
            check_own_folder(folder)
        elif not folder.is_dir():
            raise


def _try_lock(folder: Path) -> BaseFileLock | None:
    """Lock the folder: by the system, else by a file that names the process; None where another process has.

    That file outlives its host by `LEASE_S`. A process that stood still for so long, as on a suspended
    computer, is interrupted once it goes on, for another may have the folder by then.

    Raises:
        OSError: The lock file cannot be written.
    """
    lock: BaseFileLock = FileLock(folder / LOCK, fallback_to_soft=False)
    try:
        try:
            lock.acquire(timeout=0)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            lock = SoftFileLease(
                folder / PID_LOCK,
                lease_duration=LEASE_S,
                heartbeat_interval=HEARTBEAT_S,
                on_compromise=lambda loss: _thread.interrupt_main(),
            )
            lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _release(lock: BaseFileLock, folder: Path) -> None:
    """Remove the lock file, and the folder if it is empty, then release the lock."""
    for end in (  # each may fail: Windows removes no open file, and a folder must be empty
        (folder / LOCK).unlink,
        folder.rmdir,
        lock.release,
        folder.rmdir,
    ):
        with contextlib.suppress(OSError):
            end()
