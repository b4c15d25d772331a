"""Empty stand-ins for packages that a rival imports but does not need for this task.

PyPI's torchvision is built for CUDA and does not load beside PyTorch for the CPU; others are large and serve
other networks, other file formats or web pages. What stands in for them does nothing, so it costs nothing:
the rival starts faster than it would with all of its dependencies.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _AnyName(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing


class _Nothing(metaclass=_AnyName):
    """Any imported object; it can be subclassed and called, and has every attribute."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return arguments[0] if arguments else None


class _Finder(MetaPathFinder, Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Find the absent packages and their modules."""
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self._names else None

    def exec_module(self, module: ModuleType) -> None:
        """Create the module every attribute."""

        def get(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (_Nothing,), {})

        module.__getattr__ = get  # type: ignore[method-assign]


def stand_in(names: Sequence[str]) -> list[str]:
    """Let packages that are not installed be imported as stand-ins; return their names."""
    absent = [name for name in names if PathFinder.find_spec(name) is None]
    sys.meta_path.insert(0, _Finder(absent))
    return absent
