"""Paths from settings and command lines, which may be anything, also longer than file systems allow."""

from __future__ import annotations

import contextlib
from pathlib import Path


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
