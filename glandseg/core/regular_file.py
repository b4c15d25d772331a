"""Users' paths, checked before they are opened: opening a named pipe may never return."""

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
    """Check that a path is not a pipe, a socket or a device; a missing file is left to its reader.

    Args:
        path: File, or a link to one; it is not opened.

    Raises:
        BadInputError: It is one of these.
    """
    try:
        kind = KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return
    if kind:
        raise BadInputError(
            f"{path}: is {kind}, which can be read once at most; a file is needed. "
            "Copy the data into a file and give that."
        )
