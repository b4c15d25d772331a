"""MobileNetV2 keeps its resolution by dilation without other results, and takes its pretrained file whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.weights import load_weights

WEIGHTS = "weights/mobilenetv2_imagenet.safetensors"
STRIDES = {8: (2, 4, 8, 8, 8), 16: (2, 4, 8, 16, 16), 32: (2, 4, 8, 16, 32)}


@pytest.mark.parametrize("size", [(64, 96), (224, 224), (320, 320)])
@pytest.mark.parametrize("output_stride", STRIDES)
def test_stage_shapes(output_stride: int, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        encoder = MobileNetV2(output_stride=output_stride)
        features = encoder(torch.empty(2, 3, *size))
    assert encoder.strides == STRIDES[output_stride]
    assert encoder.channels == (16, 24, 32, 96, 320)
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, size[0] // stride, size[1] // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


def test_names_and_parameters_do_not_depend_on_the_output_stride() -> None:
    with torch.device("meta"):
        shapes = [
            {name: tensor.shape for name, tensor in MobileNetV2(output_stride=stride).state_dict().items()}
            for stride in STRIDES
        ]
    assert shapes[0] == shapes[1] == shapes[2]
    assert sum(name.endswith("conv.weight") for name in shapes[0]) == 1 + 17 * 3


def randomise_statistics(encoder: nn.Module) -> None:
    """Set the statistics of a trained network: shifts that a wrong padding would move."""
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_features_sampled_are_the_strided_ones(output_stride: int) -> None:
    torch.manual_seed(0)
    strided, dilated = MobileNetV2(output_stride=32).eval(), MobileNetV2(output_stride=output_stride).eval()
    randomise_statistics(strided)
    dilated.load_state_dict(strided.state_dict())
    images = torch.randn(1, 3, 128, 96)
    with torch.inference_mode():
        for fine, coarse, own, whole in zip(
            dilated(images), strided(images), dilated.strides, strided.strides, strict=True
        ):
            step = whole // own
            torch.testing.assert_close(fine[..., ::step, ::step], coarse)
            assert coarse.std() > 1e-3


def test_the_first_block_of_a_dilated_stage_keeps_the_old_dilation() -> None:
    with torch.device("meta"):
        encoder = MobileNetV2(output_stride=8)
    dilations = [encoder.get_submodule(f"blocks.{k}.depthwise.conv").dilation for k in range(17)]
    assert dilations == [(1, 1)] * 7 + [(2, 2)] * 7 + [(4, 4)] * 3


def test_bfloat16_gradients_are_numbers() -> None:
    torch.manual_seed(0)
    encoder = MobileNetV2(output_stride=8)
    with torch.autocast("cpu", torch.bfloat16):
        encoder(torch.randn(2, 3, 64, 64))[-1].float().square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in encoder.parameters())


@pytest.mark.shared
def test_the_pretrained_file_loads_whole(shared_data: Path) -> None:
    encoder = MobileNetV2().eval()
    report = load_weights(encoder, shared_data / WEIGHTS)
    assert not report.missing
    assert {name.partition(".")[0] for name in report.unused} == {"head"}
    names = {name for name in encoder.state_dict() if not name.endswith("num_batches_tracked")}
    assert set(report.loaded) >= names


@pytest.mark.shared
def test_pretrained_statistics_hold_on_tissue(shared_data: Path) -> None:
    import cv2

    encoder = MobileNetV2(output_stride=16).eval()
    load_weights(encoder, shared_data / WEIGHTS)
    inputs: dict[str, torch.Tensor] = {}
    for name, module in encoder.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _, args, name=name: inputs.update({name: args[0].clone()})
            )
    image = cv2.cvtColor(cv2.imread(str(shared_data / "glas/train_1.webp")), cv2.COLOR_BGR2RGB)
    rgb = torch.from_numpy(image).permute(2, 0, 1).float()[None, :, :320, :320] / 255
    with torch.inference_mode():
        encoder(encoder.normalise(rgb))
    ratios = {
        name: (
            seen.var((0, 2, 3)).mean() / encoder.get_submodule(name).get_buffer("running_var").mean()
        ).item()
        for name, seen in inputs.items()
    }
    assert len(ratios) == 52
    for name, ratio in ratios.items():  # tissue varies less than ImageNet, most of all in the last blocks
        late = name.startswith(("blocks.13.", "blocks.14.", "blocks.15.", "blocks.16."))
        assert (0.015 if late else 0.3) < ratio < 1.2, name
