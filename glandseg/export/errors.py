"""What goes wrong when a file would not compute what was trained."""

from __future__ import annotations

from glandseg.core.errors import GlandsegError


class ExportError(GlandsegError):
    """The exported file would not compute what the run's network does; it is not kept (exit code 4)."""
