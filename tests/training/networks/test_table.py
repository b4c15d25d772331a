"""The table is the one place to add a network: an encoder and a decoder of the test train and get a card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.export.model_card import describe_model
from glandseg.training.factory import build_segmenter, load_segmenter
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.table import DECODERS, ENCODERS, DecoderEntry, EncoderEntry
from glandseg.training.run import open_run, start_run
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.stages import Training, fit_segmenter


class TinyEncoder(Encoder):
    """Two strided convolutions."""

    channels, strides = (4, 6), (2, 4)

    def __init__(self, *, output_stride: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = self.first(images).relu()
        return [first, self.second(first).relu()]


class TinyDecoder(Segmenter):
    """A linear classifier of the last features."""

    def __init__(self, encoder: Encoder, *, outputs: int, **_: Any) -> None:
        super().__init__()
        self.encoder, self.outputs, self.scores = encoder, outputs, ("head",)
        self.head = nn.Conv2d(encoder.channels[-1], outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        scores = self.head(self.encoder(self.encoder.normalise(images))[-1])
        return nn.functional.interpolate(scores, images.shape[2:], mode="bilinear")

    def forward_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self(images)
        return logits, logits


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """Register both, and return settings that name them."""
    encoder = EncoderEntry(build=f"{__name__}:TinyEncoder", output_strides=(4,))
    monkeypatch.setitem(ENCODERS, "tiny", encoder)
    monkeypatch.setitem(DECODERS, "linear", DecoderEntry(build=f"{__name__}:TinyDecoder", title="Linear"))
    fit = FitSettings(steps=1, batch=2, warmup=0, precision="float32", validate_every=1)
    stage = SegmenterSettings(decoder="linear", output_stride=4, crop=32, width=8, fit=fit)
    return TrainSettings(labels="outlines", encoder="tiny", segmenter=stage, curves=False)


def test_networks_of_the_tests_own_train_load_and_get_a_card(tmp_path: Path, tiny: TrainSettings) -> None:
    run = start_run(tmp_path / "run", tiny)
    image, mask = np.full((40, 40, 3), 200, np.uint8), np.zeros((40, 40), np.uint8)
    mask[:20] = 1
    example = Example(image=image, mask=mask)
    training = Training(run=run, settings=tiny, report=lambda *_: None, say=lambda _: None)
    fit_segmenter(training, [example, example], [example])
    run.write_record(data="glas", um_per_px=1.0)
    torch.manual_seed(tiny.segmenter.fit.seed)
    initial, trained = build_segmenter(tiny), load_segmenter(open_run(run.path))
    assert isinstance(trained, TinyDecoder) and isinstance(trained.encoder, TinyEncoder)
    assert not torch.equal(trained.get_parameter("head.weight"), initial.get_parameter("head.weight"))
    card = describe_model(run, "tiny", "ab" * 32)
    assert card.network.startswith("Linear on tiny at output stride 4, ")


def test_choices_come_from_the_table(tiny: TrainSettings) -> None:
    with pytest.raises(BadInputError, match=r"encoder: one of mobilenetv2, .*, tiny\. Received: resnet9"):
        override_settings(tiny, ["encoder=resnet9"])
    with pytest.raises(BadInputError, match=r"decoder: one of pspnet, linear\. Received: unet"):
        override_settings(tiny, ["segmenter.decoder=unet"])
    with pytest.raises(BadInputError, match=r"output_stride: one of 4, 8, 16, 32\. Received: 5"):
        override_settings(tiny, ["segmenter.output_stride=5"])


def test_settings_are_read_without_pytorch() -> None:
    code = "import sys, glandseg.training.settings_file; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
