"""What an NVIDIA GPU makes of a model: windows per second alone and end to end, starts, parity with the CPU.

Each route is a way to run the network: ONNX Runtime through CUDA in float32 and float16, TensorRT where it is
installed, and PyTorch in bfloat16 for comparison. `alone` feeds windows from memory, from as many threads as
the backend lets overlap; `end_to_end` is `glandseg infer` on a mosaic slide as a command. The GPU's busy
share is the windows at the rate of the network alone, over the seconds of the command's stage "windows". A
cold start is the first with an empty cache folder, which compares the GPU with the CPU; a warm one the next.

    python benchmarks/gpu.py --side 16384 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from benchmarks.mosaic_slide import MODEL_UM_PER_PX
from benchmarks.watched_run import watch
from glandseg.core.errors import explain
from glandseg.model.backend import Network
from glandseg.model.files import FP16_SUFFIX
from glandseg.model.gpu import read_cudnn_version, read_machine
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.open_backend import open_backend
from glandseg.model.parity import draw_golden_tiles, measure_parity
from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.outputs.write import RECORD_SUFFIX, OutputPaths
from glandseg.training.factory import build_segmenter
from glandseg.training.networks.exported_weights import load_exported
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import TorchBackend, to_images

BATCHES = (8, 32, 128)
SECONDS = 2.0  # of each measurement of the network alone
OPEN = """
import sys
from pathlib import Path
from glandseg.model.open_backend import open_backend
with open_backend(Path(sys.argv[1]), device=sys.argv[2]):
    pass
"""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way to run the network.

    Attributes:
        name: Name in the result.
        path: Model file.
        device: Device of `glandseg infer`; None for PyTorch, which the package does not infer with.
    """

    name: str
    path: Path
    device: str | None


def main() -> None:
    """Measure every route, and report the result; a route that fails is listed with the reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=2, help="end-to-end runs of each route")
    add_case_options(parser, side=16384)
    args = parser.parse_args()
    if args.options:
        parser.error("options of `glandseg infer` are not taken: they are those of each route")
    with prepare_case(args) as case:
        routes = {route.name: measure_route(route, case, args.runs) for route in list_routes(case.model)}
    report_result(args, {**case.facts, "gpu": describe_gpu(), "routes": routes})


def list_routes(model: Path) -> Iterator[Route]:
    """Yield the routes of a float32 model file and of the float16 file beside it."""
    fp16 = model.with_name(f"{model.stem}{FP16_SUFFIX}.onnx")
    yield Route(name="cuda float32", path=model, device="cuda")
    yield Route(name="cuda float16", path=fp16, device="cuda")
    if importlib.util.find_spec("tensorrt") or importlib.util.find_spec("tensorrt_rtx"):
        yield Route(name="trt float16", path=fp16, device="trt")
    yield Route(name="torch bfloat16", path=model, device=None)


def measure_route(route: Route, case: Case, runs: int) -> dict[str, Any]:
    """Measure a route, or return why it does not run."""
    try:
        starts = measure_starts(route, case.folder / f"cache-{route.name}") if route.device else {}
        alone = {str(batch): measure_alone(route, batch) for batch in BATCHES}
        best = max(alone, key=lambda batch: alone[batch])
        runs = runs if route.device else 0
        return {
            "start_s": starts,
            "parity": compare_with_cpu(route, case),
            "alone_windows_per_s": alone,
            "end_to_end": [measure_command(route, case, run, int(best), alone[best]) for run in range(runs)],
        }
    except Exception as error:  # the GPU's libraries raise classes that share no base
        return {"fails": explain(error)}


@contextmanager
def opened(route: Route, batch: int) -> Iterator[Any]:
    """Open a route's backend for batches of one size."""
    if route.device:
        with open_backend(route.path, device=route.device, batch=batch) as backend:
            yield backend
    else:
        yield open_in_torch(route.path)


def open_in_torch(path: Path) -> Network:
    """Rebuild the bundled network, or one of its shape, in PyTorch on the GPU."""
    network = build_segmenter(TrainSettings(segmenter=SegmenterSettings(skip=4, core_um=5)))
    load_exported(network, path, to_images(torch.from_numpy(draw_golden_tiles(MODEL_UM_PER_PX))))
    network.to("cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TorchBackend(network, precision="bfloat16")


def measure_alone(route: Route, batch: int) -> float:
    """Return the windows per second of the network on windows in memory."""
    windows = np.resize(draw_golden_tiles(MODEL_UM_PER_PX), (batch, WINDOW_PX, WINDOW_PX, 3))
    with opened(route, batch) as backend:
        return round(time_calls(backend.infer, windows, getattr(backend, "slots", 1)), 1)


def time_calls(infer: Callable[[NDArray[np.uint8]], Any], windows: NDArray[np.uint8], threads: int) -> float:
    """Return the windows per second of repeated calls from some threads, each warmed up by one call."""
    done = [0] * threads
    warm = threading.Barrier(threads + 1)

    def repeat(thread: int) -> None:
        infer(windows)
        warm.wait()
        start = time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            infer(windows)
            done[thread] += len(windows)

    started = [threading.Thread(target=repeat, args=(thread,)) for thread in range(threads)]
    for each in started:
        each.start()
    warm.wait()
    start = time.perf_counter()
    for each in started:
        each.join()
    return sum(done) / (time.perf_counter() - start)


def measure_starts(route: Route, cache: Path) -> dict[str, float]:
    """Return the seconds of two processes that open the route and end, the first with an empty cache."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    seconds = {}
    for name in ("cold", "warm"):
        before = time.perf_counter()
        command = [sys.executable, "-c", OPEN, str(route.path), str(route.device)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        seconds[name] = round(time.perf_counter() - before, 2)
    return seconds


def compare_with_cpu(route: Route, case: Case) -> dict[str, float]:
    """Return the difference between the route and the float32 file on the CPU."""
    with CpuSession(case.model) as reference, opened(route, 8) as backend:
        return asdict(measure_parity(reference, backend, draw_golden_tiles(case.um)))


def measure_command(route: Route, case: Case, run: int, batch: int, alone: float) -> dict[str, Any]:
    """Run `glandseg infer` with a route, and return its windows per second and where its time goes."""
    out = case.folder / f"{route.name}-{run}"
    options = ["--device", str(route.device), "--batch", str(batch)]
    measured = watch(case.command(out, options, route.path))
    if measured.exit_code:
        raise SystemExit(f"{route.name}: {measured.output}")
    record = OutputPaths.of_slide(case.slide, out)[RECORD_SUFFIX]
    result = json.loads(record.read_text(encoding="utf-8"))["result"]
    rate, seconds = result["windows"] / result["seconds"]["windows"], result["seconds"]
    return {
        "batch": batch,
        "windows": result["windows"],
        "seconds": round(measured.seconds, 2),
        "cpu_s": round(measured.cpu_s, 2),
        "windows_per_s": round(rate, 1),
        "gpu_busy_share": round(rate / alone, 4),
        "stages_s": {name: round(value, 2) for name, value in seconds.items()},
    }


def describe_gpu() -> dict[str, str]:
    """Return the GPU, its driver and cuDNN."""
    return asdict(read_machine()) | {"cudnn": read_cudnn_version()}


if __name__ == "__main__":
    main()
