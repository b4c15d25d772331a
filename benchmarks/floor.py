"""The overhead of `glandseg infer` over its floor: the network alone on windows in memory.

The floor runs the same windows in the same batches through a session of the same settings. Both take turns.
`process` is the whole command, from its start to its end: Python, the model, tracing and all outputs
included. `windows` is the stage in which the network runs, beside reading and blending, by the record.

    python benchmarks/floor.py --side 8192 --runs 5 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from benchmarks.watched_run import watch
from glandseg.core.system import count_cpus
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.windows import WINDOW_PX, window_starts
from glandseg.slides.open import open_slide
from glandseg.slides.scaled_plane import lay_scale
from glandseg.slides.slide_plane import SlidePlane

BATCH = 8
AIM = 1.10
RARELY_S = 0.25  # between two samples of memory, so as not to disturb


def main() -> None:
    """Measure both in turns, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    with prepare_case(args) as case:
        windows = read_windows(case)
        seconds: dict[str, list[float]] = {"floor": [], "process": [], "windows": []}
        for run in range(args.runs):
            seconds["floor"].append(measure_floor(case, windows))
            process, result = measure_command(case, case.folder / f"run-{run}", args.options)
            if result["windows"] != len(windows):
                raise SystemExit(f"the floor has {len(windows)} windows, the slide {result['windows']}")
            seconds["process"].append(process)
            seconds["windows"].append(result["seconds"]["windows"])
        facts = {"windows_run": len(windows), "batch": BATCH, "cpus": count_cpus(), **list_ratios(seconds)}
    report_result(args, {**case.facts, **facts, "aim": AIM})


def read_windows(case: Case) -> NDArray[np.uint8]:
    """Read every window of the slide at every scale, (N, 320, 320, 3) uint8 RGB; all hold tissue."""
    windows = []
    with open_slide(case.slide, None) as slide:
        base = SlidePlane(slide, case.um)
        for scale in case.scales:
            plane = lay_scale(base, scale)
            columns, rows = window_starts(plane.width_px), window_starts(plane.height_px)
            windows += [plane.read(x, y, WINDOW_PX, WINDOW_PX) for y in rows for x in columns]
    return np.stack(windows)


def measure_floor(case: Case, windows: NDArray[np.uint8]) -> float:
    """Measure the network's seconds on windows in memory, after a batch to warm up."""
    with CpuSession(case.model, threads=count_cpus()) as session:
        session.infer(windows[:BATCH])
        before = time.perf_counter()
        for first in range(0, len(windows), BATCH):
            session.infer(windows[first : first + BATCH])
        return round(time.perf_counter() - before, 3)


def measure_command(case: Case, out: Path, options: Sequence[str]) -> tuple[float, dict[str, Any]]:
    """Measure the seconds of the whole command, and read the result from its record."""
    given = ["--threads", str(count_cpus()), "--batch", str(BATCH), "--device", "cpu", *options]
    run = watch(case.command(out, given), interval_s=RARELY_S)
    if run.exit_code:
        raise SystemExit(f"glandseg infer: exit code {run.exit_code}: {run.output}")
    record = json.loads(next(out.glob("*.run.json")).read_text(encoding="utf-8"))
    return run.seconds, record["result"]


def list_ratios(seconds: dict[str, list[float]]) -> dict[str, object]:
    """List every measurement, and its ratio to the floor by medians and by minima."""
    ratios = {
        f"{name}_over_floor_{how.__name__}": round(how(seconds[name]) / how(seconds["floor"]), 3)
        for name in ("process", "windows")
        for how in (statistics.median, min)
    }
    return {"seconds": seconds, **ratios}


if __name__ == "__main__":
    main()
