"""The weights of an exported model come back: to a segmenter that computes the same, or to its encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.training.factory import build_segmenter
from glandseg.training.networks.build import build_encoder
from glandseg.training.networks.weights import load_weights
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import TorchBackend


def test_the_bundled_model_comes_back_to_1_of_255() -> None:
    network = build_segmenter(TrainSettings())
    report = load_weights(network, BUNDLED)
    assert all(name.startswith("auxiliary_head.") for name in report.missing)
    windows = np.random.default_rng(0).integers(0, 256, (1, 320, 320, 3), dtype=np.uint8)
    with CpuSession(BUNDLED, threads=1) as session:
        expected = session.infer(windows).astype(int)
    assert np.abs(TorchBackend(network).infer(windows) - expected).max() <= 1


def test_an_encoder_takes_its_part() -> None:
    encoder, network = build_encoder("mobilenetv2", 16).eval(), build_segmenter(TrainSettings()).eval()
    assert not load_weights(encoder, BUNDLED).missing
    load_weights(network, BUNDLED)
    image = torch.rand(1, 3, 64, 64)
    for own, whole in zip(encoder(image), network.encoder(image), strict=True):
        assert torch.equal(own, whole)


def test_another_network_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="none of the network's tensors"):
        load_weights(build_encoder("resnet50v2", 16), BUNDLED)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(BUNDLED.read_bytes()[:1000])
    with pytest.raises(BadInputError, match=r"damaged\.onnx: not an ONNX model"):
        load_weights(build_encoder("mobilenetv2", 16), path)
