"""Images are grouped by the grade or class that the data set's table gives."""

from __future__ import annotations

from pathlib import Path

from benchmarks.results_ledger.grades import group_by_grade
from glandseg.training.data.sample import DataSet, Sample


def make_data(kind: str, *names: str) -> DataSet:
    samples = tuple(Sample(name=name, path=Path(f"{name}.png"), group=name) for name in names)
    return DataSet(kind=kind, samples=samples, um_per_px=0.62)


def list_groups(folder: Path, data_set: DataSet) -> dict[str, list[str]]:
    groups = group_by_grade(folder, data_set, data_set.samples)
    return {grade: [sample.name for sample in samples] for grade, samples in groups.items()}


def test_grades_of_glas(tmp_path: Path) -> None:
    (tmp_path / "Grade.csv").write_text(
        "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)\n"
        "testA_1,4, benign, adenomatous\ntestA_2,5, malignant, moderate\ntrain_1,6, benign, healthy\n",
        encoding="utf-8",
    )
    data = make_data("glas", "testA_1", "testA_2", "testA_3")
    assert list_groups(tmp_path, data) == {"benign": ["testA_1"], "malignant": ["testA_2"]}


def test_classes_of_ebhi_alone_and_pooled(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(
        "name,class,patient\na.jpg,polyp,1\nb,high_grade,2\nc,adenocarcinoma,3\n", encoding="utf-8"
    )
    assert list_groups(tmp_path, make_data("ebhi", "a", "b", "c")) == {
        "adenocarcinoma": ["c"],
        "benign": ["a"],
        "high_grade": ["b"],
        "malignant": ["b", "c"],
        "polyp": ["a"],
    }


def test_classes_of_ebhi_as_published(tmp_path: Path) -> None:
    data = make_data("ebhi", "Normal/a", "High-grade IN/b")
    assert list_groups(tmp_path, data) == {
        "High-grade IN": ["High-grade IN/b"],
        "Normal": ["Normal/a"],
        "benign": ["Normal/a"],
        "malignant": ["High-grade IN/b"],
    }


def test_other_data_have_no_grades(tmp_path: Path) -> None:
    assert not list_groups(tmp_path, make_data("outlines", "a/b"))
    assert not list_groups(tmp_path, make_data("glas", "testA_1"))
