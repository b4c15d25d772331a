"""What kills.py calls identical is identical, whatever the clock said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kills import kill_tree, list_differences


def write_outputs(folder: Path, glands: str = "{}", seconds: float = 1.5, windows: int = 4) -> Path:
    folder.mkdir()
    (folder / "x.glands.geojson").write_text(glands)
    record = {"result": {"seconds": {"write": seconds}, "network_share": seconds / 10, "windows": windows}}
    (folder / "x.run.json").write_text(json.dumps(record))
    return folder


def test_only_the_seconds_may_differ(tmp_path: Path) -> None:
    calm, killed = write_outputs(tmp_path / "calm"), write_outputs(tmp_path / "killed", seconds=9)
    assert list_differences(calm, killed) == []


def test_other_entries_of_the_record_may_not(tmp_path: Path) -> None:
    calm, killed = write_outputs(tmp_path / "calm"), write_outputs(tmp_path / "killed", windows=5)
    assert list_differences(calm, killed) == ["x.run.json: result.windows differs"]


def test_a_changed_output_is_named(tmp_path: Path) -> None:
    calm, killed = write_outputs(tmp_path / "calm"), write_outputs(tmp_path / "killed", glands="{ }")
    assert list_differences(calm, killed) == ["x.glands.geojson: differs"]


def test_what_is_missing_or_left_over_is_named(tmp_path: Path) -> None:
    calm, killed = write_outputs(tmp_path / "calm"), write_outputs(tmp_path / "killed")
    (killed / "x.run.json").unlink()
    (killed / ".scratch").mkdir()
    assert list_differences(calm, killed) == ["x.run.json: missing", ".scratch: left over"]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="descendants are found through /proc")
def test_children_are_killed_too() -> None:
    child = "import time; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); {child}"
    with subprocess.Popen(
        [sys.executable, "-c", f"print(1, flush=True); {parent}"], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout
        one.stdout.readline()
        kill_tree(one)
        assert one.stdout.read() == b""  # the pipe ends once nobody holds it
