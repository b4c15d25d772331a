"""Standard streams that cannot stop the work: closed, full or short of letters, they lose lines and no more.

Whatever reaches a terminal through them has its steering characters written out; only the progress bar,
which must steer, writes past them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from glandseg.cli.console import escape

_STREAMS = 3  # stdin, stdout and stderr, by their numbers
_LAYOUT = "\n\t"
_RETURN = "\r"  # by which libraries redraw their progress on stderr
_HIDDEN = ("buffer", "detach")  # ways past this stream, which typer takes where the encoding is ASCII


class SafeStream:
    """A text stream that loses lines rather than raise, and lets no text steer a terminal.

    Args:
        inner: The stream to write to.
        keep: Steering characters that may pass; None lets all pass.

    Attributes:
        loss: Why lines were lost; None as long as none was, or their reader ended.
    """

    def __init__(self, inner: TextIO, keep: str | None = _LAYOUT) -> None:
        self.loss: str | None = None
        self._inner, self._keep, self._open = inner, keep, True

    def steer(self) -> SafeStream:
        """Return a stream to the same place that lets all characters pass."""
        return SafeStream(self._inner, keep=None)

    def write(self, text: str) -> int:
        """Write text as far as that can be done, and return its length."""
        if self._open:
            try:
                self._inner.write(text if self._keep is None else escape(text, self._keep))
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Write out what is held back, as far as that can be done."""
        if self._open:
            try:
                self._inner.flush()
            except OSError as error:
                self._lose(error)

    def __getattr__(self, name: str) -> Any:
        if name in _HIDDEN:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def _lose(self, error: OSError) -> None:
        self._open = False
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # the second is Windows' word for a closed pipe
            self.loss = error.strerror or type(error).__name__
        with contextlib.suppress(OSError, ValueError):  # what Python holds back would fail again at the end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._inner.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def guard_streams() -> Iterator[SafeStream]:
    """Put safe streams in place of stdout and stderr for the block, and yield stdout's."""
    _fill_gaps()
    plain = sys.stdout, sys.stderr
    out, err = _make_safe(sys.stdout, _LAYOUT), _make_safe(sys.stderr, _LAYOUT + _RETURN)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = plain


def _fill_gaps() -> None:
    """Open the null device where a standard stream is closed: else the next file takes its number."""
    with contextlib.suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) < _STREAMS:
            os.set_inheritable(number, True)
        os.close(number)


def _make_safe(stream: TextIO | None, keep: str) -> SafeStream:
    if stream is None:
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        with contextlib.suppress(OSError, ValueError):
            reconfigure(errors="backslashreplace")
    return SafeStream(stream, keep)
