"""Data folders are recognised, and an error in one names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples

IMAGE = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
MASK = np.array([[0, 0, 1, 2], [0, 3, 3, 3]], np.uint8)

WriteTable = Callable[[str | bytes], Path]


def write_image(path: Path, pixels: NDArray[np.generic] = IMAGE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix.lower(), pixels)[1].tofile(path)
    return path


def read_only_mask(folder: Path) -> NDArray[np.uint8]:
    (sample,) = find_samples(folder).samples
    return sample.read_mask()


@pytest.fixture
def write_table(tmp_path: Path) -> WriteTable:
    """Return a function that writes patches.csv beside a.png and b.png."""

    def write(text: str | bytes) -> Path:
        write_image(tmp_path / "a.png")
        write_image(tmp_path / "b.png")
        (tmp_path / "patches.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def expect_one_line(folder: Path, *parts: str) -> None:
    with pytest.raises(BadInputError) as caught:
        find_samples(folder)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".tif", ".webp", ".PNG", ".TIF", ".JPG", ".Bmp"])
def test_glas_in_any_format(tmp_path: Path, suffix: str) -> None:
    for name in ("train_10", "train_9", "testA_1"):
        write_image(tmp_path / f"{name}{suffix}")
        write_image(tmp_path / f"{name}_anno.png", np.eye(8, 12, dtype=np.uint8))
    data = find_samples(tmp_path)
    assert (data.kind, data.um_per_px) == ("glas", 0.62)
    assert [sample.name for sample in data.samples] == ["testA_1", "train_10", "train_9"]
    assert {sample.group for sample in data.samples} == {"testA_1", "train_10", "train_9"}
    image, mask = data.samples[0].read(), data.samples[0].read_mask()
    assert image.shape == (8, 12, 3) and image.dtype == np.uint8 and mask.sum() == 8
    if suffix.lower() not in (".jpg", ".webp"):
        np.testing.assert_array_equal(image[..., ::-1], IMAGE)


def test_glas_leaves_out_what_has_no_partner(tmp_path: Path) -> None:
    for name in (
        "a.bmp",
        "a_anno.bmp",
        "without_mask.bmp",
        "without_image_anno.bmp",
        "._a.bmp",
        "._a_anno.bmp",
    ):
        write_image(tmp_path / name)
    (tmp_path / "a_anno.txt").write_text("no image")
    assert [sample.name for sample in find_samples(tmp_path).samples] == ["a"]


def test_an_image_kept_in_two_formats_counts_once(tmp_path: Path) -> None:
    for name in ("a.bmp", "a.png", "a_anno.bmp", "a_anno.png"):
        write_image(tmp_path / name)
    (sample,) = find_samples(tmp_path).samples
    assert sample.mask_path
    assert (sample.path.name, sample.mask_path.name) == ("a.png", "a_anno.png")


def test_ebhi_by_class_is_grouped_by_patient(tmp_path: Path) -> None:
    for name in ("GT2012149-1-400-001", "GT2012149-1-400-002", "GTxc2012521-2-400-003"):
        write_image(tmp_path / "Polyp/image" / f"{name}.png")
        write_image(tmp_path / "Polyp/label" / f"{name}.PNG")
    write_image(tmp_path / "Normal/image/GT2012149-1-400-001.png")
    write_image(tmp_path / "Normal/label/GT2012149-1-400-001.png")
    write_image(tmp_path / "Normal/image/GT2012000-1-400-001.png")  # lacks its mask
    data = find_samples(tmp_path)
    assert data.kind == "ebhi"
    assert [(sample.name, sample.group) for sample in data.samples] == [
        ("Normal/GT2012149-1-400-001", "2012149"),
        ("Polyp/GT2012149-1-400-001", "2012149"),
        ("Polyp/GT2012149-1-400-002", "2012149"),
        ("Polyp/GTxc2012521-2-400-003", "2012521"),
    ]


def test_ebhi_by_index(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.JPG")
        write_image(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "index.csv").write_text("name,class,patient\nb,polyp,7\na,polyp,7\nlost,polyp,8\n")
    data = find_samples(tmp_path)
    assert data.kind == "ebhi" and data.um_per_px == 1.3
    assert [(sample.name, sample.group) for sample in data.samples] == [("a", "7"), ("b", "7")]


def test_an_index_without_patients_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("name,class\na,polyp\n")
    expect_one_line(tmp_path, "index.csv", "lacks the column patient")


def test_patches_with_byte_order_mark_and_blanks(write_table: WriteTable) -> None:
    text = "\ufefffile, gland ,non_gland,patient\r\na.png,1,0,7 \r\n\r\nb.png,No,TRUE,\r\n"
    data = find_samples(write_table(text))
    assert (data.kind, data.um_per_px) == ("patches", None)
    first, second = data.samples
    assert (first.name, first.labels, first.group) == ("a.png", (False, True), "7")
    assert (second.name, second.labels, second.group) == ("b.png", (True, False), "b.png")
    assert first.read().shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("file,gland\na.png,1\n", ("lacks the column non_gland",)),
        ("", ("lacks the column file, gland, non_gland",)),
        ("file,gland,non_gland\na.png,1,0\n\nb.png,maybe,0\n", ("line 4", "gland", "'maybe'")),
        ("file,gland,non_gland\na.png,1\n", ("line 2", "non_gland", "''")),
        ("file,gland,non_gland\na.png,1,0\nc.png,1,0\n", ("line 3", "c.png", "not there")),
        ("file,gland,non_gland\n,1,0\n", ("line 2", "not there")),
        ("file,gland,non_gland\na.png,1,0\na.png,0,1\n", ("line 3", "a.png again")),
        ("file,gland,non_gland\na.png,0,0\n", ("line 2", "neither")),
        ("file,gland,non_gland\n../a.png,1,0\n", ("line 2", "../a.png", "not below")),
        ("file,gland,non_gland\n/a.png,1,0\n", ("line 2", "not below")),
        ("file,gland,non_gland\n\u00fc.png,1,0\n".encode("latin-1"), ("UTF-8",)),
    ],
)
def test_a_wrong_table_is_refused(write_table: WriteTable, text: str | bytes, parts: tuple[str, ...]) -> None:
    expect_one_line(write_table(text), "patches.csv", *parts)


def test_a_labelled_patch_has_no_outlines(write_table: WriteTable) -> None:
    (sample,) = find_samples(write_table("file,gland,non_gland\na.png,1,0\n")).samples
    with pytest.raises(BadInputError, match=r"a\.png: has no outline mask\. Give it one"):
        sample.read_mask()


@pytest.mark.parametrize(
    ("stored", "gland"),
    [
        (MASK, MASK > 0),
        (MASK.astype(np.uint16) * 100, MASK > 0),  # 300 instances
        (MASK * 40, MASK > 0),
        (np.array([[0, 127, 128, 255]], np.uint8), np.array([[False, False, True, True]])),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), bool)),
        (np.full((2, 2), 255, np.uint8), np.ones((2, 2), bool)),
        (np.dstack([MASK, MASK * 0, MASK * 0]), MASK > 0),
        (np.dstack([MASK, MASK, MASK, np.full_like(MASK, 255)]), MASK > 0),  # opaque
    ],
    ids=["ids", "16-bit ids", "127 at most", "grey", "empty", "full", "color", "opacity"],
)
def test_masks_become_labels(tmp_path: Path, stored: NDArray[np.generic], gland: NDArray[np.bool_]) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "a_anno.png", stored)
    mask = read_only_mask(tmp_path)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, gland)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "a_anno.png", MASK)
    (sample,) = find_samples(tmp_path).samples
    with pytest.raises(BadInputError, match=r"a_anno\.png: is 4 x 2 px, its image 12 x 8\."):
        sample.read_mask(sample.read().shape)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"not an image", "holds no slide or image that is known"),
        (cv2.imencode(".png", IMAGE)[1].tobytes()[:60], "this png cannot be decoded"),
    ],
)
def test_a_corrupt_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    write_image(tmp_path / "a.png").write_bytes(content)
    write_image(tmp_path / "a_anno.png")
    (sample,) = find_samples(tmp_path).samples
    with pytest.raises(BadInputError, match=rf"a\.png: {reason}"):
        sample.read()


def test_a_folder_that_is_missing_or_strange(tmp_path: Path) -> None:
    expect_one_line(tmp_path / "lost", "lost: no such folder")
    write_image(tmp_path / "alone.png")
    expect_one_line(tmp_path, "not a data set", "patches.csv")


@pytest.mark.shared
def test_real_data(shared_data: Path) -> None:
    glas, ebhi = (find_samples(shared_data / name) for name in ("glas", "ebhi"))
    assert (len(glas.samples), len(ebhi.samples)) == (145, 1025)
    for data in (glas, ebhi):
        image = data.samples[0].read()
        mask = data.samples[0].read_mask(image.shape)
        assert 0.05 < mask.mean() < 0.95 and mask.max() == 1
