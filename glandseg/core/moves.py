"""Files renamed and removed, although another program looks into them for a moment, as happens on Windows."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

_HELD_S = 5.0  # that a virus scanner or an indexer is given to close a file
_TICK_S = 0.1
_HELD = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation


def move(source: Path, target: Path) -> None:
    """Rename a file, in place of one that may be there; on Windows, wait while another program holds one."""
    _insist(partial(source.replace, target))


def remove(path: Path) -> None:
    """Remove a file, if it is there; on Windows, wait while another program holds it."""
    _insist(partial(path.unlink, missing_ok=True))


def _insist(call: Callable[[], object]) -> None:
    """Repeat a call for a while as long as another program holds its file.

    Raises:
        OSError: It still does, or something else is wrong.
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
