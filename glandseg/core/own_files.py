"""glandseg's own working files, which no link may stand in for.

Working files have names that can be foretold and lie beside slides, in folders that others may write. A
link planted there would have glandseg empty another folder or write into another file, and a foreign
folder of unfinished work would dictate the result. So links are refused, and what another user owns.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

from glandseg.core.errors import EnvironmentLacksError

_LINK_TAGS = (0xA000000C, 0xA0000003)  # IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT (junctions)


def is_link(path: Path) -> bool:
    """Return whether a path is a symbolic link or, on Windows, a junction; False where there is nothing."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in _LINK_TAGS


def open_own(path: Path, mode: str, *, buffering: int = -1) -> IO[bytes]:
    """Open a working file for writing, but never through a link.

    Raises:
        OSError: It is a link, has a second name, is no regular file, or cannot be opened.
    """
    return open(path, mode, buffering=buffering, opener=_open_checked)


def check_own_folder(folder: Path) -> None:
    """Check that an existing working folder is a folder of this user and holds no link.

    Raises:
        EnvironmentLacksError: It is not, or does.
    """
    _refuse_link(folder, folder)
    if not _is_of_this_user(folder):
        raise EnvironmentLacksError(
            f"{folder}: belongs to another user, whose unfinished work cannot be trusted. "
            "Have it removed, or give another --out."
        )
    for path in [folder, *folder.iterdir()]:
        if path.is_dir() and not is_link(path):
            for entry in path.iterdir():
                _refuse_link(entry, folder)


def _refuse_link(path: Path, folder: Path) -> None:
    if is_link(path) or not _is_plain(path):
        raise EnvironmentLacksError(
            f"{path}: is a link or no regular file, and glandseg writes through none. "
            f"Remove {folder.name}, or give another --out."
        )


def _is_plain(path: Path) -> bool:
    """Return whether a path is a folder, or a regular file without a second name."""
    try:
        status = path.lstat()
    except FileNotFoundError:  # removed meanwhile
        return True
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink <= 1)


def _is_of_this_user(folder: Path) -> bool:
    """Compare a folder's owner with that of a new file: shares may map users in ways of their own."""
    with tempfile.TemporaryFile(dir=folder) as fresh:
        return os.fstat(fresh.fileno()).st_uid == folder.lstat().st_uid


def _open_checked(path: str, flags: int) -> int:
    """Open without following a link; an older file is emptied only once it is known to be plain."""
    if is_link(Path(path)):  # for Windows, which has no O_NOFOLLOW
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    emptied, flags = flags & os.O_TRUNC, flags & ~os.O_TRUNC
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.ELOOP, "a link, or no regular file", path)
        if emptied:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle
