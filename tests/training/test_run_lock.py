"""One process at a time trains in a run folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glandseg.core.errors import EnvironmentLacksError
from glandseg.training.run import hold_run

HOLD = """
import sys, pathlib
from glandseg.training.run import hold_run
with hold_run(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_held_run_is_refused_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    with hold_run(folder):
        with pytest.raises(
            EnvironmentLacksError, match="another glandseg trains in this folder.*another --out"
        ):
            hold_run(folder).__enter__()
        with hold_run(tmp_path / "runs" / "b"):
            pass
    with hold_run(folder):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"held"
        with pytest.raises(EnvironmentLacksError):
            hold_run(tmp_path).__enter__()
        other.kill()
        other.wait()
    with hold_run(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "run", tmp_path / ("a" * 300)):
        with pytest.raises(EnvironmentLacksError, match="cannot be written"):
            hold_run(path).__enter__()
