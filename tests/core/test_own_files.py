"""Working files that a link stands in for are refused, and what the link names stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.own_files import check_own_folder, is_link, open_own
from glandseg.runtime.glands.store import GlandStore
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.tiling.window_store import Key, WindowStore

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a right there")


def write_windows(path: Path) -> None:
    with WindowStore(path) as store:
        store.append(Key(0, 0, 0), np.zeros((4, 4), np.uint8))


def write_map(path: Path) -> None:
    with TileMap(path, 4, 4):
        pass


def link_softly(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def link_hard(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


@needs_links
@pytest.mark.parametrize("link", [link_softly, link_hard])
@pytest.mark.parametrize("write", [write_windows, write_map, GlandStore, lambda path: open_own(path, "ab")])
def test_nothing_is_written_through_a_link(
    write: Callable[[Path], object], link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link(tmp_path / "own", victim)
    with pytest.raises(OSError):
        write(tmp_path / "own")
    assert victim.read_text() == "precious"


@needs_links
def test_a_link_to_nothing_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to(tmp_path / "victim")
    for write in (write_windows, write_map):
        with pytest.raises(OSError):
            write(tmp_path / "own")
    assert not (tmp_path / "victim").exists()


@needs_links
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own")
    with pytest.raises(OSError, match="not a regular file"):
        write_map(tmp_path / "own")


def test_an_older_file_is_emptied_and_a_kept_one_is_not(tmp_path: Path) -> None:
    for mode, expected in (("w+b", b""), ("r+b", b"older")):
        (tmp_path / "own").write_bytes(b"older")
        with open_own(tmp_path / "own", mode) as file:
            assert file.read() == expected


@needs_links
@pytest.mark.parametrize("name", ["finished.windows", "lock", "job.json", "older/slide.csv", "older"])
def test_a_folder_that_holds_a_link_is_refused(name: str, tmp_path: Path) -> None:
    work, victim = tmp_path / "work", tmp_path / "victim"
    victim.mkdir()
    link = work / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with pytest.raises(EnvironmentLacksError, match=r"is a link or not a regular file.*Remove work"):
        check_own_folder(work)


def test_a_folder_of_plain_files_is_taken(tmp_path: Path) -> None:
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "slide.csv").touch()
    (tmp_path / "finished.windows").touch()
    check_own_folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finished.windows", "older"]


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((0, 0, 0, 1, 4321, 0, 0, 0, 0, 0)))
    with pytest.raises(EnvironmentLacksError, match="belongs to another user"):
        check_own_folder(tmp_path)


def test_a_junction_counts_as_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Junction:
        st_mode = 0o040777
        st_reparse_tag = 0xA0000003

    monkeypatch.setattr(Path, "lstat", lambda path: Junction())
    assert is_link(tmp_path)
