"""Retries before a part of a file counts as unread.

Two causes look alike to a reader: damaged bytes, which fail forever, and a network drive that drops a handle
or pauses for a second, which would write healthy tissue off as unread. So every failure is retried once with
a new handle, and only errors that may pass are retried after pauses. The pauses of a slide share one budget:
on a drive that died, thousands of tiles with pauses of their own would hold up a batch for hours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from glandseg.core.errors import GlandsegError

Result = TypeVar("Result")
PAUSES_S = (0.1, 0.5, 2.0)  # before the second and later retries
BUDGET_S = 60.0  # for all pauses of one slide
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
    """Return whether an error may pass, as a network drive's does and a damaged tile's does not."""
    return isinstance(error, OSError) or any(fault in str(error).lower() for fault in FAULTS)


class RetryPolicy:
    """Retries: once immediately, then after pauses for errors that may pass, while the budget lasts.

    Args:
        budget_s: Seconds of all pauses together.
        sleep: Called with seconds.
    """

    def __init__(self, budget_s: float = BUDGET_S, sleep: Callable[[float], None] = time.sleep) -> None:
        self._left_s = budget_s
        self._sleep = sleep
        self._lock = threading.Lock()

    def retry(self, read: Callable[[], Result]) -> Result:
        """Call `read`, which opens a new file handle, until it succeeds.

        Raises:
            Exception: The last attempt's.
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
