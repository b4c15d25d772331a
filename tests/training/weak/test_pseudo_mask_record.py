"""The manifest counts and hashes each pseudo mask; the sheet is always of the same images."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.training.data.sample import Sample
from glandseg.training.run import Run
from glandseg.training.weak.pseudo_mask_record import SHEET_CELLS, has_record, record_pseudo_masks


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    cv2.imencode(".png", np.full((20, 30, 3), 180, np.uint8))[1].tofile(tmp_path / "tissue.png")
    return [Sample(name=f"CLASS/{i:02d}", path=tmp_path / "tissue.png", group=str(i)) for i in range(17)]


def make_run(folder: Path, samples: list[Sample]) -> Run:
    run = Run(folder)
    for index, sample in enumerate(samples):
        mask = np.zeros((20, 30), np.uint8)
        mask[:5], mask[5:7, :index] = 1, 255
        run.write_pseudo_mask(sample.name, mask)
    return run


def test_manifest_and_sheet(tmp_path: Path, samples: list[Sample]) -> None:
    run = make_run(tmp_path / "run", samples)
    assert not has_record(run)
    record_pseudo_masks(run, samples)
    assert has_record(run)
    with (run.pseudo_masks_path / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [sample.name for sample in samples]
    row = rows[15]
    assert (row["width_px"], row["height_px"]) == ("30", "20")
    assert float(row["gland_share"]) == 0.25 and float(row["ignored_share"]) == 0.05
    png = (run.pseudo_masks_path / "CLASS" / "15.png").read_bytes()
    assert row["sha256"] == hashlib.sha256(png).hexdigest()
    assert min(len(samples), SHEET_CELLS) == 12 and (run.path / "pseudo_masks.png").stat().st_size > 0


def test_the_same_masks_give_the_same_record(tmp_path: Path, samples: list[Sample]) -> None:
    runs = [make_run(tmp_path / name, samples) for name in ("first", "second")]
    for run in runs:
        record_pseudo_masks(run, samples)
    for file in ("pseudo_masks.png", "pseudo_masks/manifest.csv"):
        assert (runs[0].path / file).read_bytes() == (runs[1].path / file).read_bytes()
    assert not list(runs[0].path.rglob("*.part*"))
