"""The command line starts light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "onnxruntime", "onnx", "cv2", "numpy", "openslide", "tifffile", "shapely", "rich", "yaml")
COMMANDS = (
    "cut",
    "train",
    "export",
    "infer",
    "evaluate",
    "adapt",
    "compare",
    "demo",
    "inspect",
    "doctor",
    "verify",
    "view",
    "watch",
    "check",
)

PROGRAM = """
import sys
from glandseg.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print("HEAVY", [name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = PROGRAM.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.strip().endswith("HEAVY []"), done.stdout[-200:]


def test_help_names_every_command_and_the_limits_of_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "glandseg", "--help"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    words = " ".join(done.stdout.split())
    assert "Not for use in diagnostic procedures" in words
    assert all(f" {name} " in words for name in COMMANDS)
