"""Paths that are no slide, or only stand for one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide


def write_overview(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".tif", np.full((40, 50, 3), 200, np.uint8))[1].tobytes())
    return path


def write_ets(folder: Path) -> None:
    (folder / "stack10001").mkdir(parents=True)
    (folder / "stack10001" / "frame_t_0.ets").write_bytes(b"SIS\0")


@pytest.mark.parametrize("mpp", [None, 0.25])
def test_vsi_is_refused_by_its_name(tmp_path: Path, mpp: float | None) -> None:
    with pytest.raises(BadInputError, match=r"a\.VSI: Olympus VSI is not read.*Export it as OME-TIFF"):
        open_slide(write_overview(tmp_path / "a.VSI"), mpp)


def test_renamed_vsi_is_refused_by_the_folder_beside_it(tmp_path: Path) -> None:
    write_ets(tmp_path / "_a_")
    with pytest.raises(BadInputError, match="lies in the folder _a_ beside it"):
        open_slide(write_overview(tmp_path / "a.tif"), 0.25)


def test_export_beside_its_vsi_is_read(tmp_path: Path) -> None:
    write_ets(tmp_path / "_a_")
    write_overview(tmp_path / "a.vsi")
    with open_slide(write_overview(tmp_path / "a.tif"), 0.25) as slide:
        assert slide.width_l0 == 50


def test_mirax_preview_without_its_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mrxs"
    path.write_bytes(cv2.imencode(".jpg", np.full((40, 50, 3), 200, np.uint8))[1].tobytes())
    with pytest.raises(BadInputError, match=r"not a whole MIRAX slide.*folder a beside it"):
        open_slide(path, 0.25)


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.isyntax").write_bytes(b"<DataObject ObjectType=")
    with pytest.raises(BadInputError, match="Philips iSyntax is not read"):
        open_slide(tmp_path / "a.isyntax")


def test_folders_are_told_by_what_they_hold(tmp_path: Path) -> None:
    for name, inside, told in (
        ("a.ome.zarr", ".zattrs", "OME-Zarr is not read"),
        ("b", "zarr.json", "OME-Zarr is not read"),
        ("c", "Slidedat.ini", r"Give the \.mrxs file beside it"),
        ("d", "1.dcm", r"Give .*1\.dcm"),
        ("e", "x", "Give one file in it"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).write_bytes(b"x")
        with pytest.raises(BadInputError, match=told):
            open_slide(tmp_path / name)
    write_ets(tmp_path / "_f_")
    with pytest.raises(BadInputError, match="Olympus VSI is not read"):
        open_slide(tmp_path / "_f_")
