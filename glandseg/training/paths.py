"""Paths from settings and command lines, which may be anything, also longer than file systems allow."""

from __future__ import annotations

import contextlib
from pathlib import Path

from glandseg.runtime.errors import BadInputError


def is_file(path: Path) -> bool:
    """Tell whether a path is a regular file or a link to one; False where it cannot be any."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder or a link to one; False where it cannot be any."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_dir()
    return False


def refuse_irregular(path: Path) -> None:
    """Refuse what exists and is neither a file nor a folder: a FIFO or a device would be read for ever.

    Raises:
        BadInputError: If it does.
    """
    with contextlib.suppress(OSError, ValueError):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise BadInputError(f"{path}: is not a regular file. Give a file.")
