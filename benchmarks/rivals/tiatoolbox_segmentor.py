"""TIAToolbox: `SemanticSegmentor` over the whole slide, to its zarr of predictions and then the mask."""

from __future__ import annotations

from benchmarks.rivals.task import GLAND, STRIDE_PX, WINDOW_PX, Task, fulfil, write_mask  # isort: skip

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.absent_modules import stand_in
from benchmarks.rivals.network import Network, open_network

NOT_NEEDED = (
    *("torchvision", "timm", "transformers"),  # its pretrained networks
    *("SimpleITK", "umap", "numba"),  # registration and graphs
    *("flask", "flask_cors", "bokeh", "ipywidgets", "s3fs"),  # web pages and remote files
)
stand_in(NOT_NEEDED)

from tiatoolbox.models.engine.io_config import IOSegmentorConfig  # type: ignore[import-not-found] # noqa: E402
from tiatoolbox.models.engine.semantic_segmentor import SemanticSegmentor  # type: ignore[import-not-found] # noqa: E402
from tiatoolbox.models.models_abc import ModelABC  # type: ignore[import-not-found] # noqa: E402


class NetworkModel(ModelABC):  # type: ignore[misc]
    """The network in TIAToolbox's interface."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Any) -> Any:
        """Compute (N, 320, 320, 2) uint8 probabilities of (N, 320, 320, 3) uint8 RGB."""
        return self.network.infer(windows.numpy()).transpose(0, 2, 3, 1)

    @staticmethod
    def infer_batch(model: Any, batch_data: Any, *, device: str) -> NDArray[np.float32]:
        """Compute (N, 320, 320, 2) float32 probabilities of the loader's batch."""
        shares: NDArray[np.float32] = np.asarray(model(batch_data), np.float32) / np.float32(255)
        return shares

    @staticmethod
    def postproc(image: Any) -> Any:
        """Mark where gland is likelier."""
        return image[..., GLAND] >= image[..., 1 - GLAND]


def segment(task: Task) -> None:
    """Write the mask of a slide at the network's um/px."""
    import torch
    import zarr

    network = NetworkModel(open_network(task.model, task.threads))
    resolution = [{"units": "mpp", "resolution": task.um}]
    config = IOSegmentorConfig(
        input_resolutions=resolution,
        output_resolutions=resolution,
        save_resolution=resolution[0],
        patch_input_shape=[WINDOW_PX, WINDOW_PX],
        patch_output_shape=[WINDOW_PX, WINDOW_PX],
        stride_shape=[STRIDE_PX, STRIDE_PX],
    )
    segmentor = SemanticSegmentor(model=network, batch_size=task.batch, num_workers=0, device="cpu")
    with tempfile.TemporaryDirectory(dir=task.out.parent) as folder, torch.inference_mode():
        found = segmentor.run(
            images=[task.slide],
            ioconfig=config,
            patch_mode=False,
            save_dir=Path(folder) / "run",
            output_type="zarr",
            auto_get_mask=False,
            batch_size=task.batch,
            num_workers=0,
            device="cpu",
            overwrite=True,
        )
        store = zarr.open(str(next(iter(found.values()))), mode="r")
        write_mask(task.out, np.asarray(store["predictions"][:]).squeeze().astype(np.bool_))


if __name__ == "__main__":
    fulfil(segment, ("tiatoolbox", "torch", "onnxruntime", "openslide-python", "openslide-bin", "numpy"))
