"""Checks of paths from settings and command lines, which may be any text, however long."""

from __future__ import annotations

import contextlib
from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file or a link to one; False if it is no valid path."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder or a link to one; False if it is no valid path."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_dir()
    return False
