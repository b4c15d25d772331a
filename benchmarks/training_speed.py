"""Training images per second and the time of each part, stage by stage, on synthetic tissue.

The parts of a step are timed one after the other: drawing the batch, forward, backward, optimiser. The
training loop itself draws one batch ahead in a thread, which hides the drawing as long as that takes less
than the rest: `images_per_s` counts it as hidden, `images_per_s_in_turn` does not. So on a CPU the network
limits, and on a GPU the drawing may, for it is CPU work (warping and color, about as fast on every
machine): look at whether `draw_s` exceeds the other three together. More drawing threads, not a faster GPU,
would help then. On a GPU, each part waits for the device to finish, which costs a little.

`--compare` times, in turn, the gradients of dilated depthwise convolutions that training uses and
PyTorch's own, in float32 and in bfloat16, in CPU seconds a step, which other processes hardly change.

    python benchmarks/training_speed.py --set segmenter.fit.batch=8
    python benchmarks/training_speed.py --threads 1 --compare
    python benchmarks/training_speed.py --preset feng --profile
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glandseg.core.system import count_cpus
from glandseg.training.data.datasets import GLAS_UM_PER_PX, find_samples
from glandseg.training.data.examples import read_examples
from glandseg.training.data.patches import list_patches
from glandseg.training.data.sample import Sample
from glandseg.training.demo import write_synthetic_data
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.loop.fit import ComputeLoss
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.optimizer import build_optimizer
from glandseg.training.loop.precision import fix_precision
from glandseg.training.loop.sampling import DrawBatch
from glandseg.training.networks.depthwise import DepthwiseConv2d
from glandseg.training.segmenter import ExampleStream
from glandseg.training.segmenter_loss import segmentation_loss
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_preset
from glandseg.training.torch_backend import autocast
from glandseg.training.weak.patch_stream import PatchStream

PARTS = ("draw", "forward", "backward", "step")
Method = Callable[[nn.Module, DrawBatch, ComputeLoss, FitSettings], dict[str, float]]


def main() -> None:
    """Measure both stages, and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--set", action="append", default=[], help="one setting, such as segmenter.crop=128")
    parser.add_argument("--steps", type=int, default=5, help="timed steps, after a warm-up")
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--profile", action="store_true", help="also print torch.profiler's table")
    parser.add_argument("--compare", action="store_true", help="compare gradients instead of timing parts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = override_settings(read_preset(args.preset), args.set)
    method = partial(compare if args.compare else measure, steps=args.steps, profile=args.profile)
    with tempfile.TemporaryDirectory() as folder:
        samples = find_samples(write_synthetic_data(Path(folder))).samples[:8]
        stages = {
            "classifier": measure_classifier(samples, settings, method),
            "segmenter": measure_segmenter(samples, settings, method),
        }
    print(json.dumps({**stages, **describe_machine(args.threads), "preset": args.preset}, indent=1))


def measure_classifier(
    samples: tuple[Sample, ...], settings: TrainSettings, method: Method
) -> dict[str, float]:
    """Measure stage 1 on synthetic tissue."""
    images = [sample.read() for sample in samples]
    patches = list_patches(samples, images, GLAS_UM_PER_PX, settings.classifier)
    stream = PatchStream(patches, images, settings.classifier)
    network = build_classifier(settings)
    compute_loss: ComputeLoss = lambda _, batch: network.compute_loss(batch)  # noqa: E731
    return method(network, stream.draw, compute_loss, settings.classifier.fit)


def measure_segmenter(
    samples: tuple[Sample, ...], settings: TrainSettings, method: Method
) -> dict[str, float]:
    """Measure stage 2 on synthetic tissue."""
    stage = settings.segmenter
    examples = read_examples(samples, None, GLAS_UM_PER_PX, stage)
    network, stream = build_segmenter(settings), ExampleStream(examples, stage)
    compute_loss: ComputeLoss = lambda network, batch: segmentation_loss(network, batch, stage)  # noqa: E731
    return method(network, stream.draw, compute_loss, stage.fit)


def measure(
    network: nn.Module,
    draw: DrawBatch,
    compute_loss: ComputeLoss,
    fit: FitSettings,
    steps: int,
    profile: bool,
) -> dict[str, float]:
    """Measure the median seconds and share of each part of a step, and images per second."""
    is_half = fix_precision(fit).precision == "bfloat16"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(network.train(), fit)

    def take_step(step: int) -> list[float]:
        batch, draw_s = clock(lambda: draw(step, slice(None)).to(device))
        with autocast(enabled=is_half):
            loss, forward_s = clock(lambda: compute_loss(network, batch))
        optimizer.zero_grad()
        _, backward_s = clock(loss.backward)
        _, step_s = clock(optimizer.step)
        return [draw_s, forward_s, backward_s, step_s]

    take_step(0)
    seconds = [take_step(step) for step in range(1, steps + 1)]
    if profile:
        with torch.profiler.profile() as profiler:
            take_step(steps + 1)
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=12), file=sys.stderr)
    return summarise(seconds, fit.batch)


def compare(
    network: nn.Module,
    draw: DrawBatch,
    compute_loss: ComputeLoss,
    fit: FitSettings,
    steps: int,
    profile: bool,
) -> dict[str, float]:
    """Measure the median CPU seconds of a step on the CPU, for each precision and each form of gradients."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, batch = build_optimizer(network.train(), fit), draw(0, slice(None))
    seconds: dict[str, list[float]] = {}
    layers = [layer for layer in network.modules() if isinstance(layer, DepthwiseConv2d)]
    for _ in range(steps + 1):
        for precision, form in itertools.product(("float32", "bfloat16"), ("plain", "phases")):
            for layer in layers:  # whose gradients are PyTorch's own in evaluation mode
                layer.train(form == "phases")
            before = time.process_time()
            with autocast(enabled=precision == "bfloat16"):
                loss = compute_loss(network, batch)
            optimizer.zero_grad()
            clock(loss.backward)
            optimizer.step()
            seconds.setdefault(f"{precision}_{form}_s", []).append(time.process_time() - before)
    facts = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    for precision in ("float32", "bfloat16"):
        facts[f"{precision}_ratio"] = facts[f"{precision}_plain_s"] / facts[f"{precision}_phases_s"]
    return {name: round(value, 3) for name, value in facts.items()}


def clock(part: Callable[[], Any]) -> tuple[Any, float]:
    """Return a part's result, and its seconds, GPU work included."""
    before = time.perf_counter()
    result = part()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - before


def summarise(seconds: list[list[float]], batch: int) -> dict[str, float]:
    """Return medians, shares and images per second of steps' seconds by part."""
    medians = [statistics.median(part) for part in zip(*seconds, strict=True)]
    total, network = sum(medians), sum(medians[1:])
    facts = {f"{name}_s": round(part, 4) for name, part in zip(PARTS, medians, strict=True)}
    facts |= {f"{name}_share": round(part / total, 3) for name, part in zip(PARTS, medians, strict=True)}
    facts["images_per_s"] = round(batch / max(network, medians[0]), 2)
    facts["images_per_s_in_turn"] = round(batch / total, 2)
    return facts


def describe_machine(threads: int) -> dict[str, object]:
    """Return machine and date of the measurement."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {name}",
        "threads": threads,
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }


if __name__ == "__main__":
    main()
