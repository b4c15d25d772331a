"""Encoders come by name, with weights from files or, where asked, from the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.training.networks.build import build_decoder, build_encoder
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.hub import find_weights
from glandseg.training.networks.pretrained import prepare_encoder
from glandseg.training.networks.resnet38 import ResNet38
from glandseg.training.networks.table import DECODERS, ENCODERS


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_in_the_table_builds_at_its_strides(name: str) -> None:
    entry = ENCODERS[name]
    for stride in entry.output_strides:
        with torch.device("meta"):
            encoder = build_encoder(name, stride)
        assert encoder.strides[-1] == stride and len(encoder.strides) == len(encoder.channels) >= 3
    assert (type(encoder).freeze is not Encoder.freeze) is entry.can_freeze


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_in_the_table_builds(name: str) -> None:
    with torch.device("meta"):
        network = build_decoder(
            name, build_encoder("mobilenetv2", 16), outputs=3, bins=(1, 2), width=8, dropout=0.1, skip=None
        )
    assert isinstance(network, Segmenter) and network.encoder.strides[-1] == 16 and network.outputs == 3


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_has_the_stages_that_may_join_the_head(name: str) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, 16)
        for skip in (4, 8):
            build_decoder("pspnet", encoder, outputs=2, bins=(1,), width=8, dropout=0.1, skip=skip)
        with pytest.raises(BadInputError, match=r"skip: one of None, .*4, 8. Received: 16"):
            build_decoder("pspnet", encoder, outputs=2, bins=(1,), width=8, dropout=0.1, skip=16)


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet9", 8, "encoder: one of mobilenetv2, resnet38, .*Received: resnet9"),
        ("resnet38", 32, "resnet38: output_stride: one of 8, 16. Received: 32"),
        ("resnest50", 4, "resnest50: output_stride: one of 8, 16, 32. Received: 4"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, stride: int, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        build_encoder(name, stride)


def build_tiny_resnet38(monkeypatch: pytest.MonkeyPatch) -> ResNet38:
    """Build a ResNet38 without its blocks, to save memory."""
    monkeypatch.setattr(ResNet38, "_add_plain_blocks", lambda self, step: [])
    with torch.device("meta"):
        encoder = ResNet38()
    encoder.b6 = encoder.b7 = torch.nn.Identity()  # type: ignore[assignment]
    return encoder.to_empty(device="cpu")


@pytest.mark.parametrize(
    ("loaded", "freeze", "frozen"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_resnet38_is_frozen_where_weights_were_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: bool, freeze: bool | None, frozen: bool
) -> None:
    encoder = build_tiny_resnet38(monkeypatch)
    save_file({"conv1a.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "w.safetensors")
    log = prepare_encoder(encoder, "resnet38", str(tmp_path / "w.safetensors") if loaded else None, freeze)
    assert encoder.frozen is frozen is not encoder.conv1a.weight.requires_grad
    assert log.endswith("batch norm frozen") is frozen and ("1 tensors loaded" in log) is loaded


def test_other_encoders_are_not_frozen() -> None:
    with pytest.raises(BadInputError, match="freeze: for resnet38. Received: mobilenetv2"):
        prepare_encoder(build_encoder("mobilenetv2", 16), "mobilenetv2", None, True)


def test_a_file_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_weights("some/w.pth", "resnet38") == Path("some/w.pth")
    monkeypatch.chdir(tmp_path)
    Path("timm").mkdir()
    Path("timm/w.pth").touch()
    assert find_weights("timm/w.pth", "resnet38") == Path("timm/w.pth")


def test_the_hub_has_the_encoders_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = lambda repository, file: f"/cache/{repository}/{file}"  # noqa: E731
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=fetch))
    assert find_weights("hub", "resnest200") == Path("/cache/timm/resnest200e.in1k/model.safetensors")
    assert find_weights("timm/mine", "resnest50") == Path("/cache/timm/mine/model.safetensors")
    with pytest.raises(BadInputError, match="Give a file for mobilenetv2"):
        find_weights("hub", "mobilenetv2")


def test_without_hub_or_library_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repository: str, file: str) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=fail))
    with pytest.raises(EnvironmentLacksError, match=r"not fetched \(no route to host\). Or fetch"):
        find_weights("hub", "resnest50")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EnvironmentLacksError, match="pip install huggingface_hub"):
        find_weights("hub", "resnest50")
