"""Paths that lead to no file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file
from glandseg.runtime.annotations.geojson import read_annotations
from glandseg.slides.open import open_slide

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def test_files_folders_and_missing_paths_pass(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for name in ("a", "link", ".", "missing"):
        check_regular_file(tmp_path / name)


def test_pipes_sockets_and_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(BadInputError, match=r"is a named pipe.*Copy the data into a file"):
            check_regular_file(path)
    with pytest.raises(BadInputError, match="is a device"):
        check_regular_file(Path(os.devnull))
    with socket.socket(socket.AF_UNIX) as bound:
        monkeypatch.chdir(tmp_path)  # paths of sockets must be short
        bound.bind("socket")
    with pytest.raises(BadInputError, match="is a socket"):
        check_regular_file(tmp_path / "socket")


def test_no_slide_and_no_roi_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.svs")
    with pytest.raises(BadInputError, match="is a named pipe"):
        open_slide(tmp_path / "a.svs")
    with pytest.raises(BadInputError, match="is a named pipe"):
        read_annotations(tmp_path / "a.svs")
