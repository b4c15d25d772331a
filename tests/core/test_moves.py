"""Files that another program holds for a moment, as virus scanners do on Windows."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from glandseg.core import moves
from glandseg.core.moves import move, remove


def hold(monkeypatch: pytest.MonkeyPatch, method: str, looks: int, code: int | None) -> None:
    """Let a method of paths be refused some times, as Windows refuses it with an error's code."""
    plain, left = getattr(Path, method), [looks]

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] >= 0:
            error = PermissionError(errno.EACCES, "in use", str(path))
            error.winerror = code  # type: ignore[attr-defined,unused-ignore]
            raise error
        return plain(path, *arguments, **options)

    monkeypatch.setattr(moves, "_TICK_S", 0.001)
    monkeypatch.setattr(Path, method, refuse)


@pytest.mark.parametrize("code", [5, 32, 33])
def test_a_file_held_for_a_moment_is_moved(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("new")
    hold(monkeypatch, "replace", 3, code)
    move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"


def test_a_file_held_for_a_moment_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    hold(monkeypatch, "unlink", 3, 32)
    remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_one_that_stays_held_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    monkeypatch.setattr(moves, "_HELD_S", 0.01)
    hold(monkeypatch, "replace", 10**6, 32)
    with pytest.raises(PermissionError):
        move(tmp_path / "a", tmp_path / "b")


def test_a_permission_that_lacks_is_told_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, "replace", 1, None)
    with pytest.raises(PermissionError):
        move(tmp_path / "a", tmp_path / "b")


def test_removing_nothing_is_fine(tmp_path: Path) -> None:
    remove(tmp_path / "a")
