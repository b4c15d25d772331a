"""FAST: patches, its own ONNX Runtime, its stitcher and its TIFF exporter, all of it in C++.

FAST feeds no bytes to a network, so it gets `float_model`'s. Its search for a magnification refuses the
mosaics, so it works at the level whose um/px is nearest, and does not resample.
It takes all CPUs: there is no setting for its threads.
"""

from __future__ import annotations

from benchmarks.rivals.task import STRIDE_PX, WINDOW_PX, Task, fulfil  # isort: skip

import fast  # type: ignore[import-not-found]

UM_PER_MM = 1000


def segment(task: Task) -> None:
    """Write the mask of a slide at the level whose um/px is nearest to the network's."""
    slide = fast.WholeSlideImageImporter.create(str(task.slide)).runAndGetOutputData()
    patches = fast.PatchGenerator.create(
        WINDOW_PX,
        WINDOW_PX,
        level=find_level(slide, task.um),
        overlapPercent=(WINDOW_PX - STRIDE_PX) / 2 / WINDOW_PX,  # at each side
    ).connect(slide)
    batches = fast.ImageToBatchGenerator.create(task.batch).connect(patches)
    network = fast.SegmentationNetwork.create(
        modelFilename=str(task.model),
        inferenceEngine="ONNXRuntime",
        scaleFactor=1.0,
        maxBatchSize=task.batch,
    ).connect(batches)
    stitcher = fast.PatchStitcher.create().connect(network)
    finished = fast.RunUntilFinished.create().connect(stitcher)
    fast.TIFFImagePyramidExporter.create(str(task.out)).connect(finished).run()


def find_level(slide: fast.ImagePyramid, um: float) -> int:
    """Find the level whose um/px is nearest."""
    um_l0 = slide.getSpacing()[0] * UM_PER_MM
    width_l0 = slide.getLevelWidth(0)
    return int(
        min(
            range(slide.getNrOfLevels()),
            key=lambda level: abs(um_l0 * width_l0 / slide.getLevelWidth(level) - um),
        )
    )


if __name__ == "__main__":
    fulfil(segment, ("pyfast",))
