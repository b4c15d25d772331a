"""The task of every rival: a slide and a network in, one mask out.

Each rival runs in an environment of its own that does not hold glandseg, so this module needs nothing but
the standard library and, to write a mask, numpy and tifffile.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_PX = 320
STRIDE_PX = 256
GLAND = 1  # the class's index among (non-gland, gland)
THRESHOLD = 0.5
STARTED = time.perf_counter()  # rivals import this module before anything large


@dataclass(frozen=True, kw_only=True)
class Task:
    """The task of a rival.

    Attributes:
        slide: Slide file.
        model: Model file: windows (N, 320, 320, 3) uint8 RGB in, probabilities (N, 2, 320, 320) uint8 out.
        out: Mask to write, not 0 for gland.
        um: um/px of the network.
        threads: Number of CPU threads.
        batch: Windows per call.
    """

    slide: Path
    model: Path
    out: Path
    um: float
    threads: int
    batch: int


def fulfil(segment: Callable[[Task], None], packages: Sequence[str]) -> None:
    """Read the task from the command line, run the rival, print seconds and versions as a line of JSON."""
    parser = argparse.ArgumentParser()
    for name in ("slide", "model", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--um", type=float, default=1.3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    task, loaded = Task(**vars(parser.parse_args())), time.perf_counter()
    segment(task)
    seconds = {"imports": loaded - STARTED, "segment": time.perf_counter() - loaded}
    stages = {name: round(value, 2) for name, value in seconds.items()}
    versions = {name: metadata.version(name) for name in packages}
    print("\n" + json.dumps({"stages_s": stages, "versions": versions}))


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask of (H, W) bool as a tiled, deflated TIFF without a pyramid, 255 for gland."""
    import numpy as np
    import tifffile

    tifffile.imwrite(
        path, mask * np.uint8(255), tile=(512, 512), compression="zlib", photometric="minisblack"
    )
