"""A command run to its end: wall seconds, and the peak memory of all its processes together.

Memory is proportional set size, so that pages shared between processes count once. It includes mapped file
pages, which the system reclaims when it needs them: `anonymous` excludes them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

INTERVAL_S = 0.05
TAIL_CHARACTERS = 600
_PROC = Path("/proc")
_FIELDS = {"Pss:": "pss", "Pss_Anon:": "anonymous"}  # of smaps_rollup, in KiB


@dataclass(frozen=True, kw_only=True)
class WatchedRun:
    """Resources that a command used.

    Attributes:
        seconds: Wall time from its start to its end.
        cpu_s: CPU seconds of all its processes, user and system; 0 where unknown (Windows).
        exit_code: Its exit code.
        peak_mib: Peak memory of all its processes; None where unknown (no /proc).
        peak_anonymous_mib: The same without mapped files.
        output: End of its output.
    """

    seconds: float
    cpu_s: float
    exit_code: int
    peak_mib: float | None
    peak_anonymous_mib: float | None
    output: str


class MemoryWatch(threading.Thread):
    """Thread that samples the memory of a process and its descendants until it is stopped."""

    def __init__(self, pid: int, interval_s: float) -> None:
        super().__init__(daemon=True)
        self.peaks = {"pss": 0, "anonymous": 0}
        self._pid, self._interval_s, self._over = pid, interval_s, threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(self._interval_s):
            now = read_tree_memory(self._pid)
            self.peaks = {name: max(peak, now[name]) for name, peak in self.peaks.items()}

    def stop(self) -> None:
        """End the sampling."""
        self._over.set()
        self.join()

    def peak_mib(self, name: str) -> float | None:
        """Return the highest sample; None without any."""
        return round(self.peaks[name] / 1024, 1) if self.peaks[name] else None


def watch(
    command: Sequence[str],
    *,
    interval_s: float = INTERVAL_S,
    environment: Mapping[str, str] | None = None,
) -> WatchedRun:
    """Run a command to its end, in the given environment if there is one."""
    with tempfile.TemporaryFile() as output:
        before, cpu_before = time.perf_counter(), measure_children()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        memory = MemoryWatch(process.pid, interval_s)
        memory.start()
        exit_code = process.wait()
        seconds, cpu_s = time.perf_counter() - before, measure_children() - cpu_before
        memory.stop()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return WatchedRun(
        seconds=round(seconds, 3),
        cpu_s=round(cpu_s, 2),
        exit_code=exit_code,
        peak_mib=memory.peak_mib("pss"),
        peak_anonymous_mib=memory.peak_mib("anonymous"),
        output=text[-TAIL_CHARACTERS:],
    )


def measure_children() -> float:
    """Return the CPU seconds of all ended child processes and theirs."""
    times = os.times()
    return times.children_user + times.children_system


def read_tree_memory(pid: int) -> dict[str, int]:
    """Read the memory of a process and its descendants in KiB; zeros if it ended."""
    total = dict.fromkeys(_FIELDS.values(), 0)
    for member in list_tree(pid):
        for line in _read(_PROC / str(member) / "smaps_rollup").splitlines():
            name, _, rest = line.partition(" ")
            if name in _FIELDS:
                total[_FIELDS[name]] += int(rest.split()[0])
    return total


def list_tree(pid: int) -> list[int]:
    """List a process and its descendants."""
    threads = list((_PROC / str(pid) / "task").glob("*/children"))
    children = [int(child) for path in threads for child in _read(path).split()]
    return [pid, *(member for child in children for member in list_tree(child))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # the process ended meanwhile
        return ""
