"""Slides per minute of a cohort: one process a slide, one process for all, and two workers, in one run.

python benchmarks/cohort.py --slides 8 --json benchmarks/results/cohort.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measured_on import describe_circumstances
from glandseg.synthetic import draw_slide, write_slide

SIDE_PX, UM_PER_PX = 4096, 0.5
ROUNDS = 3
INFER = [sys.executable, "-m", "glandseg", "infer"]


def main() -> None:
    """Measure each way in turns, and report seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(args.slides):
            image, _ = draw_slide(SIDE_PX, SIDE_PX, UM_PER_PX, seed=number)
            write_slide(folder / f"{number}.tif", image, UM_PER_PX)
        result = compare(folder, args.slides) | describe_circumstances()
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")


def compare(folder: Path, slides: int) -> dict[str, Any]:
    """Return the median seconds of each way, and its slides per minute by those of one process a slide."""
    ways = {
        "a process a slide": [[str(folder / f"{number}.tif")] for number in range(slides)],
        "one process": [[str(folder)]],
        "two workers": [[str(folder), "--workers", "2"]],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, commands in ways.items():
            seconds[way].append(measure(commands))
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    slowest = medians["a process a slide"]
    return {
        "slides": slides,
        "side_px": SIDE_PX,
        "seconds": {way: round(value, 2) for way, value in medians.items()},
        "throughput_ratio": {way: round(slowest / value, 2) for way, value in medians.items()},
    }


def measure(commands: list[list[str]]) -> float:
    """Run commands one after the other into a new folder; return their seconds."""
    out = Path(tempfile.mkdtemp())
    start = time.perf_counter()
    for command in commands:
        subprocess.run(
            [*INFER, *command, "--out", str(out), "--device", "cpu"], check=True, capture_output=True
        )
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds


if __name__ == "__main__":
    main()
