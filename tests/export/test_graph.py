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


def test_other_than_two_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 classes, non-gland and gland. Received: 3"):
        WindowGraph(nn.Identity())(torch.zeros((1, 8, 8, 3), dtype=torch.uint8))
