"""What can go wrong for a user, each told in one line, each with its exit code."""

from __future__ import annotations

import re


class GlandsegError(Exception):
    """A failure that is told in one line: what and which file, the rule, the cure."""

    exit_code = 4


class BadInputError(GlandsegError):
    """The file or option given cannot be used; the message says why and what can (exit code 2)."""

    exit_code = 2


class EnvironmentLacksError(GlandsegError):
    """This machine lacks a library, a device, space or a permission (exit code 3)."""

    exit_code = 3


def explain(error: Exception) -> str:
    """Return what an error of any origin says, on one line; its kind too, where it is not glandseg's own."""
    return str(error) if isinstance(error, GlandsegError) else f"{type(error).__name__}: {shorten(error)}"


_HOST = re.compile(r"\bhostname=\S*\s*;?\s*")  # ONNX Runtime names the machine in its errors of CUDA


def shorten(error: Exception, most: int = 160) -> str:
    """Return a library's error on one line of at most `most` characters, without the machine's name."""
    return show(hide_host(str(error)), most) or type(error).__name__


def hide_host(text: str) -> str:
    """Return a library's text without the machine's name."""
    return _HOST.sub("", text)


def show(value: object, most: int = 80) -> str:
    """Return foreign text on one line of at most `most` characters, what a terminal would obey replaced."""
    try:
        text = str(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        return type(value).__name__
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    line = " ".join(printable.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
