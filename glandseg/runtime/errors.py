"""What can go wrong for a user, each told in one line, each with its exit code."""

from __future__ import annotations

import re

_HOST = re.compile(r"\bhostname=[^\s;,]*")  # in errors of ONNX Runtime's CUDA


class GlandsegError(Exception):
    """A failure that is told in one line: what and which file, the rule, the cure."""

    exit_code = 4


class BadInputError(GlandsegError):
    """The file or option given cannot be used; the message says why and what can (exit code 2)."""

    exit_code = 2


class EnvironmentLacksError(GlandsegError):
    """This machine lacks a library, a device, space or a permission (exit code 3)."""

    exit_code = 3


def shorten(error: Exception, most: int = 160) -> str:
    """Return a library's error on one line of at most `most` characters, without the name of this host."""
    return " ".join(hide_host(str(error)).split())[:most] or type(error).__name__


def hide_host(text: str) -> str:
    """Leave out the name of this host where a library tells it."""
    return _HOST.sub("hostname=...", text)
