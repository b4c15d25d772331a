"""The bundled model learns from corrections, and does better on regions that it has not seen corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from contourpy import contour_generator

from glandseg.model.files import BUNDLED
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.synthetic import draw_tile, write_slide
from glandseg.training.correction import choose_um, learn_corrections, plan_correction
from glandseg.training.settings_file import override_settings
from tests.training.data.test_annotated_regions import box, make_feature, write_features

SIDE, UM_PER_PX = 300, 1.04
SHORT = [
    "segmenter.fit.steps=24",
    "segmenter.fit.batch=4",
    "segmenter.fit.lr=0.001",
    "segmenter.fit.warmup=4",
    "segmenter.fit.validate_every=24",
    "segmenter.fit.precision=float32",
    "segmenter.fit.ema=0",
    "segmenter.crop=160",
    "segmenter.synthetic=0",
    "segmenter.augment.stain=0",
    "segmenter.augment.mixing=0",
    "segmenter.augment.color=0",
]


def write_corrected_slide(folder: Path, number: int) -> None:
    """Write tissue as a negative, which the model does not know, wholly marked, with its true glands."""
    image, truth = draw_tile(SIDE, UM_PER_PX, number, "glands")
    write_slide(folder / f"{number}.tif", 255 - image, UM_PER_PX)
    lines = contour_generator(z=np.pad(truth, 1).astype(float), line_type="Separate").lines(0.5)
    rings = [np.asarray(line) - 0.5 for line in lines]
    features = [make_feature("Gland", [ring.tolist()]) for ring in rings if shapely.Polygon(ring).area > 100]
    write_features(
        folder / f"{number}.geojson", [make_feature("Region*", [box(0, 0, SIDE, SIDE)]), *features]
    )


@pytest.mark.slow
def test_corrections_make_the_model_better_on_regions_held_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(8):
        write_corrected_slide(tmp_path / "in", number)
    settings = override_settings(plan_correction("bundled"), SHORT)
    correction = learn_corrections(
        [tmp_path / "in"],
        tmp_path / "run",
        settings,
        mpp=None,
        report=lambda stage, progress: None,
        say=lambda line: None,
    )
    assert correction.is_better
    assert correction.after["dice"] > correction.before["dice"] + 20  # 31 before and 88 after were seen
    assert correction.run.record["corrections"]["after"] == correction.after
    assert correction.facts["training"][-1]["name"] == "regions corrected by the user"
    assert set(correction.run.read_parts().values()) == {"train", "val", "test"}


def test_the_plan_starts_from_the_bundled_model_at_the_resolution_that_it_sees() -> None:
    plan = plan_correction("bundled")
    card = read_onnx_card(BUNDLED)
    assert (plan.labels, plan.start_from) == ("outlines", "bundled")
    assert plan.segmenter.um_per_px == choose_um(card) == 1.04
