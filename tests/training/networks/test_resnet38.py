"""ResNet38 has the checkpoints' names and computes what their networks compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.networks.resnet38 import ResNet38


def randomise(network: nn.Module) -> None:
    """Set random statistics of the batch norms, so that a missing one shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.1, 0.9)


@pytest.fixture(scope="module")
def encoder() -> ResNet38:
    torch.manual_seed(0)
    network = ResNet38()
    randomise(network)
    return network.eval()


def compute_by_hand(w: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    """Follow the published network block by block, with functions and tensors only."""

    def activate(name: str, x: Tensor) -> Tensor:
        stats = (w[f"{name}.running_mean"], w[f"{name}.running_var"])
        return F.relu(F.batch_norm(x, *stats, w[f"{name}.weight"], w[f"{name}.bias"]))

    def convolve(name: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = w[f"{name}.weight"]
        return F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation)

    features = []
    x = convolve("conv1a", images)
    for stage, blocks in (("b2", 3), ("b3", 3), ("b4", 6), ("b5", 3)):
        dilation = 2 if stage == "b5" else 1
        for index in range(blocks):
            block = f"{stage}_{index}" if index else stage
            first = 2 if index == 0 and stage != "b5" else 1
            a = activate(f"{block}.bn_branch2a", x)
            if index == 0 and stage != "b2":
                features.append(a)
            skip = convolve(f"{block}.conv_branch1", a, first) if index == 0 else x
            middle = convolve(f"{block}.conv_branch2a", a, first, dilation if index else 1)
            middle = activate(f"{block}.bn_branch2b1", middle)
            x = skip + convolve(f"{block}.conv_branch2b1", middle, 1, dilation)
    for block in ("b6", "b7"):
        a = activate(f"{block}.bn_branch2a", x)
        if block == "b6":
            features.append(a)
        middle = activate(f"{block}.bn_branch2b1", convolve(f"{block}.conv_branch2a", a))
        middle = activate(f"{block}.bn_branch2b2", convolve(f"{block}.conv_branch2b1", middle, 1, 4))
        x = convolve(f"{block}.conv_branch1", a) + convolve(f"{block}.conv_branch2b2", middle)
    return [*features, activate("bn7", x)]


def test_names_are_the_checkpoints() -> None:
    with torch.device("meta"):
        state = ResNet38().state_dict()
    plain = {"b2": 3, "b3": 3, "b4": 6, "b5": 3}
    blocks = [f"{s}_{i}" if i else s for s, count in plain.items() for i in range(count)]
    convs = {f"{b}.conv_branch{part}" for b in blocks for part in ("2a", "2b1")}
    convs |= {f"{b}.conv_branch1" for b in plain}
    convs |= {f"{b}.conv_branch{part}" for b in ("b6", "b7") for part in ("1", "2a", "2b1", "2b2")}
    norms = {f"{b}.bn_branch{part}" for b in [*blocks, "b6", "b7"] for part in ("2a", "2b1")}
    norms |= {"b6.bn_branch2b2", "b7.bn_branch2b2", "bn7"}
    assert {name.rpartition(".")[0] for name in state} == convs | norms | {"conv1a"}
    assert state["b7.conv_branch2b1.weight"].shape == (2048, 1024, 3, 3)
    assert state["b5.conv_branch2a.weight"].shape == (512, 512, 3, 3)
    assert state["b6.conv_branch1.weight"].shape == (2048, 1024, 1, 1)


def test_computes_what_the_published_network_computes(encoder: ResNet38) -> None:
    images = torch.randn(1, 3, 72, 80)
    with torch.inference_mode():
        features, expected = encoder(images), compute_by_hand(encoder.state_dict(), images)
    assert len(features) == len(expected) == 5
    for feature, wanted in zip(features, expected, strict=True):
        torch.testing.assert_close(feature, wanted, rtol=1e-4, atol=1e-4)


def test_a_reloaded_state_gives_the_same_outputs(encoder: ResNet38) -> None:
    with torch.device("meta"):
        other = ResNet38()
    other.load_state_dict(encoder.state_dict(), assign=True)
    images = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        for a, b in zip(encoder(images), other.eval()(images), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("size", [224, 320])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_stage_shapes(output_stride: int, size: int) -> None:
    with torch.device("meta"):
        encoder = ResNet38(output_stride=output_stride)
        features = encoder(torch.empty(2, 3, size, size))
    assert encoder.channels == (128, 256, 512, 1024, 4096)
    assert encoder.strides == (2, 4, 8, output_stride, output_stride)
    for feature, channels, stride in zip(features, encoder.channels, encoder.strides, strict=True):
        assert feature.shape == (2, channels, size // stride, size // stride)


def test_last_dilation_is_a_setting() -> None:
    with torch.device("meta"):
        dilations = [ResNet38(last_dilation=d).b7.conv_branch2b1.dilation for d in (2, 4)]
    assert dilations == [(2, 2), (4, 4)]


def test_dropout_rates() -> None:
    with torch.device("meta"):
        encoder = ResNet38()
    assert (encoder.b6.dropout.p, encoder.b7.dropout.p) == (0.3, 0.5)


def test_frozen_norms_stay_out_of_training() -> None:
    with torch.device("meta"):
        encoder = ResNet38()
    encoder.freeze()
    encoder.train()
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert not any(norm.training for norm in norms)
    assert encoder.b7.dropout.training
    assert "conv1a.weight" not in learning and not any("bn" in name for name in learning)
    assert "b2.conv_branch2a.weight" in learning


def test_norms_learn_unless_frozen() -> None:
    with torch.device("meta"):
        encoder = ResNet38().train()
    assert encoder.bn7.training and encoder.bn7.weight.requires_grad


def test_refuses_another_last_dilation() -> None:
    with pytest.raises(ValueError, match="last_dilation: one of 2, 4. Received: 3"):
        ResNet38(last_dilation=3)
