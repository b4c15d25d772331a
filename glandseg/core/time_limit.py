"""Calls that must not wait forever, such as reads from a drive that hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from glandseg.core.workers import Workers, await_result

STALL_S = 600.0  # after which a drive or a network that does not answer counts as stalled
T = TypeVar("T")


def call_in_time(what: str, limit_s: float, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread of its own, and wait for its result at most `limit_s` seconds.

    Args:
        what: The work, for the message.
        limit_s: Seconds.
        function: To call.
        *arguments: Of the function.

    Raises:
        StalledError: It has not returned in time; its thread is left behind.
        Exception: Whatever the function raises.
    """
    with Workers(what, 1) as workers:
        return await_result(workers.submit(function, *arguments), what, limit_s)
