"""Corrupt images are named, and stop the training or are dropped, as the setting says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.corrupt_images import drop_corrupt
from glandseg.training.data.leakage import refuse_leakage
from glandseg.training.data.sample import Sample


def write_image(folder: Path, name: str, value: int = 0, mask_px: int = 9) -> Sample:
    image = np.full((9, 9, 3), value, np.uint8)
    cv2.imencode(".png", image)[1].tofile(folder / f"{name}.png")
    cv2.imencode(".png", np.eye(mask_px, dtype=np.uint8))[1].tofile(folder / f"{name}_anno.png")
    return Sample(
        name=name, path=folder / f"{name}.png", mask_path=folder / f"{name}_anno.png", group=f"patient {name}"
    )


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Return an intact image, one cut short, one with a mask of another size, and one with a broken mask."""
    made = [
        write_image(tmp_path, name, value) for value, name in enumerate(("intact", "short", "size", "mask"))
    ]
    made[1].path.write_bytes(made[1].path.read_bytes()[:50])
    write_image(tmp_path, "size", 2, mask_px=8)
    (tmp_path / "mask_anno.png").write_bytes(b"no image")
    return made


def test_corrupt_images_are_fatal(samples: list[Sample]) -> None:
    said: list[str] = []
    with pytest.raises(BadInputError) as caught:
        drop_corrupt(samples, "fatal", said.append)
    text = str(caught.value)
    assert "short.png: this png cannot be decoded" in text and "\n" not in text
    assert "2 more are corrupt" in text and "--set on_corrupt=skip" in text and not said


def test_corrupt_images_are_skipped_and_logged(samples: list[Sample]) -> None:
    said: list[str] = []
    assert drop_corrupt(samples, "skip", said.append) == (samples[0],)
    assert len(said) == 4 and said[3] == "3 of 4 images are corrupt and skipped"
    for line, words in zip(
        said,
        (
            "short.png: this png cannot be decoded",
            "size_anno.png: is 8 x 8 px, its image 9 x 9",
            "mask_anno.png",
        ),
        strict=False,
    ):
        assert line.startswith("skipped: ") and words in line


def test_intact_images_are_all_kept_in_silence(tmp_path: Path) -> None:
    samples = tuple(write_image(tmp_path, name) for name in "ab")
    said: list[str] = []
    assert drop_corrupt(samples, "fatal", said.append) == samples and not said


def test_the_same_image_in_two_parts_is_refused(tmp_path: Path) -> None:
    one, copy, other = (write_image(tmp_path, name, value) for name, value in (("a", 1), ("b", 1), ("c", 2)))
    refuse_leakage({"train": [one, copy], "test": [other]})
    with pytest.raises(BadInputError) as caught:
        refuse_leakage({"train": [one], "val": [other], "test": [copy]})
    assert str(one.path) in str(caught.value) and str(copy.path) in str(caught.value)
    assert "one falls to test, the other to train" in str(caught.value)


def test_white_images_may_be_the_same(tmp_path: Path) -> None:
    one, copy = (write_image(tmp_path, name, 250) for name in "ab")
    refuse_leakage({"train": [one], "test": [copy]}, background=0.9)
    with pytest.raises(BadInputError, match="the same image"):
        refuse_leakage({"train": [one], "test": [copy]})
