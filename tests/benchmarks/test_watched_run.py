"""A watched command: its exit code, what it printed, and the memory of all its processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.watched_run import watch

HOLD = "import time; held = bytearray(b'x') * (100 << 20); time.sleep(0.5)"
needs_proc = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="needs smaps_rollup")


def test_exit_code_and_output_are_kept() -> None:
    run = watch([sys.executable, "-c", "print('told'); raise SystemExit(3)"])
    assert run.exit_code == 3
    assert run.output.strip() == "told"
    assert run.seconds > 0


@needs_proc
def test_peak_holds_what_was_allocated() -> None:
    run = watch([sys.executable, "-c", HOLD], interval_s=0.02)
    assert run.peak_mib and run.peak_anonymous_mib
    assert 100 < run.peak_anonymous_mib <= run.peak_mib < 200


@needs_proc
def test_a_childs_memory_counts() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"
    assert (watch([sys.executable, "-c", parent], interval_s=0.02).peak_anonymous_mib or 0) > 100


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell children's CPU seconds")
def test_cpu_seconds_are_those_of_the_command() -> None:
    assert watch([sys.executable, "-c", "sum(range(10_000_000))"]).cpu_s > 0.02
