from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from glandseg.export.graph import WindowGraph
from glandseg.training.torch_backend import TorchBackend


def test_computes_what_training_judges_by(segmenter: nn.Module, tiles: NDArray[np.uint8]) -> None:
    with torch.inference_mode():
        probabilities = WindowGraph(segmenter)(torch.from_numpy(tiles))
    assert probabilities.dtype == torch.uint8
    assert np.array_equal(probabilities.numpy(), TorchBackend(segmenter).infer(tiles))
    assert (probabilities.sum(1) == 255).all()


def test_logits_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="gland and perhaps core. Received: 12 channels"):
        WindowGraph(nn.PixelUnshuffle(2))(torch.zeros((1, 8, 8, 3), dtype=torch.uint8))
