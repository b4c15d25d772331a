"""No image is left out in silence."""

from __future__ import annotations

from pathlib import Path

from glandseg.training.data.datasets import find_samples
from tests.training.data.images import write_images


def test_patches_of_one_stem_are_all_used(tmp_path: Path) -> None:
    write_images(tmp_path, "gland/1.png", "gland/1.jpg", "stroma/1.png", "stroma/deep/2.png", "strange/3.png")
    found = find_samples(tmp_path)
    assert [sample.name for sample in found.samples] == ["gland/1.jpg", "gland/1.png", "stroma/1.png"]
    assert len({sample.group for sample in found.samples}) == 2
    assert found.notes == (
        f"{tmp_path}/stroma: 1 image in subfolders is left out: deep/2.png",
        "1 folder without a known class is left out: strange",
    )


def test_pairs_tell_stems_subfolders_and_formats(tmp_path: Path) -> None:
    write_images(tmp_path, "images/1.png", "images/1.jpg", "images/2.png", "images/deep/3.png")
    write_images(tmp_path, "masks/1.png", "masks/4.png")
    (tmp_path / "images" / "5.gif").touch()
    found = find_samples(tmp_path)
    images = tmp_path / "images"
    assert [sample.path.name for sample in found.samples] == ["1.png"]
    assert found.notes == (
        "1 of 2 images without a mask is left out: 2",
        "1 of 2 masks without an image is left out: 4",
        f"{images}: 1 image named like another but for the suffix is left out: 1.jpg",
        f"{images}: 1 image in subfolders is left out: deep/3.png",
        f"{images}: 1 file of unreadable formats is left out: 5.gif",
    )


def test_images_that_a_table_does_not_name_are_noted(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "b.png", "deep/c.png", "m.png")
    (tmp_path / "patches.csv").write_text("file,gland,non_gland,mask\na.png,1,0,m.png\n")
    assert find_samples(tmp_path).notes == (
        "2 images that patches.csv does not name are left out: b.png, deep/c.png",
    )


def test_images_alone_tell_them_too(tmp_path: Path) -> None:
    write_images(tmp_path, "a.png", "a.bmp", "deep/b.png")
    notes = find_samples(tmp_path, labelled=False).notes
    assert len(notes) == 2 and "a.bmp" in notes[0] and "deep/b.png" in notes[1]
