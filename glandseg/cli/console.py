"""Output to users: lines and errors that no file name can forge, and the exit codes of errors."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import typer

from glandseg.core.errors import BadInputError, EnvironmentLacksError, GlandsegError

# What only the extra `train` brings, by import name.
TRAIN_MODULES = (
    "torch",
    "safetensors",
    "yaml",
    "lightning_fabric",
    "onnx",
    "onnxscript",
    "onnxconverter_common",
    "scipy",
    "matplotlib",
)
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, formats, lone surrogates, line separators
_HARMLESS = ("\u200c", "\u200d")  # Persian and Hindi write these within words


def say(text: str) -> None:
    """Print one line on stdout, its control characters escaped."""
    typer.echo(escape(text))


def say_lines(text: str) -> None:
    """Print several lines on stdout, their control characters escaped."""
    typer.echo(escape(text.removesuffix("\n"), keep="\n"))


def print_json(facts: object) -> None:
    """Print facts as indented JSON on stdout."""
    say_lines(json.dumps(facts, indent=1))


def pluralise(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun, "1 gland" or "2 glands"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def warn(text: str) -> None:
    """Print one line on stderr, its control characters escaped."""
    typer.echo(escape(text), err=True)


def escape(text: str, keep: str = "") -> str:
    r"""Write characters that control a terminal as `\x1b`: names, cards and tables may contain them.

    Args:
        text: Text of any origin.
        keep: Characters that are left as they are.
    """
    if text.isprintable():
        return text
    return "".join(one if one in keep or _is_plain(one) else _write_code(one) for one in text)


def print_error(error: Exception, arguments: Sequence[str] = ()) -> int:
    """Print an error as one line on stderr and return its exit code.

    Args:
        error: Error to print.
        arguments: Words of the command line, for a hint.
    """
    message, code = describe_error(error, arguments)
    warn(f"error: {' '.join(message.split())}")
    return code


def describe_error(error: Exception, arguments: Sequence[str] = ()) -> tuple[str, int]:
    """Return an error's message and its exit code."""
    if isinstance(error, typer.TyperException):
        message = getattr(error, "format_message", error.__str__)()
        return f"{message.rstrip('.')}. {_hint(arguments)}See glandseg --help.", BadInputError.exit_code
    if isinstance(error, GlandsegError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory. Free some, or give a smaller --batch.", EnvironmentLacksError.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name in TRAIN_MODULES:
        return f'{error.name}: not installed. pip install "glandseg[train]".', EnvironmentLacksError.exit_code
    text = f"{type(error).__name__}: {error}"[:300]
    return f"{text} (a bug in glandseg; --debug shows where)", GlandsegError.exit_code


def _hint(arguments: Sequence[str]) -> str:
    """Explain how to name a file that looks like an option."""
    for word in arguments:
        if word == "--":
            break
        if word.startswith("-") and Path(word).exists():
            return f"{word} is a file here: put -- before it, or write .{os.sep}{word}. "
    return ""


def _is_plain(one: str) -> bool:
    return one in _HARMLESS or unicodedata.category(one) not in _CONTROLS


def _write_code(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
