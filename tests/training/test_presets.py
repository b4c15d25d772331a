"""The presets are the papers': their steps, tiles, rates and choices, each worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from glandseg.training import stages
from glandseg.training.data.examples import cut_tiles
from glandseg.training.data.patches import list_patches
from glandseg.training.data.sample import Sample
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.optimizer import build_optimizer, set_rate
from glandseg.training.networks.resnet38 import ResNet38
from glandseg.training.segmenter import Example
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_preset

GLAS_WH, EBHI_WH, PROG_WH = (775, 522), (224, 224), (1500, 1500)
EIGHT = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def count_steps(folder: Path, preset: str, images: int, size_wh: tuple[int, int]) -> tuple[int, int]:
    """Count both stages' steps on as many images of one size."""
    width, height = size_wh
    image, mask = np.full((height, width, 3), 90, np.uint8), np.zeros((height, width), np.uint8)
    mask[:, ::2] = 255
    cv2.imencode(".png", mask)[1].tofile(folder / "mask.png")
    sample = Sample(name="x", path=folder / "x.png", mask_path=folder / "mask.png", group="x")
    settings = read_preset(preset)
    patches = list_patches([sample], [image], 0.62, settings.classifier)
    tiles = cut_tiles([Example(image=image, mask=mask)], settings.segmenter.crop, settings.segmenter.stride)
    fits = (settings.classifier.fit, len(patches)), (settings.segmenter.fit, len(tiles))
    first, second = (fit.turn_to_steps(images * count).count_steps() for fit, count in fits)
    return first, second


