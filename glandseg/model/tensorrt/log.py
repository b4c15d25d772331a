"""TensorRT's log, kept instead of printed."""

from __future__ import annotations

from collections import deque
from typing import Any

_LINES = 200
_ERROR = 1  # its severities: 0 internal error, such as a driver too old, 1 error, 2 warning, ...


def open_log(module: Any) -> Any:
    """Return a logger that keeps the last warnings and errors in `lines`, (severity, text) each.

    Args:
        module: TensorRT.
    """

    class Log(module.ILogger):  # type: ignore[misc]
        """Logger that prints nothing."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.lines: deque[tuple[int, str]] = deque(maxlen=_LINES)

        def log(self, severity: Any, message: str) -> None:
            """Keep a warning or an error."""
            if int(severity) <= int(module.ILogger.WARNING):
                self.lines.append((int(severity), " ".join(message.split())))

    return Log()


def find_reason(log: Any, max_chars: int = 200) -> str:
    """Return the first error that a log kept, else its last line, at most `max_chars` characters."""
    error = next((text for severity, text in log.lines if severity <= _ERROR), None)
    return (error or (log.lines[-1][1] if log.lines else "no reason given"))[:max_chars]
