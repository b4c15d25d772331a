"""A mosaic slide with its truth, and a model: what the slide benchmarks share."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured_on import describe_circumstances
from benchmarks.mosaic_layout import Mosaic
from benchmarks.mosaic_slide import write_slide
from benchmarks.mosaic_tissue import GLAS, find_tissue
from benchmarks.mosaic_truth import write_truth
from glandseg.model.fastest import is_open_to_choice
from glandseg.model.files import find_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.outputs.write import MASK_SUFFIX, OutputPaths


@dataclass(frozen=True, kw_only=True)
class Case:
    """A slide, its truth and a model.

    Attributes:
        slide: Slide file.
        truth: Mask of its glands at the model's um/px, 255.
        model: ONNX file.
        um: um/px of the model.
        scales: Scales at which the model runs.
        folder: Folder for outputs; it is removed in the end, with the slide.
        facts: Properties of slide and model, for the result.
    """

    slide: Path
    truth: Path
    model: Path
    um: float
    scales: tuple[float, ...]
    folder: Path
    facts: dict[str, object]

    def command(self, out: Path, options: Sequence[str], model: Path | None = None) -> list[str]:
        """Return the command that finds the slide's glands, with this model or another."""
        file = model or self.model
        as_it_is = ["--precision", "float32"] if is_open_to_choice(file) else []
        program = [sys.executable, "-m", "glandseg", "infer", str(self.slide)]
        return [*program, "--out", str(out), "--model", str(file), *as_it_is, *options]

    def mask(self, out: Path) -> Path:
        """Return the mask that the command writes."""
        return OutputPaths.of_slide(self.slide, out)[MASK_SUFFIX]


def add_case_options(parser: argparse.ArgumentParser, side: int) -> None:
    """Add the options of all slide benchmarks."""
    parser.add_argument("--side", type=int, default=side, help="side of the slide, in level-0 px")
    parser.add_argument("--tissue", type=float, default=1.0, help="share of tissue on the slide")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--glas", type=Path, default=GLAS, help="folder of GlaS; without it, synthetic tissue"
    )
    parser.add_argument("--model", type=Path, help="default: the newest below models/, else the bundled one")
    parser.add_argument("--cpus", type=int, help="CPUs to use; default: all")
    parser.add_argument(
        "--scratch", type=Path, help="folder of the slide and the outputs, removed afterwards"
    )
    parser.add_argument("--json", type=Path, help="file of the result, which is also printed")
    parser.add_argument("options", nargs="*", help="after --: further options of `glandseg infer`")


@contextmanager
def prepare_case(
    args: argparse.Namespace, side: int | None = None, share: float | None = None
) -> Iterator[Case]:
    """Build the slide of the options, or one of another side and share; remove it afterwards."""
    if args.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cpus])
    file = find_model(args.model)
    with CpuSession(file.path, threads=1) as session:
        um, scales = session.card.um_per_px, session.card.scales
    side, share = side or args.side, share or args.tissue
    mosaic = Mosaic(find_tissue(args.glas), side_px=side, share=share, seed=args.seed)
    with tempfile.TemporaryDirectory(dir=args.scratch) as name:
        folder = Path(name)
        slide, truth = folder / f"mosaic-{side}.tif", folder / "truth.tif"
        write_slide(slide, mosaic)
        write_truth(truth, mosaic, um)
        facts: dict[str, object] = {
            "slide": {"side_px": side, "tissue": share, "seed": args.seed, "shows": mosaic.tissue.name},
            "model": {"file": file.path.name, "sha256": file.sha256, "um_per_px": um},
            "options": args.options,
        }
        model = file.path
        yield Case(
            slide=slide, truth=truth, model=model, um=um, scales=tuple(scales), folder=folder, facts=facts
        )


def report_result(args: argparse.Namespace, facts: dict[str, object]) -> None:
    """Print a result with its circumstances, and write it if `--json` is given."""
    text = json.dumps({**facts, **describe_circumstances()}, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")
