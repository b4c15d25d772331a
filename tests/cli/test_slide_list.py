"""Which slides a command line names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glandseg.cli.slide_list import expand_patterns, list_slides
from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import SUFFIXES


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


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_own_outputs_are_left_out_and_named(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, output = touch(tmp_path, "s.png", f"s{suffix}")
    assert list_slides([slide, output], None) == [slide]
    assert f"{output}: left out" in capsys.readouterr().err
    with pytest.raises(BadInputError, match="name of an output of glandseg"):
        list_slides([output], None)


def test_the_same_slide_is_run_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (slide,) = touch(tmp_path, "a.tif")
    again = tmp_path / "." / ".." / tmp_path.name / "a.tif"
    assert list_slides([slide, again, slide], None) == [slide]
    assert capsys.readouterr().out.count("given more than once, run once") == 2


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_to_the_same_slide_is_run_once_into_one_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (slide,) = touch(tmp_path, "a.tif")
    (tmp_path / "x" / "a.tif").symlink_to(slide)
    assert list_slides([slide, tmp_path / "x" / "a.tif"], tmp_path) == [slide]


def test_two_slides_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="would overwrite those of"):
        list_slides(touch(tmp_path, "a.tif", "a.svs"), None)
