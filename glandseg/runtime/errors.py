"""What can go wrong for a user, each told in one line, each with its exit code."""

from __future__ import annotations


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
    """Give a library's error on one line of at most `most` characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__
