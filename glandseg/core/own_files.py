"""glandseg's own working files, which no link may stand in for.

Working files have predictable names and lie beside slides, in folders that others may write to. A link
planted there would make glandseg empty another folder or write into another file, and another user's folder
of unfinished work would decide the result. So links and other users' folders are refused.
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
    """Return whether a path is a symbolic link or, on Windows, a junction; False if nothing is there."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in _LINK_TAGS


def open_own(path: Path, mode: str, *, buffering: int = -1) -> IO[bytes]:
    """Open a working file for writing, never through a link.

    Raises:
        OSError: It is a link, has a second name, is not a regular file, or cannot be opened.
    """
    return open(path, mode, buffering=buffering, opener=_open_checked)


def check_own_folder(folder: Path) -> None:
    """Check that an existing working folder belongs to this user and holds no link.

    Raises:
        EnvironmentLacksError: It does not, or holds one.
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
            f"{path}: is a link or not a regular file, and glandseg does not write through links. "
            f"Remove {folder.name}, or give another --out."
        )


def _is_plain(path: Path) -> bool:
    """Return whether a path is a folder, or a regular file with one name."""
    try:
        status = path.lstat()
    except FileNotFoundError:  # removed meanwhile
        return True
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink <= 1)


def _is_of_this_user(folder: Path) -> bool:
    """Compare a folder's owner with that of a new file: network shares may map users."""
    with tempfile.TemporaryFile(dir=folder) as fresh:
        return os.fstat(fresh.fileno()).st_uid == folder.lstat().st_uid


def _open_checked(path: str, flags: int) -> int:
    """Open without following a link, and truncate only what proves to be a plain file."""
    if is_link(Path(path)):  # Windows has no O_NOFOLLOW
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    truncates, flags = flags & os.O_TRUNC, flags & ~os.O_TRUNC
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.ELOOP, "a link, or not a regular file", path)
        if truncates:
            os.ftruncate(handle, 0)
    except BaseException:
        os.close(handle)
        raise
    return handle
