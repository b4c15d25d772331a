"""Each data set is recognised as it was published, with its patients and its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import DataSet
from tests.training.data.images import write_images


def describe(data_set: DataSet) -> list[tuple[str, str, str | None]]:
    return [(sample.name, sample.group, sample.part) for sample in data_set.samples]


def test_glas_has_patients_and_parts(tmp_path: Path) -> None:
    for name in ("train_1", "testA_10", "testB_2", "other"):
        write_images(tmp_path, f"{name}.bmp", f"{name}_anno.bmp")
    (tmp_path / "Grade.csv").write_text(
        "name,patient ID, grade (GlaS)\ntrain_1, 7, benign\ntestA_10,7,benign\n"
    )
    assert describe(find_samples(tmp_path)) == [
        ("other", "other", None),
        ("testA_10", "7", "testA"),
        ("testB_2", "testB_2", "testB"),
        ("train_1", "7", "train"),
    ]


def test_images_without_a_mask_are_noted(tmp_path: Path) -> None:
    write_images(tmp_path, "a.bmp", "a_anno.bmp", *(f"{name}.bmp" for name in "dbce"))
    data_set = find_samples(tmp_path)
    assert data_set.notes == ("4 of 5 images without a mask are left out: b, c, d, ...",)
    assert [sample.name for sample in data_set.samples] == ["a"]


@pytest.mark.parametrize("base", [".", "RINGS algorithm dataset"])
@pytest.mark.parametrize("capital", [True, False])
def test_prog_as_published(tmp_path: Path, base: str, capital: bool) -> None:
    for part, names in (("TRAIN", ("P1_A1_1", "P15_D2_2_7_1")), ("TEST", ("P2_A1_1", "strange", "P3_lost"))):
        for name in names:
            write_images(tmp_path / base / (part if capital else part.lower()), f"IMAGES/{name}.png")
            if "lost" not in name:
                write_images(
                    tmp_path / base / (part if capital else part.lower()), f"MANUAL GLANDS/{name}.png"
                )
    data_set = find_samples(tmp_path)
    assert (data_set.kind, data_set.um_per_px) == ("prog", 0.934)
    assert describe(data_set) == [
        ("test/P2_A1_1", "P2", "test"),
        ("test/strange", "strange", "test"),
        ("train/P15_D2_2_7_1", "P15", "train"),
        ("train/P1_A1_1", "P1", "train"),
    ]
    assert "1 of 3 images without a mask" in data_set.notes[0]


def test_anyones_outlines(tmp_path: Path) -> None:
    write_images(tmp_path, "images/a.tif", "images/b.png", "images/c.jpg", "masks/a.png", "masks/b.png")
    data_set = find_samples(tmp_path)
    assert (data_set.kind, data_set.um_per_px) == ("outlines", None)
    assert describe(data_set) == [("a", "a", None), ("b", "b", None)]
    (tmp_path / "index.csv").write_text("name,patient,um_per_px\na,7,0.5\n")
    data_set = find_samples(tmp_path)
    assert (data_set.kind, data_set.um_per_px) == ("outlines", 0.5)
    assert describe(data_set) == [("a", "7", None), ("b", "b", None)]
    assert data_set.notes == (
        "2 images have no patient in index.csv, so each is its own group: b, c",
        "1 of 3 images without a mask is left out: c",
    )


def test_other_classes_are_not_taken_for_ebhi(tmp_path: Path) -> None:
    write_images(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "index.csv").write_text("name,class,patient\na,breast,7\n")
    assert find_samples(tmp_path).kind == "outlines"  # and so of unknown um/px
    (tmp_path / "index.csv").write_text("name,class,patient\na,Low-grade IN,7\n")
    assert find_samples(tmp_path).kind == "ebhi"


def test_folders_tell_labels(tmp_path: Path) -> None:
    for name in ("Gland", "non_gland", "Non-Gland", "stroma", "other", "mixed", "Both", "unknown"):
        write_images(tmp_path, f"{name}/a.png")
    found = {sample.name: sample.labels for sample in find_samples(tmp_path).samples}
    assert found == {
        "Gland/a.png": (False, True),
        "non_gland/a.png": (True, False),
        "Non-Gland/a.png": (True, False),
        "stroma/a.png": (True, False),
        "other/a.png": (True, False),
        "mixed/a.png": (True, True),
        "Both/a.png": (True, True),
    }
    assert len({sample.group for sample in find_samples(tmp_path).samples}) == 7


def test_patches_may_tell_um_and_masks(tmp_path: Path) -> None:
    write_images(tmp_path, "s/a.png", "s/b.png", "s/a_mask.png")
    table = tmp_path / "patches.csv"
    table.write_text("file,gland,non_gland,um_per_px,mask\ns/a.png,1,0,0.62,s/a_mask.png\ns/b.png,1,1,,\n")
    data_set = find_samples(tmp_path)
    assert data_set.um_per_px == 0.62
    assert [sample.mask_path for sample in data_set.samples] == [tmp_path / "s/a_mask.png", None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,1,0,0.5,\nb.png,1,0,0.62,", "column um_per_px says 0.5 and 0.62. One data set has one um/px"),
        ("a.png,1,0,0,", "line 2, column um_per_px: a number above 0 expected. Received: '0'"),
        ("a.png,1,0,nan,", "a number above 0 expected. Received: 'nan'"),
        ("a.png,1,0,,lost.png", "line 2 names lost.png, which is not there"),
        ("a.png,1,0,,../a.png", "line 2 names ../a.png, which is not below"),
    ],
)
def test_wrong_um_and_masks_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    write_images(tmp_path, "a.png", "b.png")
    (tmp_path / "patches.csv").write_text(f"file,gland,non_gland,um_per_px,mask\n{rows}\n")
    with pytest.raises(BadInputError) as caught:
        find_samples(tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_slides_are_sent_to_cut(tmp_path: Path) -> None:
    (tmp_path / "a.svs").touch()
    (tmp_path / "a.geojson").touch()
    with pytest.raises(BadInputError, match="Run `glandseg cut .* --out PATCHES`"):
        find_samples(tmp_path)


@pytest.mark.shared
def test_real_patients_and_parts(shared_data: Path) -> None:
    glas, ebhi = (find_samples(shared_data / name).samples for name in ("glas", "ebhi"))
    train = [sample for sample in glas if sample.part == "train"]
    assert (len(train), len({sample.group for sample in train})) == (85, 15)
    assert sum(sample.part == "testA" for sample in glas) == 60
    assert {sample.group for sample in glas} <= {str(number) for number in range(1, 17)}
    assert len({sample.group for sample in ebhi}) == 205
