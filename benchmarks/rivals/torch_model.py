"""A run's segmenter as TorchScript, for rivals that run PyTorch: bytes in and out, as in the ONNX file.

python -m benchmarks.rivals.torch_model RUN NAME.pt
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch

from benchmarks.rivals.task import WINDOW_PX
from glandseg.export.graph import WindowGraph
from glandseg.training.factory import load_segmenter
from glandseg.training.run import open_run

EXAMPLES = 2  # windows to trace with; any number runs


def write_torch_model(run: Path, target: Path) -> None:
    """Trace a run's segmenter: (N, 320, 320, 3) uint8 RGB in, (N, 2, 320, 320) uint8 out."""
    graph = WindowGraph(load_segmenter(open_run(run))).eval()
    windows = torch.zeros((EXAMPLES, WINDOW_PX, WINDOW_PX, 3), dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of the normalisation's constants
        torch.jit.trace(graph, windows).save(str(target))  # type: ignore[no-untyped-call]


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    write_torch_model(args.run, args.target)


if __name__ == "__main__":
    main()
