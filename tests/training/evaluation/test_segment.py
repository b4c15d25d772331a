"""An evaluation scores the glands that an inference writes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
import tifffile
from numpy.typing import NDArray

from glandseg.model.card import CLASSES_WITH_CORE, ModelCard
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.separation import Separation
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.segment import label_file

MODEL_UM = 1.4
CARD = ModelCard(name="red", network="", tissue="", um_per_px=MODEL_UM, weights_sha256="")
SHAPE = (480, 590)


RULES = {
    "together": None,
    "gland": Separation(channel="gland", threshold=0.7, reach_um=20.0),
    "core": Separation(channel="core", threshold=0.5, reach_um=20.0),
}


@pytest.fixture(params=list(RULES))
def model(request: pytest.FixtureRequest, write_model: Callable[..., Path], tmp_path: Path) -> Path:
    """Write a network of gland and core whose card has one of the rules of separation."""
    card = replace(CARD, classes=CLASSES_WITH_CORE, separation=RULES[request.param])
    return write_model(tmp_path / "cores.onnx", card.to_metadata(), core=True)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Return an image of clouds: glands of every size, with holes, some at its edges."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(size=SHAPE), (0, 0), 9)
    image = np.full((*noise.shape, 3), 90, np.uint8)
    image[..., 2] = np.clip(90 + 90 * noise / noise.std(), 0, 255)
    image[..., 1] = np.clip(30 + 90 * noise / noise.std(), 0, 255)  # the cores of the network
    cv2.imwrite(str(tmp_path / "clouds.png"), image)
    return Sample(name="clouds", path=tmp_path / "clouds.png", group="clouds")


def draw_outlines(path: Path, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Number each px of an image by the outline of a GeoJSON file that its centre lies in."""
    labels = np.zeros(shape, np.int32)
    y, x = (places.ravel() + 0.5 for places in np.indices(shape))
    for number, feature in enumerate(json.loads(path.read_text(encoding="utf-8"))["features"], 1):
        labels.ravel()[shapely.contains_xy(shapely.geometry.shape(feature["geometry"]), x, y)] = number
    return labels


@pytest.mark.parametrize(
    ("image_um", "options"),
    [
        (MODEL_UM, {}),
        (MODEL_UM, {"adaptive": True, "flips": True}),
        (0.5, {"scales": (1.0, 1.5)}),
        (0.7, {"adaptive": True}),
        (0.7, {"min_gland_um2": 2000.0, "min_lumen_um2": 500.0, "threshold": 0.6}),
    ],
)
def test_labels_are_the_outlines_of_an_inference(
    sample: Sample,
    model: Path,
    image_um: float,
    options: dict[str, Any],
    tmp_path: Path,
) -> None:
    settings = InferSettings(tissue_mask=False, mpp=image_um, **options)
    with CpuSession(model, threads=1) as session:
        infer_slide(sample.path, session, check_model(model, "--model"), settings, out=tmp_path / "out")
        rule = session.card.separation
        labels, mask = label_file(sample, session, image_um, MODEL_UM, (1.0,), settings, rule)
        together, _ = label_file(sample, session, image_um, MODEL_UM, (1.0,), settings)
    assert bool((labels != together).any()) == (rule is not None)
    drawn = draw_outlines(tmp_path / "out" / "clouds.glands.geojson", SHAPE)
    assert labels.max() == drawn.max() >= 2
    assert (labels != drawn).mean() < 1e-3  # GeoJSON rounds to 0.01 px
    if image_um == MODEL_UM:
        written = tifffile.imread(tmp_path / "out" / "clouds.mask.ome.tif")
        np.testing.assert_array_equal(mask, written > 0)


class LeftIsGland(contextlib.nullcontext["LeftIsGland"]):
    """A network that takes the left half of every window for gland."""

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        gland = np.zeros(windows.shape[:3], np.uint8)
        gland[:, :, :160] = 255
        return np.stack([255 - gland, gland], axis=1)


def test_flips_average_with_the_mirror_image(sample: Sample) -> None:
    shares = {
        flips: label_file(sample, LeftIsGland(), 1.4, 1.4, (1.0,), InferSettings(flips=flips))[1].mean()
        for flips in (False, True)
    }
    assert shares[False] < 0.7 and shares[True] == 1


def test_the_settings_scales_replace_the_models(sample: Sample) -> None:
    def find(models: tuple[float, ...], **options: Any) -> NDArray[np.int32]:
        return label_file(sample, LeftIsGland(), 1.4, 1.4, models, InferSettings(**options))[0]

    narrow = find((2.0,))
    np.testing.assert_array_equal(find((1.0,), scales=(2.0,)), narrow)
    assert (find((1.0,)) != narrow).any()
