"""Test images stay test images, and the papers' splits come out in the papers' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.published_splits import list_parts, split_data_set
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.splits import Split, take_groups
from tests.training.data.images import write_images


def make_data(kind: str, parts: dict[str | None, list[str]]) -> DataSet:
    """Build a data set from the patients of each part's images."""
    samples = [
        Sample(name=f"{part}_{index}", path=Path(f"{part}_{index}.png"), group=patient, part=part)
        for part, patients in parts.items()
        for index, patient in enumerate(patients)
    ]
    return DataSet(kind=kind, samples=tuple(samples), um_per_px=0.62)


def make_glas() -> DataSet:
    train = [str(patient) for patient, count in enumerate((30, 15, 20, 8, 7, 4, 1)) for _ in range(count)]
    return make_data("glas", {"train": train, "testA": ["1"] * 30 + ["9"] * 30, "testB": ["3"] * 20})


def make_prog() -> DataSet:
    train, test = ([f"P{k}" for k in numbers for _ in range(10)] for numbers in (range(100), range(100, 150)))
    return make_data("prog", {"train": train, "test": test})


def measure(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.val), len(split.test)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_learned_from_published_test_images(seed: int) -> None:
    split = split_data_set(make_glas(), seed=seed)
    assert {sample.part for sample in split.train + split.val} == {"train"}
    assert {sample.part for sample in split.test} == {"testA", "testB"}
    assert not {p.group for p in split.train} & {p.group for p in split.val} and split.val
    assert split.note == "2 of the published test's 3 patients are in its training part too"


def test_the_papers_splits() -> None:
    glas, prog, ebhi = make_glas(), make_prog(), make_data("ebhi", {None: [str(k) for k in range(100)]})
    for seed in range(5):
        feng = split_data_set(glas, "feng", seed=seed)
        assert measure(feng) == (70, 15, 80)
        assert not {p.group for p in feng.train} & {p.group for p in feng.val}
    assert measure(split_data_set(glas, "oeem")) == (85, 0, 80)
    train, val, test = measure(split_data_set(prog, "feng"))
    assert (train, val, test) == (1000, 230, 270)  # 229 and 271 in the paper; here each patient has ten
    assert measure(split_data_set(ebhi, "feng", shares=(0.5, 0.5, 0.0))) == (70, 10, 20)


def test_seeds_choose_other_patients() -> None:
    chosen = {
        frozenset(p.group for p in split_data_set(make_glas(), "feng", seed=seed).val) for seed in range(9)
    }
    assert len(chosen) > 1


def test_without_validation_weights_are_chosen_on_training_images() -> None:
    split = split_data_set(make_glas(), "oeem")
    assert split.choose_on() == split.train
    assert "without validation images" in split.note
    own = split_data_set(make_glas())
    assert own.choose_on() == own.val


@pytest.mark.parametrize(
    ("kind", "split", "message"),
    [
        (
            "patches",
            "feng",
            "split=feng: known are glas, prog, ebhi. This data set is patches. Give --set split=auto.",
        ),
        ("ebhi", "oeem", "split=oeem: known are glas"),
        ("glas", "feng", "published training or test images are not there"),
    ],
)
def test_unknown_splits_are_refused(kind: str, split: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        split_data_set(make_data(kind, {None: ["a", "b", "c"]}), split)


def test_without_published_parts_all_is_split_by_patient() -> None:
    for part in (None, "train"):
        split = split_data_set(make_data("glas", {part: list("abcdefghij")}))
        assert measure(split) == (7, 1, 2) and not split.published and not split.note


def test_a_published_split_must_not_leak_into_validation() -> None:
    one, other = make_data("glas", {None: ["a", "a"]}).samples
    with pytest.raises(BadInputError, match="a is in two parts"):
        Split(train=(one,), val=(other,), test=(), published=True)


def test_parts_are_listed() -> None:
    parts = list_parts(make_glas())
    sizes = {name: len(samples) for name, samples in parts.items()}
    val = sizes.pop("val")
    assert sizes == {"train": 85, "testA": 60, "testB": 20, "test": 80, "all": 165} and 0 < val < 30
    own = list_parts(make_data("ebhi", {None: [str(k) for k in range(10)]}))
    assert {name: len(samples) for name, samples in own.items()} == {
        "train": 7,
        "val": 1,
        "test": 2,
        "all": 10,
    }


def test_groups_are_taken_whole() -> None:
    samples = make_data("glas", {None: ["a"] * 8 + ["b"] * 5 + ["c"] * 4}).samples
    for count, nearest in ((9, 9), (5, 5), (1, 0), (7, 8), (100, 17)):
        taken, rest = take_groups(samples, count, seed=0)
        assert len(taken) == nearest and len(taken) + len(rest) == 17
        assert not {p.group for p in taken} & {p.group for p in rest}


@pytest.mark.shared
def test_real_glas(shared_data: Path) -> None:
    data_set = find_samples(shared_data / "glas")  # without testB
    assert measure(split_data_set(data_set, "feng")) == (70, 15, 60)
    assert measure(split_data_set(data_set, "oeem")) == (85, 0, 60)
    own = split_data_set(data_set)
    assert len(own.train) + len(own.val) == 85 and 8 <= len(own.val) <= 15 and len(own.test) == 60
    assert "patients are in its training part too" in own.note


@pytest.mark.shared
def test_real_ebhi(shared_data: Path) -> None:
    split = split_data_set(find_samples(shared_data / "ebhi"), "feng")
    assert [round(size / 1025, 2) for size in measure(split)] == [0.7, 0.1, 0.2]
    assert not split.published and not split.note


@pytest.mark.parametrize("header", ["name,patient,part", "name,class,patient,part"])
def test_a_column_of_parts_keeps_a_split(header: str, tmp_path: Path) -> None:
    names = [f"polyp_{index}" for index in range(6)]
    for folder in ("images", "masks"):
        write_images(tmp_path / folder, *(f"{name}.png" for name in names), pixels=np.eye(32, dtype=np.uint8))
    middle = "polyp," if "class" in header else ""
    rows = [f"{name},{middle}p{index},{'test' if index < 2 else 'train'}" for index, name in enumerate(names)]
    table = tmp_path / "index.csv"
    table.write_text("\n".join([header, *rows]), encoding="utf-8")
    for seed in range(3):
        split = split_data_set(find_samples(tmp_path), seed=seed)
        assert {sample.name for sample in split.test} == set(names[:2]) and split.val and split.published
    table.write_text("\n".join([header, *rows[:-1], rows[-1].replace("train", "learn")]), encoding="utf-8")
    with pytest.raises(BadInputError, match=r"index\.csv: line 7: part is 'learn'. Write train or test\."):
        find_samples(tmp_path)


def test_parts_are_of_every_image(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        write_images(tmp_path / folder, "a.png", "b.png", pixels=np.eye(32, dtype=np.uint8))
    (tmp_path / "index.csv").write_text("name,patient,part\na,1,train\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"has parts, but none of 1 images, such as b\. Write one for"):
        find_samples(tmp_path)
