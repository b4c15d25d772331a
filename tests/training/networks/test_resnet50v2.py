"""ResNet-50 v2 takes the pretrained file whole, and its activations are those the file was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glandseg.training.networks.resnet50v2 import ResNet50V2, Unit
from glandseg.training.networks.weights import load_weights

WEIGHTS = "weights/resnet50v2_stage1to3_imagenet.safetensors"


def record_inputs(network: nn.Module) -> dict[str, Tensor]:
    """Keep what each batch norm is given from now on, by the batch norm's name."""
    inputs: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module) -> None:
        module.register_forward_pre_hook(lambda _, args: inputs.update({name: args[0].detach().clone()}))

    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            keep(name, module)
    return inputs


@pytest.mark.parametrize("size", [224, 320])
@pytest.mark.parametrize(("output_stride", "strides"), [(8, (2, 4, 8, 8)), (16, (2, 4, 8, 16))])
def test_stage_shapes(output_stride: int, strides: tuple[int, ...], size: int) -> None:
    with torch.device("meta"):
        encoder = ResNet50V2(output_stride=output_stride)
        features = encoder(torch.empty(2, 3, size, size))
    assert encoder.channels == (64, 256, 512, 1024)
    assert encoder.strides == strides
    for feature, channels, stride in zip(features, encoder.channels, strides, strict=True):
        assert feature.shape == (2, channels, size // stride, size // stride)


def test_names_are_the_files() -> None:
    with torch.device("meta"):
        names = {name.rpartition(".")[0] for name in ResNet50V2().state_dict()}
    parts = ("bn1", "conv1", "bn2", "conv2", "bn3", "conv3")
    units = {
        f"stages.{s}.{u}.{part}" for s, count in enumerate((3, 4, 6)) for u in range(count) for part in parts
    }
    assert names == units | {f"stages.{s}.0.shortcut" for s in range(3)} | {"bn0", "conv0", "bn1", "bn_last"}


def test_dilation_replaces_the_last_stride() -> None:
    with torch.device("meta"):
        stages = {stride: ResNet50V2(output_stride=stride).stages[2] for stride in (8, 16)}
    dilations = {
        stride: [unit.conv2.dilation[0] for unit in stage.children() if isinstance(unit, Unit)]
        for stride, stage in stages.items()
    }
    assert dilations == {8: [1, 2, 2, 2, 2, 2], 16: [1] * 6}


def test_dilated_and_strided_agree_where_both_look() -> None:
    torch.manual_seed(0)
    dilated, strided = Unit(8, 16, stride=1).eval(), Unit(8, 16, stride=2).eval()
    strided.load_state_dict(dilated.state_dict())
    x = torch.randn(1, 8, 8, 8)
    with torch.inference_mode():
        fine, coarse = (unit.transform(x, unit.activate(x)) for unit in (dilated, strided))
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)


def test_shortcut_takes_the_activated_input() -> None:
    unit = Unit(4, 16).eval()
    nn.init.zeros_(unit.conv3.weight)
    x = -torch.ones(1, 4, 2, 2)
    with torch.inference_mode():
        assert not unit.transform(x, unit.activate(x)).any()


def test_a_reloaded_state_gives_the_same_outputs() -> None:
    torch.manual_seed(0)
    encoder = ResNet50V2()
    encoder(torch.randn(2, 3, 64, 64))  # moves the batch norms' statistics
    with torch.device("meta"):
        other = ResNet50V2()
    other.load_state_dict(encoder.state_dict(), assign=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for a, b in zip(encoder.eval()(images), other.eval()(images), strict=True):
            assert torch.equal(a, b)


@pytest.mark.shared
def test_pretrained_statistics_hold_on_tissue(shared_data: Path) -> None:
    import cv2

    encoder = ResNet50V2(output_stride=16).eval()
    report = load_weights(encoder, shared_data / WEIGHTS)
    assert not report.unused
    assert {name.rpartition(".")[0] for name in report.missing} == {"bn_last"}
    image = cv2.cvtColor(cv2.imread(str(shared_data / "glas/train_1.webp")), cv2.COLOR_BGR2RGB)
    rgb = torch.from_numpy(image).permute(2, 0, 1).float()[:, :320, :320] / 255
    images = (rgb - torch.tensor(encoder.mean).view(3, 1, 1)) / torch.tensor(encoder.std).view(3, 1, 1)
    inputs = record_inputs(encoder)
    with torch.inference_mode():
        features = encoder(images[None])
    norms = {name for name, module in encoder.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert set(inputs) == norms
    for name, seen in inputs.items():  # tissue varies less than ImageNet; a wrong skip varies many times less
        expected = encoder.get_submodule(name).get_buffer("running_var").mean()
        assert 0.15 < (seen.var((0, 2, 3)).mean() / expected).item() < 2, name
    assert len(features) == 4 and all(feature.isfinite().all() and feature.any() for feature in features)