@pytest.mark.parametrize(
    ("preset", "images", "size_wh", "steps"),
    [
        # GlaS: 13 x 9 patches of 112 every 56 px; 4 x 3 tiles of 256 every 192 px.
        ("feng", 70, GLAS_WH, (70 * 117, 70 * 12 * 30 // 20)),
        ("feng-code", 70, GLAS_WH, (70 * 117, 70 * 117 * 30 // 20)),
        ("oeem", 85, GLAS_WH, (85 * 117, 10_000)),
        ("oeem-code", 85, GLAS_WH, (85 * 117, 10_000)),
        # EBHI-Seg: 0.7 of 1169 images, each a patch. ProG: 7 x 7 patches; the paper has 6 x 6.
        ("feng-224", 818, EBHI_WH, (818, 818 * 30 // 20)),
        ("feng-224", 1000, PROG_WH, (49_000, 49_000 * 30 // 20)),
    ],
)
def test_steps(
    tmp_path: Path, preset: str, images: int, size_wh: tuple[int, int], steps: tuple[int, int]
) -> None:
    assert count_steps(tmp_path, preset, images, size_wh) == steps


@pytest.mark.parametrize(
    ("preset", "split", "tile", "scales", "flips", "augment"),
    [
        ("feng", "feng", (256, 192), EIGHT, True, (0.75, 3)),
        ("feng-224", "feng", (224, 224), EIGHT, True, (0.75, 3)),
        ("feng-code", "feng", (112, 56), (1.0,), False, (1, 1)),
        ("oeem", "oeem", (256, 192), EIGHT, True, (0.75, 3)),
        ("oeem-code", "oeem", (256, 192), EIGHT, True, (0.75, 3)),
    ],
)
def test_splits_tiles_and_scales(
    preset: str,
    split: str,
    tile: tuple[int, int],
    scales: tuple[float, ...],
    flips: bool,
    augment: tuple[float, float],
) -> None:
    settings = read_preset(preset)
    stage = settings.segmenter
    assert (settings.split, (stage.crop, stage.stride)) == (split, tile)
    assert (stage.scales, stage.flips) == (scales, flips)
    assert (stage.augment.scale_min, stage.augment.scale_max) == augment
    assert settings.classifier.um_per_px is None  # sides are in px of the images, whatever their um/px


@pytest.mark.parametrize(
    ("preset", "parent", "differences"),
    [
        (
            "feng-224",
            "feng",
            {"classifier.side", "classifier.stride", "segmenter.crop", "segmenter.stride"},
        ),
        (
            "feng-code",
            "feng",
            {
                *("classifier.input", "classifier.normalize", "classifier.scales"),
                *(f"classifier.fit.{name}" for name in ("momentum", "new_lr", "weight_decay")),
                *("classifier.augment.scale_max", "classifier.augment.blur"),
                *("segmenter.dropout", "segmenter.auxiliary", "segmenter.crop", "segmenter.stride"),
                *("segmenter.scales", "segmenter.flips", "segmenter.fit.validate_every"),
                *(f"segmenter.augment.{name}" for name in ("scale_min", "scale_max", "color", "blur")),
            },
        ),
        (
            "oeem-code",
            "oeem",
            {
                *(f"classifier.fit.{name}" for name in ("momentum", "weight_decay", "decay_steps")),
                "segmenter.fit.batch",
            },
        ),
    ],
)
def test_a_variant_differs_only_where_it_says(preset: str, parent: str, differences: set[str]) -> None:
    own, base = (dict(flatten(asdict(read_preset(name)))) for name in (preset, parent))
    assert {name for name in own if own[name] != base[name]} == differences


def flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def build_frozen_classifier(settings: TrainSettings) -> nn.Module:
    with torch.device("meta"):
        classifier = build_classifier(settings)
    classifier.encoder.freeze()
    return classifier


def group_rates(network: nn.Module, fit: FitSettings) -> dict[str, tuple[float, float]]:
    """Return each learned weight's peak rate and weight decay by name."""
    names = {id(weight): name for name, weight in network.named_parameters()}
    return {
        names[id(weight)]: (group["peak"], group["weight_decay"])
        for group in build_optimizer(network, fit).param_groups
        for weight in group["params"]
    }


def test_the_new_layers_of_fengs_code_learn_faster() -> None:
    settings = read_preset("feng-code")
    classifier = build_frozen_classifier(settings)
    rates = group_rates(classifier, settings.classifier.fit)
    learned = {name for name, weight in classifier.named_parameters() if weight.requires_grad}
    assert rates.keys() == learned and "encoder.conv1a.weight" not in rates
    assert rates["encoder.b7.conv_branch2a.weight"] == (0.01, 5e-4)
    assert rates["class_map.weight"] == rates["pooling.fusions.0.positive.weight"] == (0.1, 5e-4)
    scales = {name for name in rates if name.endswith("scale")}
    biases = {name for name in rates if name.endswith("bias")}
    assert {rates[name] for name in scales} == {(0.01, 0.0)} and {rates[name] for name in biases} == {
        (0.2, 0.0)
    }


@pytest.mark.parametrize("preset", ["oeem", "oeem-code"])
def test_all_layers_of_oeem_learn_alike(preset: str) -> None:
    settings = read_preset(preset)
    rates = group_rates(build_frozen_classifier(settings), settings.classifier.fit)
    assert {"class_map.weight", "class_map.bias"} <= rates.keys()
    assert set(rates.values()) == {(0.01, settings.classifier.fit.weight_decay)}


@pytest.mark.parametrize(
    ("preset", "stage", "rates"),
    [
        # 9945 steps: lr (1 - step / steps)^0.9.
        ("oeem", "classifier", {0: 0.01, 9000: 0.01 * (945 / 9945) ** 0.9}),
        # Over after 20 steps: 0.01 (1 - 19 / 20)^0.9.
        ("oeem-code", "classifier", {0: 0.01, 10: 0.01 * 0.5**0.9, 19: 6.746414e-4, 9000: 6.746414e-4}),
        # 10,000 steps, down to 1e-4.
        ("oeem", "segmenter", {0: 0.005, 5000: 1e-4 + 0.0049 * 0.5**0.9, 9999: 0.0001012308}),
    ],
)
def test_schedules(preset: str, stage: str, rates: dict[int, float]) -> None:
    fit = getattr(read_preset(preset), stage).fit.turn_to_steps(85 * 117)
    optimizer = build_optimizer(nn.Linear(1, 1), fit)
    for step, rate in rates.items():
        assert set_rate(optimizer, fit, step, fit.count_steps()) == pytest.approx(rate, rel=1e-5)


def test_oeems_classifier_is_that_of_its_code() -> None:
    with torch.device("meta"):
        oeem, feng = (build_classifier(read_preset(name)) for name in ("oeem", "feng"))
        segmenter = build_segmenter(read_preset("oeem"))
    encoders = [oeem.encoder, feng.encoder, segmenter.encoder]
    assert all(isinstance(encoder, ResNet38) for encoder in encoders)
    assert [encoder.get_submodule("b7.conv_branch2b1").dilation[0] for encoder in encoders] == [2, 4, 4]  # type: ignore[index]
    assert "class_map.bias" in oeem.state_dict() and "class_map.bias" not in feng.state_dict()
    means = [encoder.mean for encoder in encoders]
    assert means == [(0.787, 0.511, 0.785), (0.485, 0.456, 0.406), (0.485, 0.456, 0.406)]


def test_unnormalized_images_stay_as_they_are() -> None:
    with torch.device("meta"):
        encoder = build_classifier(read_preset("feng-code")).encoder
    images = torch.rand(1, 3, 4, 4)
    assert torch.equal(encoder.normalise(images), images)


@pytest.mark.parametrize(
    ("name", "freeze", "frozen"),
    [
        ("classifier", "null", True),
        ("segmenter", "null", False),
        ("segmenter", "true", True),
        ("classifier", "false", False),
    ],
)
def test_pretrained_weights_freeze_stage_1_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, freeze: str, frozen: bool
) -> None:
    monkeypatch.setattr(ResNet38, "_add_plain_blocks", lambda self, step: [])
    with torch.device("meta"):
        encoder = ResNet38()
    encoder.b6 = encoder.b7 = nn.Identity()  # type: ignore[assignment]
    encoder = encoder.to_empty(device="cpu")
    network: Any = nn.Module()
    network.encoder, network.list_encoders = encoder, lambda: [encoder]
    save_file({"conv1a.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "w.safetensors")
    settings = override_settings(
        read_preset("oeem"), [f"weights={tmp_path.as_posix()}/w.safetensors", f"{name}.freeze={freeze}"]
    )
    training: Any = SimpleNamespace(settings=settings, say=lambda line: None)
    stages._build(training, name, lambda settings: network, getattr(settings, name))
    assert encoder.frozen is frozen is not encoder.train().bn7.training


@pytest.mark.parametrize("names", [(), ("soft",), ("core", "border")])
def test_tiles_cover_an_image_and_small_images_stay_whole(names: tuple[str, ...]) -> None:
    mask = np.arange(50 * 41).reshape(50, 41).astype(np.uint8)
    image = np.dstack([mask] * 3)
    example = Example(image=image, mask=mask, **dict.fromkeys(names, mask))
    tiles = cut_tiles([example], 20, 16)
    corners = [(y, x) for y in (0, 16, 30) for x in (0, 16, 21)]
    assert len(tiles) == len(corners)
    for tile, (y, x) in zip(tiles, corners, strict=True):
        assert np.array_equal(tile.mask, mask[y : y + 20, x : x + 20])
        assert np.array_equal(tile.image[..., 0], tile.mask)
        assert tuple(tile.maps) == names
        assert all(np.array_equal(values, tile.mask) for values in tile.maps.values())
    (whole,) = cut_tiles([example], 64, 48)
    assert whole.mask.shape == mask.shape
    assert cut_tiles([example], 20, None) == [example]
