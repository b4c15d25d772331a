"""Images alone are data for a teacher, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples
from tests.training.data.images import write_images


@pytest.mark.parametrize("below", ["", "images"])
def test_images_of_any_format(tmp_path: Path, below: str) -> None:
    write_images(tmp_path / below, "c.webp", "a.png", "b.jpg", "d.tif")
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    found = find_samples(tmp_path, labelled=False)
    assert (found.kind, found.um_per_px) == ("images", None)
    assert [sample.name for sample in found.samples] == ["a", "b", "c", "d"]
    assert [sample.group for sample in found.samples] == ["a", "b", "c", "d"]
    assert not any(sample.mask_path or sample.labels for sample in found.samples)


def test_a_table_tells_patients_and_resolution(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "b.png", "c.png")
    rows = "name,patient,um_per_px\na,P1,0.5\nb,P1,0.5\n"
    (tmp_path / "index.csv").write_text(rows, encoding="utf-8")
    found = find_samples(tmp_path, labelled=False)
    assert found.um_per_px == 0.5
    assert [sample.group for sample in found.samples] == ["P1", "P1", "c"]


def test_labelled_data_stay_what_they_are(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "a_anno.png")
    assert find_samples(tmp_path, labelled=False).kind == "glas"


def test_without_a_teacher_images_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png")
    with pytest.raises(BadInputError, match="not a data set") as caught:
        find_samples(tmp_path)
    assert "--teacher" in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="not a data set"):
        find_samples(tmp_path, labelled=False)
