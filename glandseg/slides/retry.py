"""How often, and how long, reading is tried again before a part of a file counts as unread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from glandseg.core.errors import GlandsegError

Result = TypeVar("Result")
PAUSES_S = (0.1, 0.5, 2.0)  # before the second and later new attempts
BUDGET_S = 60.0  # spent on pauses for one slide: a dead drive must not hold up a batch for hours
FAULTS = (
    "i/o error",
    "input/output",
    "stale file",
    "timed out",
    "resource temporarily",
    "couldn't open",
    "missing image file",
)


def is_passing(error: Exception) -> bool:
    """Whether an error may pass by itself, as a network drive's do and a damaged tile's do not."""
    return isinstance(error, OSError) or any(fault in str(error).lower() for fault in FAULTS)


class RetryPolicy:
    """Tries again: once at once, and for faults that may pass, after pauses, while there is time left.

    Args:
        budget_s: seconds of pauses in all.
        sleep: waits for seconds.
    """

    def __init__(self, budget_s: float = BUDGET_S, sleep: Callable[[float], None] = time.sleep) -> None:
        self._left_s = budget_s
        self._sleep = sleep
        self._lock = threading.Lock()

    def retry(self, read: Callable[[], Result]) -> Result:
        """Read with a new file handle each time.

        Raises:
            Exception: the last attempt's.
        """
        for pause_s in PAUSES_S:
            try:
                return read()
            except (GlandsegError, MemoryError):
                raise
            except Exception as error:
                if not (is_passing(error) and self._take(pause_s)):
                    raise
            self._sleep(pause_s)
        return read()

    def _take(self, pause_s: float) -> bool:
        with self._lock:
            allowed = self._left_s >= pause_s
            self._left_s -= pause_s if allowed else 0
        return allowed
