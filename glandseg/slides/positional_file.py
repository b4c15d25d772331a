"""A file that several threads read at offsets."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class PositionalFile:
    """A file open for reading; where the system has `pread`, threads do not wait for each other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()

    def read(self, offset: int, count: int) -> bytes:
        """Read `count` bytes at `offset`.

        Raises:
            EOFError: The file ends before.
            OSError: The drive fails.
        """
        data = self._read_some(offset, count)
        while len(data) < count:
            more = self._read_some(offset + len(data), count - len(data))
            if not more:
                raise EOFError(f"the file ends {count - len(data):,} bytes early")
            data += more
        return data

    def reread(self, offset: int, count: int) -> bytes:
        """Read as `read`, with a new handle: a network drive may have dropped the old one."""
        fresh = PositionalFile(self._path)
        try:
            return fresh.read(offset, count)
        finally:
            fresh.close()

    def _read_some(self, offset: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(count) or b""

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._file.close()
