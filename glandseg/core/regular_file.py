"""Paths that users give, checked before they are opened: a named pipe would be waited for forever."""

from __future__ import annotations

import stat
from pathlib import Path

from glandseg.core.errors import BadInputError

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular_file(path: Path) -> None:
    """Raise where a path leads to a pipe, a socket or a device; leave a missing file to its reader.

    Args:
        path: File or link to one; it is never opened here.

    Raises:
        BadInputError: The path leads to something other than a file or folder.
    """
    try:
        kind = KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return
    if kind:
        raise BadInputError(
            f"{path}: is {kind}, which can be read once at most; a file is needed. "
            "Copy the data into a file and give that"
        )
