"""OpenVINO beside ONNX Runtime on the CPU: windows per second of the same files, and how far they agree.

Both run in this process, in turns, with the same threads, each file at batches of 1 and 8. OpenVINO is not a
dependency: `pip install openvino`. A ratio above 1.2 somewhere that hospitals have would be worth a backend.

    python benchmarks/openvino_speed.py --threads 1 2 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_on import describe_circumstances
from glandseg.model.files import BUNDLED, find_beside
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import draw_golden_tiles
from glandseg.model.ports import INPUT

PRECISIONS = ("float32", "int8")
BATCHES = (1, 8)
ROUNDS = 7
Infer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def main() -> None:
    """Measure every file with every number of threads, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [
        compare(find_beside(args.model, precision), precision, threads)
        for precision in PRECISIONS
        for threads in args.threads
    ]
    result = {"openvino": importlib.metadata.version("openvino"), "rows": rows, **describe_circumstances()}
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")


def compare(path: Path, precision: str, threads: int) -> dict[str, Any]:
    """Run both on a file in turns; return windows per second and the largest and mean difference."""
    with CpuSession(path, threads=threads, batch=max(BATCHES)) as session:
        runtimes: dict[str, Infer] = {"onnxruntime": session.infer, "openvino": open_openvino(path, threads)}
        tiles = draw_golden_tiles(session.card.um_per_px)
        answers = [infer(tiles[: max(BATCHES)]).astype(int) for infer in runtimes.values()]
        difference = np.abs(answers[0] - answers[1])
        speeds = {str(batch): measure(runtimes, tiles[:batch]) for batch in BATCHES}
    return {
        "precision": precision,
        "threads": threads,
        "windows_per_s": speeds,
        "openvino_over_onnxruntime": {
            batch: round(each["openvino"] / each["onnxruntime"], 2) for batch, each in speeds.items()
        },
        "max_difference": int(difference.max()),
        "mean_difference": round(float(difference.mean()), 4),
    }


def open_openvino(path: Path, threads: int) -> Infer:
    """Compile a model file for OpenVINO's CPU in float32 arithmetic, with a number of threads."""
    core = importlib.import_module("openvino").Core()
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", options)
    request = compiled.create_infer_request()

    def infer(windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(request.infer({INPUT: windows})[0], np.uint8)

    return infer


def measure(runtimes: dict[str, Infer], windows: NDArray[np.uint8]) -> dict[str, float]:
    """Return the median windows per second of each runtime, run in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runtimes}
    for _ in range(ROUNDS):
        for name, infer in runtimes.items():
            before = time.perf_counter()
            infer(windows)
            seconds[name].append(time.perf_counter() - before)
    return {name: round(len(windows) / statistics.median(each[1:]), 1) for name, each in seconds.items()}


if __name__ == "__main__":
    main()
