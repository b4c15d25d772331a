"""MONAI: `WSIReader` reads the slide at the network's um/px, `SlidingWindowInferer` runs over it."""

from __future__ import annotations

from benchmarks.rivals.task import STRIDE_PX, THRESHOLD, WINDOW_PX, Task, fulfil, write_mask  # isort: skip

import numpy as np
import torch
from monai.data.wsi_reader import WSIReader  # type: ignore[import-not-found]
from monai.inferers import SlidingWindowInferer  # type: ignore[import-not-found]

from benchmarks.rivals.network import NetworkModule, open_network


@torch.inference_mode()
def segment(task: Task) -> None:
    """Write the mask of a slide at the network's um/px."""
    network = NetworkModule(open_network(task.model, task.threads))
    reader = WSIReader(backend="openslide", dtype=np.float32)
    slide = reader.read(str(task.slide))
    image = reader.get_wsi_at_mpp(slide, mpp=(task.um, task.um), rtol=0.01)  # (3, H, W)
    inferer = SlidingWindowInferer(
        roi_size=WINDOW_PX, sw_batch_size=task.batch, overlap=1 - STRIDE_PX / WINDOW_PX
    )
    probability = inferer(torch.from_numpy(np.asarray(image, np.float32))[None], network)
    write_mask(task.out, probability[0, 0].numpy() >= THRESHOLD)


if __name__ == "__main__":
    fulfil(segment, ("monai", "torch", "onnxruntime", "openslide-python", "openslide-bin", "numpy"))
