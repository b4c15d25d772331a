"""The libraries that outputs are read back with, of which a plain install lacks some."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from glandseg.core.errors import EnvironmentLacksError


def import_reader(path: Path, module: str, extra: str) -> Any:
    """Import the module that reads a file.

    Args:
        path: File to read, for the message.
        module: Name of the module.
        extra: Extra of the package that brings it.

    Raises:
        EnvironmentLacksError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise EnvironmentLacksError(
            f'{path}: needs {library} to be checked. Run pip install "glandseg[{extra}]".'
        ) from error
