"""The layers: cli -> export -> training -> runtime, and nothing upwards."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "glandseg"
MAY_IMPORT = {
    "runtime": {"runtime"},
    "training": {"training", "runtime"},
    "export": {"export", "training", "runtime"},
    "cli": {"cli", "export", "training", "runtime"},
}
TORCH = {"torch", "safetensors", "onnx", "onnxscript"}


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_run_downwards(layer: str) -> None:
    for path in sorted((PACKAGE / layer).rglob("*.py")):
        for name in _imported(path):
            parts = name.split(".")
            if parts[0] == "glandseg" and parts[1:2] and parts[1] in MAY_IMPORT:
                assert parts[1] in MAY_IMPORT[layer], f"{path.name} imports {name}"
            if layer == "runtime":
                assert parts[0] not in TORCH, f"{path.name} imports {name}"


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_every_module_begins_with_its_caption(layer: str) -> None:
    for path in sorted((PACKAGE / layer).rglob("*.py")):
        caption = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert caption, f"{path} has no docstring"


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names
