"""Standard streams that cannot stop the work: closed, full or in ASCII, they lose lines and raise nothing.

Control characters are escaped before they reach a terminal; only the progress bar, which needs them, passes.
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
_RETURN = "\r"  # libraries redraw their progress on stderr with it
_HIDDEN = ("buffer", "detach")  # ways around this stream, which typer uses where the encoding is ASCII


class SafeStream:
    """A text stream that loses lines rather than raise, and escapes control characters.

    Args:
        inner: The stream to write to.
        keep: Control characters that are not escaped; None escapes none.

    Attributes:
        loss: Reason why lines were lost; None if none was, or the reader closed the pipe.
    """

    def __init__(self, inner: TextIO, keep: str | None = _LAYOUT) -> None:
        self.loss: str | None = None
        self._inner, self._keep, self._open = inner, keep, True

    def pass_controls(self) -> SafeStream:
        """Return a stream to the same file that escapes nothing."""
        return SafeStream(self._inner, keep=None)

    def write(self, text: str) -> int:
        """Write text if possible, and return its length."""
        if self._open:
            try:
                self._inner.write(text if self._keep is None else escape(text, self._keep))
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush the buffer if possible."""
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
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # the second means a closed pipe on Windows
            self.loss = error.strerror or type(error).__name__
        with contextlib.suppress(OSError, ValueError):  # Python would flush its buffer again at the end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._inner.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def guard_streams() -> Iterator[SafeStream]:
    """Replace stdout and stderr by safe streams, and yield the one for stdout."""
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
    """Open the null device for each closed standard stream; the next file would take its number."""
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
