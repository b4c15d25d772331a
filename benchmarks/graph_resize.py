"""Should the graph itself resize windows of other sizes? Its savings and costs.

Today a scale s reads the slide at 1/s of the model's um/px, resampled on the host, in windows of 320 px. A
graph that resizes could take the model's own pixels, windows of round(320 / s) px, and serve every scale from
one reading. Measured here:

- the host's resampling and stacking of a window, against ONNX Runtime's Resize inside the graph on a CPU;
- the bytes of a window that go to the device;
- what enlarging the model's pixels in place of reading finer ones does to probabilities and mIoU, on EBHI's
  validation images, as coarse as the model's own pixels, and on GlaS's training images of 0.62 um/px.

    python -m benchmarks.graph_resize EBHI GLAS
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from benchmarks.measured_on import describe_circumstances
from glandseg.core.system import count_cpus
from glandseg.model.backend import Network
from glandseg.model.card import GLAND
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.windows import WINDOW_PX, window_starts, window_weights
from glandseg.slides.open import open_slide
from glandseg.slides.plane import ImagePlane
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.evaluation.evaluate import choose_part
from glandseg.training.evaluation.metrics import Confusion

SCALES = (1.5, 2.0)
HALF_BYTE = 128


def main() -> None:
    """Compare both, write the JSON and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ebhi", type=Path)
    parser.add_argument("glas", type=Path)
    parser.add_argument("--limit", type=int, default=40, help="maximum number of images of each set")
    parser.add_argument("--threads", type=int, default=count_cpus())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "graph-resize.json")
    args = parser.parse_args()
    sets = {"EBHI val": (args.ebhi, "val"), "GlaS train": (args.glas, "train")}
    with CpuSession(BUNDLED, threads=args.threads) as session:
        detail = {
            name: [
                compare_sources(session, find_samples(folder), part, scale, args.limit) for scale in SCALES
            ]
            for name, (folder, part) in sets.items()
        }
        network_ms = clock(lambda: session.infer(np.zeros((1, WINDOW_PX, WINDOW_PX, 3), np.uint8)))
    cost = [measure_cost(scale, args.threads) for scale in SCALES]
    result = {"network_ms": network_ms, "cost": cost, "detail": detail, **describe_circumstances()}
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def measure_cost(scale: float, threads: int) -> dict[str, float]:
    """Measure milliseconds and bytes of one window, resized by the host or inside the graph."""
    side = round(WINDOW_PX / scale)
    small = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    graphs = [
        onnxruntime.InferenceSession(build_resize(kind, side).SerializeToString(), options,
                                     providers=["CPUExecutionProvider"])
        for kind in ("into", "out of")
    ]  # fmt: skip
    maps = np.zeros((1, 2, WINDOW_PX, WINDOW_PX), np.float32)
    return {
        "scale": scale,
        "host_resize_and_stack_ms": clock(
            lambda: np.stack([cv2.resize(small, (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_LINEAR)])
        ),
        "graph_resize_in_ms": clock(lambda: graphs[0].run(None, {"given": small[None]})),
        "graph_resize_out_ms": clock(lambda: graphs[1].run(None, {"given": maps})),
        "bytes_of_a_window_now": WINDOW_PX * WINDOW_PX * 3,
        "bytes_of_a_window_resized_in_graph": side * side * 3,
    }


def build_resize(kind: str, side: int) -> onnx.ModelProto:
    """Build a graph that enlarges pixels to a window, or shrinks probabilities back to `side`."""
    into = kind == "into"
    shape = [1, WINDOW_PX, WINDOW_PX, 3] if into else [1, 2, side, side]
    given = [1, side, side, 3] if into else [1, 2, WINDOW_PX, WINDOW_PX]
    nchw = [1, 3, WINDOW_PX, WINDOW_PX] if into else shape
    before = [
        helper.make_node("Cast", ["given"], ["floats"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
    ]
    resize = helper.make_node(
        "Resize", ["planes" if into else "given", "", "", "sizes"], ["resized"], mode="linear",
        coordinate_transformation_mode="half_pixel",
    )  # fmt: skip
    graph = helper.make_graph(
        [*(before if into else []), resize],
        "resize",
        [helper.make_tensor_value_info(
            "given", onnx.TensorProto.UINT8 if into else onnx.TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("resized", onnx.TensorProto.FLOAT, nchw)],
        [helper.make_tensor("sizes", onnx.TensorProto.INT64, [4], nchw)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def compare_sources(
    network: Network, data_set: DataSet, part: str, scale: float, limit: int
) -> dict[str, float]:
    """Compute the mIoU at a scale from finer px and from the model's enlarged ones, and their difference."""
    um_per_px, total = read_um_per_px(), 0.0
    read, enlarged = Confusion.empty(), Confusion.empty()
    images = choose_part(data_set, part)[:limit]
    for image in images:
        fine, coarse = (lay(image, data_set, um_per_px / scale), lay(image, data_set, um_per_px))
        height, width = fine.shape[:2]
        probabilities = [
            run(network, source)
            for source in (fine, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
        ]
        total += float(np.abs(probabilities[0] - probabilities[1]).mean()) / 255
        truth = image.read_mask() == 1
        masks = [
            cv2.resize(each, truth.shape[::-1], interpolation=cv2.INTER_LINEAR) >= HALF_BYTE
            for each in probabilities
        ]
        read, enlarged = read + Confusion.of(masks[0], truth), enlarged + Confusion.of(masks[1], truth)
    return {
        "scale": scale,
        "images": len(images),
        "miou_finer_pixels_read": round(100 * read.miou, 2),
        "miou_model_s_pixels_enlarged": round(100 * enlarged.miou, 2),
        "mean_dp": round(total / len(images), 5),
    }


def lay(image: Sample, data_set: DataSet, um_per_px: float) -> NDArray[np.uint8]:
    """Read an image at a um/px, (H, W, 3) uint8 RGB."""
    with open_slide(image.path, data_set.um_per_px) as slide:
        plane = SlidePlane(slide, um_per_px)
        return plane.read(0, 0, plane.width_px, plane.height_px)


def run(network: Network, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the gland probability of each px, (H, W) float32 in 0..255, blended as on slides."""
    plane, (height, width) = ImagePlane(pixels), pixels.shape[:2]
    rows, columns = window_starts(height), window_starts(width)
    total = np.zeros((rows[-1] + 2 * WINDOW_PX, columns[-1] + 2 * WINDOW_PX), np.float32)
    margin = -rows[0]
    for i, y_px in enumerate(rows):
        for j, x_px in enumerate(columns):
            window = plane.read(x_px, y_px, WINDOW_PX, WINDOW_PX)[None]
            weights = window_weights(i, len(rows))[:, None] * window_weights(j, len(columns)) / 2**16
            place = np.s_[y_px + margin :, x_px + margin :]
            total[place][:WINDOW_PX, :WINDOW_PX] += network.infer(window)[0, GLAND] * weights
    return total[margin : margin + height, margin : margin + width]


def read_um_per_px() -> float:
    """Read the bundled model's um/px."""
    record: dict[str, Any] = json.loads(BUNDLED.with_suffix(".json").read_text(encoding="utf-8"))
    return float(record["card"]["um_per_px"])


def clock(part: Callable[[], Any], calls: int = 50) -> float:
    """Measure the median milliseconds of a part."""
    seconds = []
    for _ in range(calls):
        before = time.perf_counter()
        part()
        seconds.append(time.perf_counter() - before)
    return round(1000 * statistics.median(seconds), 3)


if __name__ == "__main__":
    main()
