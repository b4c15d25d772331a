"""A training starts from the bundled model or any model file as from a run: exactly, and ready to train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED
from glandseg.synthetic import draw_tile
from glandseg.training.factory import build_segmenter
from glandseg.training.initial_weights import (
    find_initial_weights,
    identify_origin,
    load_initial_weights,
    note_other_um,
)
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.weights import load_weights
from glandseg.training.settings import SegmenterSettings, TrainSettings
from glandseg.training.torch_backend import to_images


def draw_images() -> torch.Tensor:
    return to_images(
        torch.stack([torch.from_numpy(draw_tile(96, 1.04, seed, "glands")[0]) for seed in range(3)])
    )


def encode(network: Segmenter, images: torch.Tensor) -> torch.Tensor:
    return network.encoder(network.encoder.normalise(images))[-1]


def test_the_bundled_model_computes_the_same_with_statistics_of_the_images() -> None:
    exact, ready, images = build_segmenter(TrainSettings()), build_segmenter(TrainSettings()), draw_images()
    load_weights(exact, BUNDLED)
    log = load_initial_weights(ready, find_initial_weights("bundled"), images)
    assert "glandseg-colon.onnx: " in log and "not found: auxiliary_head" in log
    with torch.inference_mode():
        torch.testing.assert_close(ready.eval()(images), exact.eval()(images), atol=1e-3, rtol=1e-3)
        wanted = encode(exact, images)
        # By the batch, as in training, the folded statistics of the identity would change every scale.
        found, folded = encode(ready.train(), images), encode(exact.train(), images)
    assert (found - wanted).abs().mean() < 0.05 * wanted.abs().mean()
    assert (folded - wanted).abs().mean() > 0.5 * wanted.abs().mean()


def test_what_it_starts_from_is_identified_and_its_um_per_px_noted() -> None:
    origin = identify_origin("bundled")
    assert (origin.name, origin.um_per_px, origin.scales) == ("glandseg-colon", 1.3, (1.25,))
    assert note_other_um(origin, 1.0) == ""
    assert "--set segmenter.um_per_px=1.04" in note_other_um(origin, 0.62)
    assert note_other_um(replace(origin, scales=(1.0,)), 1.3) == ""


def test_other_networks_are_refused() -> None:
    wider = build_segmenter(TrainSettings(segmenter=SegmenterSettings(width=64)))
    with pytest.raises(BadInputError, match=r"has shape .* Give a file of the same network"):
        load_initial_weights(wider, BUNDLED, draw_images())
    other = build_segmenter(TrainSettings(encoder="resnet50v2"))
    with pytest.raises(BadInputError):
        load_initial_weights(other, BUNDLED, draw_images())


@pytest.mark.parametrize("name", ["lost", "lost.onnx"])
def test_a_missing_one_is_refused(name: str) -> None:
    with pytest.raises(BadInputError, match=f"{name}: not a run folder"):
        find_initial_weights(name)


def test_a_damaged_model_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"no model")
    network = build_segmenter(TrainSettings())
    with pytest.raises(BadInputError, match=r"m\.onnx: not an ONNX model"):
        load_initial_weights(network, path, draw_images())
