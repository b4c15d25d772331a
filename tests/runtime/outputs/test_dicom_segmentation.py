"""DICOM segmentations lie on the slide, belong to its study, and are read back by highdicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from shapely import Point, Polygon, box

from glandseg.model.files import ModelFile
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.checks.check_output import check_output
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.outputs import dicom_source
from glandseg.runtime.outputs.dicom_segmentation import write_segmentation
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from tests.runtime.outputs.conftest import MakeFound, Write
from tests.runtime.outputs.dicom_header import list_errors, make_header

highdicom = pytest.importorskip("highdicom", reason='needs pip install "glandseg[dicom]"')
pydicom = pytest.importorskip("pydicom")
ROOT = Path(__file__).parents[3]
SLIDE = ROOT.parent / "shared/data/slides/dicom-cmu-1-small-region/level-0-frames-0-30.dcm"
RING = Polygon(Point(60, 50).buffer(40).exterior, [Point(60, 50).buffer(10).exterior])


@pytest.fixture
def segment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Write, make_found: MakeFound) -> Any:
    """Return a function that writes the segmentation of a slide with glands, and returns the path."""
    monkeypatch.setattr(dicom_source, "list_slide_files", lambda path: [path])

    def run(*polygons: Polygon, name: str = "a.dcm", **header: Any) -> Path:
        path = tmp_path / name
        glands = [
            Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
            for number, polygon in enumerate(polygons, 1)
        ]
        with monkeypatch.context() as patch:
            patch.setattr(pydicom, "dcmread", lambda path, **options: make_header(**header))
            write(write_segmentation, path, make_found(glands))
        return path

    return run


def test_px_are_read_back_where_the_glands_lie(segment: Any) -> None:
    read = highdicom.seg.segread(segment(RING, box(120, 20, 150, 60)))
    px = read.get_total_pixel_matrix(combine_segments=True)
    assert px.shape == (200, 200) and px.max() == 1
    assert px[20:60, 120:150].all() and px.sum() - 30 * 40 == pytest.approx(RING.area, rel=0.03)
    assert not px[50, 60] and px[50, 30]  # lumen, epithelium


def test_a_px_is_as_wide_on_the_slide_as_the_masks(segment: Any) -> None:
    read = pydicom.dcmread(segment(RING))
    [measures] = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert list(measures.PixelSpacing) == [0.0005, 0.0005]  # 2 level-0 px of 0.25 um, in mm
    [origin] = read.TotalPixelMatrixOriginSequence
    assert (origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem) == (0, 0)
    assert [float(each) for each in read.ImageOrientationSlide] == [0, -1, 0, -1, 0, 0]


def test_it_begins_where_the_slides_px_begin(segment: Any) -> None:
    origin = pydicom.Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 12.5, 40.25
    read = pydicom.dcmread(segment(RING, TotalPixelMatrixOriginSequence=[origin]))
    [written] = read.TotalPixelMatrixOriginSequence
    assert (written.XOffsetInSlideCoordinateSystem, written.YOffsetInSlideCoordinateSystem) == (12.5, 40.25)


def test_it_belongs_to_the_slides_study_and_says_what_made_it(segment: Any) -> None:
    read = pydicom.dcmread(segment(RING))
    assert read.StudyInstanceUID == "1.2.3.2" and read.FrameOfReferenceUID == "1.2.3.4"
    [series] = read.ReferencedSeriesSequence
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == "1.2.3.1"
    [described] = read.SegmentSequence
    assert described.SegmentAlgorithmType == "AUTOMATIC"
    assert described.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "glandseg"


def test_other_glands_are_another_instance(segment: Any) -> None:
    uids = {
        name: pydicom.dcmread(segment(*glands, name=name)).SOPInstanceUID
        for name, glands in (("a.dcm", [RING]), ("b.dcm", [RING]), ("c.dcm", [box(0, 0, 9, 9)]))
    }
    assert uids["a.dcm"] == uids["b.dcm"] != uids["c.dcm"]


def test_a_slide_without_glands_has_no_px(segment: Any) -> None:
    path = segment()
    assert not highdicom.seg.segread(path).get_total_pixel_matrix(combine_segments=True).any()
    assert list(check_output(path)) == []


def test_it_keeps_the_standard(segment: Any) -> None:
    assert list_errors(segment(RING)) == []


def test_faults_are_named(segment: Any) -> None:
    path = segment(RING)
    assert list(check_output(path)) == []
    changed = pydicom.dcmread(path)
    changed.PixelData = changed.PixelData[: len(changed.PixelData) // 2 // 2 * 2]
    changed.save_as(path)
    assert "cannot be read as DICOM annotations or segmentation" in str(next(iter(check_output(path))))


@pytest.mark.skipif(not SLIDE.exists(), reason="needs the slides beside the checkout")
def test_a_dicom_slide_gets_the_px_of_its_mask(tmp_path: Path, red_model: Path, model: ModelFile) -> None:
    chosen = ("mask", "dicom-mask")
    settings = InferSettings(write=chosen, threshold=0.2, min_gland_um2=20, separate=False)
    with CpuSession(red_model, threads=1) as session:
        infer_slide(SLIDE, session, model, settings, out=tmp_path)
    paths = OutputPaths.of_slide(SLIDE, tmp_path, chosen)
    read = highdicom.seg.segread(paths[".mask.dcm"])
    px = read.get_total_pixel_matrix(combine_segments=True)
    assert px.any() and np.array_equal(px > 0, tifffile.imread(paths[".mask.ome.tif"]) > 0)
    assert list(check_output(paths[".mask.dcm"])) == []
