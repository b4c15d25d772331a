"""The error of an export."""

from __future__ import annotations

from glandseg.core.errors import GlandsegError


class ExportError(GlandsegError):
    """The exported file would not compute the same as the trained network; it is not kept (exit code 4)."""
