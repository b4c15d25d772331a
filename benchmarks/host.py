"""What the host costs beside the network: an inference whose network answers immediately.

The real network runs once and its answers are recorded; then `infer_slide` runs with a backend that returns
them. Its CPU seconds, those of its busiest thread and those of each stage are given as multiples of the
plain decoding of the slide's full-size px by the same library on one core, measured before and after in the
same process. A machine of N cores finishes at most N windows in the CPU time of one, and no more than the
busiest thread lets it: `most_windows_per_s` says how many that is.

    python benchmarks/host.py --side 4096 --runs 2 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from glandseg.core.system import count_cpus
from glandseg.core.trace import Trace
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.slides.open import open_slide

AIMS = {"process": 3.0, "busiest_thread": 0.5}  # times the decoding
CORES = 16
BLOCK_PX = 2048
SAMPLED_EVERY_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_TASKS = Path("/proc/self/task")


class Recorded:
    """A backend that records the answers of a session, and then returns them without it."""

    slots, identity = 2, "recorded answers"

    def __init__(self, session: CpuSession) -> None:
        self.name, self.card, self.classes = "recorded answers", session.card, session.classes
        self._session, self.records = session, True
        self._answers: dict[bytes, NDArray[np.uint8]] = {}

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the recorded answers, of which a thinned window is the key; blank windows need none."""
        keys = [window[::16, ::16].tobytes() for window in windows]
        if self.records:
            self._answers |= zip(keys, self._session.infer(windows), strict=True)
        blank = np.zeros((self.classes, *windows.shape[1:3]), np.uint8)
        return np.stack([self._answers.get(key, blank) for key in keys])

    def __enter__(self) -> Recorded:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: the session is not this backend's."""


class BusiestThread(threading.Thread):
    """Samples the CPU seconds of this process's threads until it is stopped; Linux alone."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._before, self._over = read_thread_seconds(), threading.Event()
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """Sample until stopped."""
        while not self._over.wait(SAMPLED_EVERY_S):
            self.seconds |= read_thread_seconds()

    def stop(self) -> float:
        """End the sampling, and return the CPU seconds of the busiest thread."""
        self._over.set()
        self.join()
        self.seconds |= read_thread_seconds()
        return max((s - self._before.get(thread, 0) for thread, s in self.seconds.items()), default=0.0)


def read_thread_seconds() -> dict[str, float]:
    """Return the CPU seconds of each living thread by its number."""
    seconds = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        seconds[task.name] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return seconds


def main() -> None:
    """Measure decoding and inference in turns, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=2)
    add_case_options(parser, side=4096)
    args = parser.parse_args()
    if args.options:
        parser.error("options of `glandseg infer` are not taken: it is not run as a command")
    cv2.setNumThreads(1)
    with prepare_case(args) as case, CpuSession(case.model, threads=count_cpus()) as session:
        backend = Recorded(session)
        infer(case, backend, case.folder / "recorded", Trace())
        backend.records = False
        decoding = [measure_cpu(lambda: decode(case.slide))]
        runs = []
        for number in range(args.runs):
            runs.append(measure_run(case, backend, case.folder / f"run-{number}"))
            decoding.append(measure_cpu(lambda: decode(case.slide)))
    report_result(args, {**case.facts, **compare(runs, statistics.median(decoding))})


def infer(case: Case, backend: Recorded, out: Path, trace: Trace) -> int:
    """Run the slide into a folder, and return the number of its windows."""
    model = check_model(case.model, "--model")
    return infer_slide(case.slide, backend, model, InferSettings(), out=out, trace=trace).windows


def decode(slide_path: Path) -> None:
    """Decode every px of the slide's full size, block by block."""
    with open_slide(slide_path, None) as slide:
        for y in range(0, slide.height_l0, BLOCK_PX):
            for x in range(0, slide.width_l0, BLOCK_PX):
                width, height = min(BLOCK_PX, slide.width_l0 - x), min(BLOCK_PX, slide.height_l0 - y)
                slide.read_region(0, x, y, width, height)


def measure_cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that a call takes, all threads together."""
    before = time.process_time()
    work()
    return time.process_time() - before


def measure_run(case: Case, backend: Recorded, out: Path) -> dict[str, Any]:
    """Run the slide, and return CPU seconds of the process and its busiest thread, and seconds by stage."""
    trace, watch = Trace(), BusiestThread()
    watch.start()
    before, start = time.process_time(), time.perf_counter()
    windows = infer(case, backend, out, trace)
    cpu_s, wall_s = time.process_time() - before, time.perf_counter() - start
    stages = {name: stage.spent_s for name, stage in trace.get_times().items()}
    return {
        "windows": windows,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "thread_s": watch.stop(),
        "stages_s": stages,
    }


def compare(runs: list[dict[str, Any]], decoding_s: float) -> dict[str, Any]:
    """Return the medians of the runs as multiples of the decoding, and the windows/s that they allow."""
    median = {key: statistics.median(run[key] for run in runs) for key in ("cpu_s", "thread_s", "wall_s")}
    windows = runs[0]["windows"]
    stages = {
        name: statistics.median(run["stages_s"].get(name, 0.0) for run in runs)
        for name in runs[0]["stages_s"]
    }
    return {
        "windows": windows,
        "cpus": count_cpus(),
        "decoding_s": round(decoding_s, 3),
        "times_decoding": {
            "process": round(median["cpu_s"] / decoding_s, 2),
            "busiest_thread": round(median["thread_s"] / decoding_s, 2),
            "stages": {name: round(stage_s / decoding_s, 2) for name, stage_s in stages.items()},
        },
        "aims": AIMS,
        "windows_per_s": round(windows / median["wall_s"], 1),
        "most_windows_per_s": {
            str(cores): round(windows / max(median["cpu_s"] / cores, median["thread_s"]), 1)
            for cores in (1, 2, CORES)
        },
    }


if __name__ == "__main__":
    main()
