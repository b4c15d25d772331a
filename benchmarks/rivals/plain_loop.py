"""The simplest loop: OpenSlide, cv2.resize, ONNX Runtime, the mean where windows overlap."""

from __future__ import annotations

from benchmarks.rivals.task import GLAND, STRIDE_PX, THRESHOLD, WINDOW_PX, Task, fulfil, write_mask  # isort: skip

import math

import cv2
import numpy as np
import onnxruntime
import openslide
from numpy.typing import NDArray


def segment(task: Task) -> None:
    """Write the mask of a slide at the network's um/px."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    session = onnxruntime.InferenceSession(str(task.model), options, providers=["CPUExecutionProvider"])
    slide = openslide.OpenSlide(str(task.slide))
    factor = task.um / float(slide.properties["openslide.mpp-x"])
    width, height = (math.ceil(side / factor) for side in slide.dimensions)
    level = slide.get_best_level_for_downsample(factor)
    total, count = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    corners = [(x, y) for y in range(0, height, STRIDE_PX) for x in range(0, width, STRIDE_PX)]
    for first in range(0, len(corners), task.batch):
        part = corners[first : first + task.batch]
        windows = np.stack([read_window(slide, level, factor, x, y) for x, y in part])
        for (x, y), found in zip(part, session.run(None, {"windows": windows})[0], strict=True):
            target = np.s_[y : y + WINDOW_PX, x : x + WINDOW_PX]
            rows, columns = total[target].shape
            total[target] += found[GLAND, :rows, :columns]
            count[target] += 1
    write_mask(task.out, total >= 255 * THRESHOLD * count)


def read_window(slide: openslide.OpenSlide, level: int, factor: float, x: int, y: int) -> NDArray[np.uint8]:
    """Read the window at x, y in network px as (320, 320, 3) uint8 RGB; white beyond the slide."""
    side = round(WINDOW_PX * factor / slide.level_downsamples[level])
    rgba = np.asarray(slide.read_region((round(x * factor), round(y * factor)), level, (side, side)))
    rgb = np.where(rgba[..., 3:] > 0, rgba[..., :3], np.uint8(255))
    return np.asarray(cv2.resize(rgb, (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    fulfil(segment, ("onnxruntime", "openslide-python", "openslide-bin", "opencv-python-headless", "numpy"))
