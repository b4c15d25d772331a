"""The operating system's part: hashes of files, CPUs, the home folder, memory."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import sys
from pathlib import Path


def hash_file(path: Path) -> str:
    """Compute the sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def count_cpus() -> int:
    """Count the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hide_home(text: str) -> str:
    """Replace this user's home folder by `~` wherever a text names it."""
    for home in {Path.home(), Path.home().resolve()}:
        if len(home.parts) > 1:  # containers may have "/" as a home, which names nobody
            flags = re.IGNORECASE if os.name == "nt" else 0
            text = re.sub(re.escape(str(home)) + r"(?![\w.-])", "~", text, flags=flags)
    return text


def release_memory() -> None:
    """Return freed memory to the system; glibc keeps it in gaps, and the process would keep growing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
            ctypes.CDLL(None).malloc_trim(0)
