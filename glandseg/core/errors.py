"""Errors for users: one line each, each kind with its exit code."""

from __future__ import annotations

import re


class GlandsegError(Exception):
    """A failure described in one line: what and which file, the rule, the cure."""

    exit_code = 4


class BadInputError(GlandsegError):
    """A file or option that cannot be used (exit code 2)."""

    exit_code = 2


class EnvironmentLacksError(GlandsegError):
    """A library, device, space or permission that this machine lacks (exit code 3)."""

    exit_code = 3


def explain(error: Exception) -> str:
    """Return any error's message on one line, with its type where it is not glandseg's own."""
    return str(error) if isinstance(error, GlandsegError) else f"{type(error).__name__}: {shorten(error)}"


_HOST = re.compile(r"\bhostname=\S*\s*;?\s*")  # ONNX Runtime's CUDA errors name the machine


def shorten(error: Exception, most: int = 160) -> str:
    """Return a library's error on one line of at most `most` characters, without the machine's name."""
    return show(hide_host(str(error)), most) or type(error).__name__


def hide_host(text: str) -> str:
    """Return a library's text without the machine's name."""
    return _HOST.sub("", text)


def show(value: object, most: int = 80) -> str:
    """Return foreign text on one line of at most `most` characters, without control characters."""
    try:
        text = str(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        return type(value).__name__
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    line = " ".join(printable.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
