"""Touching glands of a slide: as many in every output, and the same bytes however the work is cut."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.model.card import CLASSES, CLASSES_WITH_CORE, ModelCard
from glandseg.model.files import ModelFile, check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.separation import Separation
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.synthetic import write_slide
from tests.runtime.output_bytes import read_output

Pixels = NDArray[np.uint8]
Infer = Callable[..., Result]
RULES = {
    "gland": Separation(channel="gland", threshold=0.8, reach_um=40.0),
    "core": Separation(channel="core", threshold=0.8, reach_um=40.0),
}
# Three in a row that touch, a pair across rows of windows, one that no seed belongs to, one larger than all.
DISKS = [(200, 250, 110), (400, 250, 110), (600, 250, 110), (1300, 500, 120), (1300, 720, 120)]
FAINT = (300, 900, 100)
LARGE = (950, 1400, 330)
COUNTS = {"apart": 7, "together": 4}


def draw(width: int, height: int) -> Pixels:
    y, x = np.ogrid[:height, :width]
    image = np.full((height, width, 3), 40, np.uint8)
    for x_l0, y_l0, radius in [*DISKS, FAINT, LARGE]:
        image[np.hypot(x - x_l0, y - y_l0) < radius, 0] = 150
    for x_l0, y_l0, radius in [*DISKS, LARGE]:
        inside = np.hypot(x - x_l0, y - y_l0) < radius - 25
        image[inside, 0] = image[inside, 1] = 250
    noise = np.random.default_rng(0).integers(-10, 10, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    write_slide(tmp_path / "disks.tif", draw(1700, 1800), 0.7)
    return tmp_path / "disks.tif"


@pytest.fixture(params=RULES)
def model(request: pytest.FixtureRequest, tmp_path: Path, write_model: Callable[..., Path]) -> ModelFile:
    """Write a network of two channels, or of three, whose card says how glands are told apart."""
    has_core = request.param == "core"
    card = ModelCard(
        name="red is gland",
        network="slices",
        tissue="drawings",
        um_per_px=1.4,
        weights_sha256="",
        separation=RULES[request.param],
        classes=CLASSES_WITH_CORE if has_core else CLASSES,
    )
    return check_model(write_model(tmp_path / "red.onnx", card.to_metadata(), core=has_core), "--model")


@pytest.fixture
def infer(slide: Path, model: ModelFile, tmp_path: Path) -> Infer:
    """Return a function that runs the slide into a new folder."""

    def run(threads: int = 1, card: dict[str, Any] | None = None, **settings: Any) -> Result:
        out = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
        with CpuSession(model.path, threads=threads) as session:
            session.card = replace(session.card, **(card or {}))
            return infer_slide(slide, session, model, InferSettings(**settings), out=out)

    return run


def read_files(result: Result) -> list[bytes]:
    return [read_output(path) for path in result.outputs[:-1]]


def count_everywhere(result: Result) -> set[int]:
    """Return the number of glands in each output."""
    outlines, _, table, _, labels, _, record = result.outputs
    numbers = tifffile.imread(labels)
    with table.open(encoding="utf-8", newline="") as file:
        rows = len(list(csv.DictReader(file)))
    return {
        result.glands,
        rows,
        len(json.loads(outlines.read_text(encoding="utf-8"))["features"]),
        json.loads(record.read_text(encoding="utf-8"))["result"]["glands"],
        len(np.unique(numbers)) - 1,
        *(cv2.connectedComponents((numbers > 0).astype(np.uint8), connectivity=n)[0] - 1 for n in (4, 8)),
    }


def test_every_output_holds_the_same_glands_and_the_mask_keeps_its_px(infer: Infer) -> None:
    apart, together = infer(), infer(separate=False)
    assert count_everywhere(apart) == {COUNTS["apart"]}
    assert count_everywhere(together) == {COUNTS["together"]}
    assert (apart.mask_glands, together.mask_glands) == (COUNTS["together"], COUNTS["together"])
    assert apart.outputs[1].read_bytes() == together.outputs[1].read_bytes()
    records = [json.loads(result.outputs[-1].read_text(encoding="utf-8")) for result in (apart, together)]
    assert records[0]["separation"] == records[0]["model"]["card"]["separation"]
    assert records[1]["separation"] is None


def test_without_separation_nothing_differs_from_a_card_without_rule(infer: Infer) -> None:
    assert read_files(infer(separate=False)) == read_files(infer(card={"separation": None}))


def test_batches_threads_blocks_and_swaths_change_no_byte(
    infer: Infer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = read_files(infer())
    assert read_files(infer(batch=3, threads=2)) == plain
    monkeypatch.setattr("glandseg.runtime.slide_windows.choose_swath_px", lambda planes, cache: 512)
    monkeypatch.setattr("glandseg.runtime.tiling.map_writer.BLOCK_PX", 512)
    monkeypatch.setattr("glandseg.runtime.slide_tracer.Separator", make_narrow)
    assert read_files(infer(batch=1)) == plain


def make_narrow(*maps: Any, **settings: Any) -> Any:
    from glandseg.runtime.glands.separator import Separator

    return Separator(*maps, band_px=1 << 14, **settings)


@pytest.mark.parametrize("settings", [{"scales": (1.0, 1.5), "flips": True}, {"adaptive": True}])
def test_scales_and_flips_separate_the_same_glands(settings: dict[str, Any], infer: Infer) -> None:
    plain = infer(**settings)
    assert count_everywhere(plain) == {COUNTS["apart"]}
    assert read_files(infer(batch=5, **settings)) == read_files(plain)


@pytest.mark.parametrize("moment", [3, 12])
def test_an_interrupted_run_is_continued_to_the_same_bytes(
    moment: int, slide: Path, model: ModelFile, infer: Infer, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done >= moment:
            raise KeyboardInterrupt

    said: list[str] = []
    out = tmp_path / "out"
    with CpuSession(model.path, threads=1) as session:
        with pytest.raises(KeyboardInterrupt):
            infer_slide(slide, session, model, InferSettings(batch=1), out=out, advance=stop)
        result = infer_slide(slide, session, model, InferSettings(), out=out, say=said.append)
    assert any("kept from before" in line for line in said)
    assert read_files(result) == read_files(infer())


def test_windows_count_once_whatever_is_stored_of_them(infer: Infer) -> None:
    assert infer().windows == infer(separate=False).windows
