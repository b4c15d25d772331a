"""`glandseg infer`, killed at random moments until it finishes: the outputs must be those of a calm run.

First a calm run; then the same command again and again into one folder, each time killed without warning
after a random share of the calm run's seconds. A round that ends before its kill is compared and removed, and
the next one begins. After the last kill the command may finish. The folder must then be byte for byte the
calm run's, but for the seconds in its record.

    python benchmarks/kills.py --kills 30 --json benchmarks/results/NAME.json
    python benchmarks/kills.py --side 2048 --kills 5 -- --max-ram 1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from benchmarks.watched_run import list_tree

RECORD_ENDING = ".run.json"
OF_TIME = {"seconds", "network_share"}  # entries of the record
LATEST = 0.9  # share of the calm run's seconds after which a kill comes at the latest


class Siege:
    """Runs of one command, some of them killed.

    Attributes:
        found: Differences of each finished run from the calm run, by round.
        kills: Seconds of each kill since its process began.
    """

    def __init__(self, case: Case, options: Sequence[str]) -> None:
        self._out, self._calm = case.folder / "killed", case.folder / "calm"
        self._command = case.command(self._out, options)
        before = time.perf_counter()
        subprocess.run(case.command(self._calm, options), check=True, stdout=subprocess.DEVNULL)
        self.calm_s = time.perf_counter() - before
        self.found: list[list[str]] = []
        self.kills: list[float] = []

    def attack(self, after_s: float) -> None:
        """Run once, and kill the process if it still runs after a time in seconds."""
        with subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(after_s)
            except subprocess.TimeoutExpired:
                kill_tree(process)
                self.kills.append(round(after_s, 3))
                return
        self._judge(process.returncode)

    def finish(self) -> None:
        """Run to the end."""
        self._judge(subprocess.run(self._command, stdout=subprocess.DEVNULL).returncode)

    def _judge(self, exit_code: int) -> None:
        faults = [f"exit code {exit_code}"] if exit_code else []
        self.found.append(faults + list_differences(self._calm, self._out))
        shutil.rmtree(self._out, ignore_errors=True)


def main() -> None:
    """Kill as often as the options say, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with prepare_case(args) as case:
        siege = Siege(case, args.options)
        while len(siege.kills) < args.kills:
            siege.attack(chance.uniform(0, LATEST) * siege.calm_s)
        siege.finish()
        facts = {
            "calm_s": round(siege.calm_s, 2),
            "kills_after_s": siege.kills,
            "finished_rounds": len(siege.found),
            "differences": siege.found,
            "identical": not any(siege.found),
        }
    report_result(args, {**case.facts, **facts})
    raise SystemExit(0 if facts["identical"] else 1)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its descendants immediately."""
    for member in list_tree(process.pid)[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.kill()
    process.wait()


def list_differences(calm: Path, killed: Path) -> list[str]:
    """List the files and folders that only one folder has, and the files whose content differs."""
    files = [
        {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")} for folder in (calm, killed)
    ]
    missing = [f"{name}: missing" for name in sorted(files[0].keys() - files[1].keys())]
    left = [f"{name}: left over" for name in sorted(files[1].keys() - files[0].keys())]
    common = sorted(files[0].keys() & files[1].keys())
    return missing + left + [line for name in common for line in compare(files[0][name], files[1][name])]


def compare(first: Path, second: Path) -> list[str]:
    """Return how two outputs differ, times in a record aside."""
    if first.is_dir() and second.is_dir():
        return []
    if first.name.endswith(RECORD_ENDING):
        records = [json.loads(path.read_text(encoding="utf-8")) for path in (first, second)]
        return [f"{first.name}: {entry} differs" for entry in list_entries(*records)]
    return [] if first.read_bytes() == second.read_bytes() else [f"{first.name}: differs"]


def list_entries(first: Any, second: Any, where: str = "") -> list[str]:
    """List the entries in which two records differ, except those that depend on the clock."""
    if isinstance(first, dict) and isinstance(second, dict):
        names = [name for name in {**first, **second} if name not in OF_TIME]
        parts = [list_entries(first.get(name), second.get(name), f"{where}.{name}") for name in names]
        return [entry for part in parts for entry in part]
    return [] if first == second else [where.lstrip(".")]


if __name__ == "__main__":
    main()
