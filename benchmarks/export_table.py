"""What export costs and gains on this CPU: size, seconds, tiles per second, and each file's error.

Three networks: the bundled model, and the papers' PSPNets on ResNeSt-200 and ResNet38, randomly initialised.
They are as fast as trained ones, but turn any rounding into noise, so their differences are left out. The
ways to run a network take turns, one batch each, so that other load on the machine affects all alike: compare
the ratios of one run.

    python -m benchmarks.export_table --run runs/glandseg-colon --ebhi EBHI --glas GLAS
    python -m benchmarks.export_table --networks resnet38 --rounds 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from benchmarks.measured_on import describe_circumstances
from glandseg.core.system import count_cpus
from glandseg.export.fp16 import to_fp16
from glandseg.export.int8 import FOR_CPU, FOR_TENSORRT, to_int8
from glandseg.export.int8_calibration import draw_calibration, read_calibration
from glandseg.export.onnx_file import stamp, trace_segmenter, write_model
from glandseg.model.backend import Network
from glandseg.model.card import ModelCard
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import draw_golden_tiles, measure_parity
from glandseg.training.data.datasets import find_samples
from glandseg.training.evaluation.evaluate import choose_part, evaluate
from glandseg.training.factory import load_segmenter
from glandseg.training.networks.build import build_encoder
from glandseg.training.networks.pspnet import PSPNet
from glandseg.training.run import Run, open_run
from glandseg.training.torch_backend import TorchBackend

OWN, UM_PER_PX = "mobilenetv2", 1.3
# Of each network: output stride, width of the head, windows a call, tiles that INT8 ranges are measured on.
NETWORKS = {OWN: (16, 128, 4, 32), "resnest200": (8, 512, 1, 2), "resnet38": (8, 512, 1, 2)}
FILES = ("float32", "float16", "int8", "int8 for TensorRT")
Clocked = tuple[Any, float]


def main() -> None:
    """Measure, write the JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--run", type=Path, help="run of the bundled model; without it, randomly initialised")
    parser.add_argument(
        "--ebhi", type=Path, help="EBHI-Seg: calibrates INT8, and scores the held-out patients"
    )
    parser.add_argument("--glas", type=Path, help="GlaS; its testA is scored")
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--rounds", type=int, default=7, help="timed calls of each way, after a warm-up")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "export-table.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    networks = {name: measure(name, args) for name in args.networks.split(",")}
    result = {
        "networks": networks,
        "threads": args.threads,
        "rounds": args.rounds,
        **describe_circumstances(),
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(to_markdown(result))


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Export one network in every precision, and measure its files."""
    stride, width, batch, tiles = NETWORKS[name]
    run = open_run(args.run) if name == OWN and args.run else None
    torch.manual_seed(0)
    segmenter = load_segmenter(run) if run else PSPNet(build_encoder(name, stride), width=width).eval()
    with tempfile.TemporaryDirectory() as folder:
        paths, facts = export(segmenter, run, Path(folder), tiles, args.ebhi)
        rates = measure_rates(segmenter, paths, batch, args)
        if run:
            for file, path in paths.items():
                facts[file] |= compare(segmenter, path) | score(path, args.ebhi, args.glas, args.threads)
    return {"network": f"PSPNet on {name}, output stride {stride}, trained: {run is not None}",
            "windows_a_call": batch, "tiles_per_s": rates, "files": facts}  # fmt: skip


def export(
    segmenter: nn.Module, run: Run | None, folder: Path, tiles: int, ebhi: Path | None
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Write all files; return their paths, sizes and seconds (float32's are part of each)."""
    calibration = read_calibration(ebhi, run, UM_PER_PX) if run and ebhi else draw_calibration(UM_PER_PX)
    measured_on = calibration.tiles[:tiles]
    model, seconds = clock(lambda: trace_segmenter(segmenter))
    makers: dict[str, Callable[[], onnx.ModelProto]] = {
        "float32": lambda: model,
        "float16": lambda: to_fp16(model),
        "int8": lambda: to_int8(model, measured_on, FOR_CPU),
        "int8 for TensorRT": lambda: to_int8(model, measured_on, FOR_TENSORRT),
    }
    paths: dict[str, Path] = {}
    facts: dict[str, dict[str, Any]] = {}
    for number, file in enumerate(FILES):
        made, more = clock(makers[file])
        precision = file.split()[0]
        stamp(made, ModelCard(name="table", network="", tissue="", um_per_px=UM_PER_PX, weights_sha256="",
                              precision=precision))  # fmt: skip
        paths[file] = folder / f"{number}.onnx"
        write_model(paths[file], made)
        facts[file] = {"mb": round(paths[file].stat().st_size / 1e6, 2), "export_s": round(seconds + more, 1)}
    facts["int8"]["calibration"] = f"{len(measured_on)} of {calibration.source}"
    return paths, facts


def measure_rates(
    segmenter: nn.Module, paths: dict[str, Path], batch: int, args: argparse.Namespace
) -> dict[str, float]:
    """Measure each way's tiles per second, by the median of its calls."""
    tiles = draw_golden_tiles(UM_PER_PX)[:batch]
    with ExitStack() as stack:
        ways: dict[str, Network] = {"PyTorch eager": TorchBackend(segmenter)}
        if args.compile:
            ways["torch.compile"] = TorchBackend(torch.compile(segmenter))  # type: ignore[arg-type]
        for file, path in paths.items():
            ways[f"ONNX Runtime, {file}"] = stack.enter_context(CpuSession(path, threads=args.threads))
        for network in ways.values():
            network.infer(tiles)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for name, network in _take_turns(ways, args.rounds):
            seconds[name].append(clock(lambda network=network: network.infer(tiles))[1])  # type: ignore[misc]
    return {name: round(batch / statistics.median(each), 2) for name, each in seconds.items()}


def _take_turns(ways: dict[str, Network], rounds: int) -> Iterator[tuple[str, Network]]:
    for _ in range(rounds):
        yield from ways.items()


def compare(segmenter: nn.Module, path: Path) -> dict[str, Any]:
    """Measure a file's difference from PyTorch on the golden tiles."""
    with CpuSession(path) as session:
        parity = measure_parity(TorchBackend(segmenter), session, draw_golden_tiles(UM_PER_PX))
    return {"parity": {key: round(value, 6) for key, value in asdict(parity).items()}}


def score(path: Path, ebhi: Path | None, glas: Path | None, threads: int) -> dict[str, Any]:
    """Compute a file's mIoU in percent on the held-out images."""
    scores = {}
    with CpuSession(path, threads=threads) as session:
        for folder, part in ((ebhi, "test"), (glas, "testA")):
            if folder is not None:
                scores[part] = score_part(session, folder, part)
    return {"miou": scores} if scores else {}


def score_part(session: CpuSession, folder: Path, part: str) -> float:
    """Compute the mIoU in percent on one part of a data set."""
    data_set = find_samples(folder)
    found = evaluate(
        choose_part(data_set, part),
        session,
        image_um=data_set.um_per_px or UM_PER_PX,
        model_um=UM_PER_PX,
    )
    return round(100 * found.total.confusion.miou, 3)


def clock(part: Callable[[], Any]) -> Clocked:
    """Return a part's result, and its seconds."""
    before = time.perf_counter()
    result = part()
    return result, time.perf_counter() - before


def to_markdown(result: dict[str, Any]) -> str:
    """Return the table, a line for each file and way."""
    lines = [
        "| network | run by | MB | export s | tiles/s | of float32 file | max dp | pixels alike | mIoU |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, network in result["networks"].items():
        rates = network["tiles_per_s"]
        for way, rate in rates.items():
            facts = network["files"].get(way.removeprefix("ONNX Runtime, "), {})
            lines.append(_lay_line(name, way, rate, rate / rates["ONNX Runtime, float32"], facts))
    return "\n".join(lines)


def _lay_line(name: str, way: str, rate: float, ratio: float, facts: dict[str, Any]) -> str:
    parity, miou = facts.get("parity"), facts.get("miou", {})
    near = f"{parity['max_dp']:.4f} | {parity['argmax_agreement']:.5f}" if parity else " | "
    scores = ", ".join(f"{value:.2f}" for value in miou.values())
    return (
        f"| {name} | {way} | {facts.get('mb', '')} | {facts.get('export_s', '')} | {rate:.2f} | {ratio:.2f} "
        f"| {near} | {scores} |"
    )


if __name__ == "__main__":
    main()
