"""Which slides a command line names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.find_slides import expand_patterns, find_slides
from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import SUFFIXES
from tests.slides.test_slide_files import write_instance


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.svs", ["a.svs", "b [1].svs"]),
        ("**a.svs", ["a.svs"]),
        ("?.svs", ["a.svs"]),
        ("b [1]*", ["b [1].svs"]),
        ("**/*.svs", ["a.svs", "b [1].svs", "deep/c.svs"]),
        ("*/c.svs", ["deep/c.svs"]),
        ("***", ["a.svs", "b [1].svs", "deep", "deep/c.svs"]),
    ],
)
def test_patterns(pattern: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    touch(tmp_path, "a.svs", "b [1].svs", ".hidden.svs", "deep/c.svs")
    found = expand_patterns([tmp_path / pattern])
    assert {path.relative_to(tmp_path).as_posix() for path in found} >= set(expected[:3])
    assert not any(path.name.startswith(".") for path in found)


def test_a_pattern_that_matches_nothing_stays_to_be_told() -> None:
    assert expand_patterns([Path("none*.svs")]) == [Path("none*.svs")]


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_file_of_a_name_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "a*.svs", "ab.svs")
    assert expand_patterns([tmp_path / "a*.svs"]) == [tmp_path / "a*.svs"]


class Said(list[str]):
    """Lines that were said."""

    def find(
        self, given: list[Path], out: Path | None = None, *, recursive: bool = False
    ) -> list[CohortSlide]:
        return find_slides(given, out, recursive=recursive, say=self.append, warn=self.append)


def list_paths(slides: list[CohortSlide]) -> list[Path]:
    return [slide.path for slide in slides]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_own_outputs_are_left_out_and_named(suffix: str, tmp_path: Path) -> None:
    slide, output = touch(tmp_path, "s.png", f"s{suffix}")
    said = Said()
    assert list_paths(said.find([slide, output])) == [slide]
    assert said[0].startswith(f"{output}: left out")
    with pytest.raises(BadInputError, match="name of an output of glandseg"):
        said.find([output])


def test_the_same_slide_is_run_once(tmp_path: Path) -> None:
    (slide,) = touch(tmp_path, "a.tif")
    again = tmp_path / "." / ".." / tmp_path.name / "a.tif"
    said = Said()
    assert list_paths(said.find([slide, again, slide])) == [slide]
    assert ["given more than once, run once" in line for line in said] == [True, True]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_to_the_same_slide_is_run_once_into_one_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (slide,) = touch(tmp_path, "a.tif")
    (tmp_path / "x" / "a.tif").symlink_to(slide)
    assert list_paths(Said().find([slide, tmp_path / "x" / "a.tif"], tmp_path)) == [slide]


def test_slides_of_one_folder_and_stem_are_named_in_full(tmp_path: Path) -> None:
    slides = Said().find(touch(tmp_path, "a.tif", "a.svs", "b.svs"))
    assert [slide.stem for slide in slides] == ["a.tif", "a.svs", "b"]


def test_slides_of_two_folders_and_one_name_go_into_subfolders(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
    given = touch(tmp_path, "x/a.svs", "y/a.svs", "y/b.svs")
    slides = Said().find(given, tmp_path / "out")
    assert [slide.folder for slide in slides] == [
        tmp_path / "out" / "x",
        tmp_path / "out" / "y",
        tmp_path / "out",
    ]


def test_a_folder_holds_its_slides_and_not_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "deep" / "x.labels.ome.zarr").mkdir(parents=True)
    touch(
        tmp_path,
        "b.svs",
        "a.SVS",
        "notes.txt",
        "a.glands.csv",
        ".hidden.svs",
        "a.overview.png",
        "damaged.czi",
    )
    touch(tmp_path, "deep/c.ndpi", "deep/x.labels.ome.zarr/tile.png")
    said = Said()
    assert [slide.path.name for slide in said.find([tmp_path])] == ["a.SVS", "b.svs", "damaged.czi"]
    assert said == [f"{tmp_path}: files that are no slides left out: 1 .txt"]
    found = said.find([tmp_path], tmp_path / "out", recursive=True)
    assert [slide.path.name for slide in found] == ["a.SVS", "b.svs", "damaged.czi", "c.ndpi"]
    assert found[-1].folder == tmp_path / "out" / "deep"


def test_a_folder_without_slides_says_where_else_to_look(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    touch(tmp_path, "deep/a.svs")
    with pytest.raises(
        BadInputError, match="no slide in this folder. To look in its subfolders too, add --rec"
    ):
        Said().find([tmp_path])


def test_a_dicom_series_in_a_folder_is_one_slide(tmp_path: Path) -> None:
    for number, name in enumerate(("1.2.840.1", "b.dcm", "c.dcm")):
        write_instance(tmp_path / name, f"1.2.3.{number // 2}")
    touch(tmp_path, "4.5.6")
    assert [slide.path.name for slide in Said().find([tmp_path])] == ["1.2.840.1", "c.dcm"]


def test_the_jpegs_of_a_hamamatsu_index_are_no_slides(tmp_path: Path) -> None:
    (tmp_path / "a.vms").write_text("[Virtual Microscope Specimen]\nImageFile=a-1.jpg\n", encoding="utf-8")
    touch(tmp_path, "a-1.jpg", "other.jpg")
    assert [slide.path.name for slide in Said().find([tmp_path])] == ["a.vms", "other.jpg"]
