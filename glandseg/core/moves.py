"""Renaming and removing files that another program may hold open for a moment, as on Windows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

_HELD_S = 5.0  # time for a virus scanner or an indexer to close a file
_TICK_S = 0.1
_HELD = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation


def move(source: Path, target: Path) -> None:
    """Rename a file, replacing an existing one; on Windows, wait while another program holds either."""
    _retry(partial(source.replace, target))


def remove(path: Path) -> None:
    """Remove a file if it exists; on Windows, wait while another program holds it."""
    _retry(partial(path.unlink, missing_ok=True))


def _retry(call: Callable[[], object]) -> None:
    """Retry a call for `_HELD_S` while another program holds its file.

    Raises:
        OSError: It is still held, or something else is wrong.
    """
    end = time.monotonic() + _HELD_S
    while True:
        try:
            call()
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _HELD or time.monotonic() > end:
                raise
        time.sleep(_TICK_S)
