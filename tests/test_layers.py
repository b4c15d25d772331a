"""The layers: which part of the package may import which, and nothing back up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "glandseg"
# From the bottom up: each part, and those that it may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "synthetic": {"core"},
    "slides": {"core"},
    "model": {"core", "synthetic"},
    "runtime": {"core", "model", "slides"},
    "cohort": {"core", "model", "slides", "runtime"},
    "doctor": {"core", "synthetic", "model", "slides", "runtime"},
    "training": {"core", "synthetic", "model", "slides", "runtime"},
    "export": {"core", "synthetic", "model", "training", "doctor"},
    "cli": {"core", "synthetic", "model", "slides", "runtime", "cohort", "doctor", "training", "export"},
}
LEARNS = {"training", "export", "cli"}  # the parts that may import what only the extra `train` brings
TORCH = {"torch", "safetensors", "onnx", "onnxscript"}


def test_every_part_is_in_the_list() -> None:
    parts = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert parts == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_downwards(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        for name in _imported(path):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == "glandseg" and other in MAY_IMPORT:
                assert other in {part, *MAY_IMPORT[part]}, f"{path.relative_to(PACKAGE)} imports {name}"
            if part not in LEARNS:
                assert package not in TORCH, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_every_module_begins_with_its_caption(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
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
