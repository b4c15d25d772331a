"""DICOM annotations lie on the slide, belong to its study, and are read back by highdicom."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shapely
from shapely import Point, Polygon, box

from glandseg.core.errors import BadInputError
from glandseg.model.files import ModelFile
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.checks.check_output import check_output
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.outputs import dicom_source
from glandseg.runtime.outputs.dicom_annotations import trace_outside, write_dicom
from glandseg.runtime.outputs.dicom_source import find_base
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from tests.runtime.outputs.conftest import MakeFound, Write
from tests.runtime.outputs.dicom_header import list_errors, make_header

highdicom = pytest.importorskip("highdicom", reason='needs pip install "glandseg[dicom]"')
pydicom = pytest.importorskip("pydicom")
ROOT = Path(__file__).parents[3]
SLIDE = ROOT.parent / "shared/data/slides/dicom-cmu-1-small-region/level-0-frames-0-30.dcm"
RING = Polygon(Point(60, 50).buffer(40).exterior, [Point(60, 50).buffer(10).exterior])


def make_glands(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


@pytest.fixture
def annotate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Write, make_found: MakeFound) -> Any:
    """Return a function that annotates a slide with glands, and returns the path."""
    monkeypatch.setattr(dicom_source, "list_slide_files", lambda path: [path])
    monkeypatch.setattr(pydicom, "dcmread", lambda path, **options: make_header())

    def run(*polygons: Polygon, name: str = "a.dcm") -> Path:
        path = tmp_path / name
        write(write_dicom, path, make_found(make_glands(*polygons)))
        monkeypatch.undo()
        return path

    return run


def test_annotations_are_read_back_where_the_glands_lie(annotate: Any) -> None:
    path = annotate(RING, box(120, 20, 150, 60))
    read = highdicom.ann.annread(path)
    [group] = read.get_annotation_groups()
    ring, square = (shapely.Polygon(points) for points in group.get_graphic_data("2D"))
    assert (ring.centroid.x, ring.centroid.y) == pytest.approx((120, 100), abs=0.5)  # 2 level-0 px each
    assert ring.area == pytest.approx(4 * np.pi * 40**2, rel=0.02)  # filled
    assert square.bounds == (240, 40, 300, 120)
    _, values, _ = group.get_measurements()
    expected = [RING.area * 0.25, 30 * 40 * 0.25]  # at 0.5 um/px, without the lumen
    assert values[:, 0].tolist() == pytest.approx(expected, rel=1e-4)
    assert list(check_output(path)) == []


def test_annotations_belong_to_the_slides_study_and_say_what_made_them(annotate: Any) -> None:
    path = annotate(RING)
    read = pydicom.dcmread(path)
    assert read.StudyInstanceUID == "1.2.3.2"
    assert read.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.1"
    assert read.SeriesInstanceUID != "1.2.3.3" and read.SOPInstanceUID.startswith("2.25.")
    [group] = read.AnnotationGroupSequence
    assert group.AnnotationGroupGenerationType == "AUTOMATIC"
    assert group.AnnotationGroupAlgorithmIdentificationSequence[0].AlgorithmName == "glandseg"
    assert "esearch" in group.AnnotationGroupDescription


def test_a_slide_without_glands_has_a_group_of_none(annotate: Any) -> None:
    path = annotate()
    [group] = pydicom.dcmread(path).AnnotationGroupSequence
    assert group.NumberOfAnnotations == 0 and "PointCoordinatesData" not in group
    assert list(check_output(path)) == []


def test_annotations_keep_the_standard(annotate: Any) -> None:
    """The rules that remain are of 3D, and of paired organs, which the colon is none of."""
    others = ("CommonZCoordinateValue", "Laterality")
    path = annotate(RING)
    assert "CommonZCoordinateValue" not in pydicom.dcmread(path).AnnotationGroupSequence[0]
    assert [line for line in list_errors(path) if not any(other in line for other in others)] == []


def test_contours_have_no_repeated_corner() -> None:
    points = trace_outside(box(0, 0, 10, 20), 2.0)
    assert points.dtype == np.float32 and sorted(map(tuple, points.tolist())) == [
        (0, 0),
        (0, 40),
        (20, 0),
        (20, 40),
    ]


def test_the_largest_image_of_the_slide_itself_is_annotated(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {
        Path("label"): make_header(ImageType=["ORIGINAL", "PRIMARY", "LABEL"], TotalPixelMatrixColumns=900),
        Path("small"): make_header(TotalPixelMatrixColumns=100),
        Path("base"): make_header(SOPInstanceUID="1.2.3.9"),
    }
    monkeypatch.setattr(dicom_source, "list_slide_files", lambda path: list(headers))
    monkeypatch.setattr(pydicom, "dcmread", lambda path, **options: headers[path])
    found: Any = SimpleNamespace(slide_path=Path("small"))
    assert find_base(found).SOPInstanceUID == "1.2.3.9"
    del headers[Path("small")], headers[Path("base")]
    with pytest.raises(BadInputError, match="no image of type VOLUME"):
        find_base(found)


def test_faults_of_annotations_are_named(annotate: Any) -> None:
    path = annotate(box(0, 0, 10, 10), box(20, 20, 30, 30))
    changed = pydicom.dcmread(path)
    points = np.frombuffer(changed.AnnotationGroupSequence[0].PointCoordinatesData, np.float32).copy()
    points[0] = np.nan
    changed.AnnotationGroupSequence[0].PointCoordinatesData = points.tobytes()
    changed.save_as(path)
    assert [str(fault) for fault in check_output(path)] == [
        "annotation 1 of group 1 has coordinates that are no numbers"
    ]
    path.write_bytes(path.read_bytes()[:300])
    assert "cannot be read as DICOM annotations" in str(next(iter(check_output(path))))


@pytest.mark.skipif(not SLIDE.exists(), reason="needs the slides beside the checkout")
def test_a_dicom_slide_gets_the_outlines_of_its_geojson(
    tmp_path: Path, red_model: Path, model: ModelFile
) -> None:
    settings = InferSettings(write=("geojson", "dicom"), threshold=0.2, min_gland_um2=20)
    with CpuSession(red_model, threads=1) as session:
        infer_slide(SLIDE, session, model, settings, out=tmp_path)
    paths = OutputPaths.of_slide(SLIDE, tmp_path, ("geojson", "dicom"))
    features = json.loads(paths[".glands.geojson"].read_text(encoding="utf-8"))["features"]
    [group] = highdicom.ann.annread(paths[".glands.dcm"]).get_annotation_groups()
    assert len(features) == group.number_of_annotations > 0
    for feature, points in zip(features, group.get_graphic_data("2D"), strict=True):
        outer = shapely.LinearRing(feature["geometry"]["coordinates"][0])
        assert shapely.hausdorff_distance(outer, shapely.LinearRing(points)) < 4  # level-0 px
    assert list(check_output(paths[".glands.dcm"])) == []
