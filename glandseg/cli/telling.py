"""Errors told to users: one line on stderr, and the exit code that goes with it."""

from __future__ import annotations

import typer

from glandseg.runtime.errors import BadInputError, EnvironmentLacksError, GlandsegError

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


def tell(error: Exception) -> int:
    """Print an error as one line on stderr and give its exit code."""
    message, code = describe_error(error)
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return code


def describe_error(error: Exception) -> tuple[str, int]:
    """Give an error's message and its exit code."""
    if isinstance(error, typer.TyperException):
        message = getattr(error, "format_message", error.__str__)()
        return f"{message} See glandseg --help.", BadInputError.exit_code
    if isinstance(error, GlandsegError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        cure = "the memory does not suffice. Free some, or give a smaller --batch."
        return cure, EnvironmentLacksError.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name in TRAIN_MODULES:
        return f'{error.name}: not installed. pip install "glandseg[train]".', EnvironmentLacksError.exit_code
    text = f"{type(error).__name__}: {error}"[:300]
    return f"{text} (a fault of glandseg; --debug shows where)", GlandsegError.exit_code
