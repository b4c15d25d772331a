"""The CPU time of `glandseg --help` beyond the interpreter's own start.

python benchmarks/startup.py
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import date

RUNS = 15
LIMIT_SECONDS = 0.3


def main() -> None:
    """Measure both, and print the difference."""
    bare = measure([sys.executable, "-c", "pass"])
    command = measure([sys.executable, "-m", "glandseg", "--help"])
    facts = {
        "interpreter_cpu_s": round(bare, 3),
        "help_cpu_s": round(command, 3),
        "beyond_s": round(command - bare, 3),
        "limit_s": LIMIT_SECONDS,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "date": date.today().isoformat(),
    }
    print(json.dumps(facts, indent=1))


def measure(command: list[str]) -> float:
    """Measure the median CPU seconds, user and system, of `RUNS` runs of a command after a warm-up."""
    seconds = []
    for _ in range(RUNS + 1):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        spent = (after.children_user + after.children_system) - (
            before.children_user + before.children_system
        )
        seconds.append(spent)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
