"""Outputs appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from glandseg.core import atomic as staging
from glandseg.core.atomic import explain_disk_errors, stage_outputs, try_names, write_whole
from glandseg.core.errors import EnvironmentLacksError

NAMES = ["a", "b", "record"]


def fill(folder: Path, names: list[str], text: str) -> None:
    for name in names:
        (folder / name).write_text(text, encoding="utf-8")


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_files_appear_together_and_scratch_goes(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    with stage_outputs(out, NAMES) as scratch:
        assert scratch.parent == out
        fill(scratch, [*NAMES, "map.npy"], "new")
        assert list(out.iterdir()) == [scratch]
    assert read(out) == dict.fromkeys(NAMES, "new")


def test_older_files_are_replaced_and_others_stay(tmp_path: Path) -> None:
    fill(tmp_path, [*NAMES, "other"], "older")
    with stage_outputs(tmp_path, NAMES) as scratch:
        fill(scratch, NAMES, "new")
    assert read(tmp_path) == dict.fromkeys(NAMES, "new") | {"other": "older"}


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_an_error_leaves_what_was(error: BaseException, tmp_path: Path) -> None:
    fill(tmp_path, NAMES, "older")
    with pytest.raises(type(error)), stage_outputs(tmp_path, NAMES) as scratch:
        fill(scratch, NAMES, "new")
        raise error
    assert read(tmp_path) == dict.fromkeys(NAMES, "older")


@pytest.mark.parametrize("older", [[], ["a"], NAMES])
def test_a_file_that_is_not_there_leaves_what_was(older: list[str], tmp_path: Path) -> None:
    fill(tmp_path, older, "older")
    with pytest.raises(FileNotFoundError), stage_outputs(tmp_path, NAMES) as scratch:
        fill(scratch, ["a", "record"], "new")
    assert read(tmp_path) == dict.fromkeys(older, "older")


def test_the_last_file_goes_first_and_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run that is killed between two moves leaves outputs without a record."""
    moved: list[str] = []
    replace = Path.replace

    def watch(source: Path, target: Path) -> Path:
        moved.append(f"{'out' if source.parent == tmp_path else 'in'} {target.name}")
        return replace(source, target)

    fill(tmp_path, NAMES, "older")
    monkeypatch.setattr(Path, "replace", watch)
    with stage_outputs(tmp_path, NAMES) as scratch:
        fill(scratch, NAMES, "new")
    assert moved == ["out record", "out b", "out a", "in a", "in b", "in record"]


def test_two_runs_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    with stage_outputs(tmp_path, ["a"]) as first, stage_outputs(tmp_path, ["b"]) as second:
        assert first != second
        fill(first, ["a"], "1")
        fill(second, ["b"], "2")
    assert read(tmp_path) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full; nothing was written"),
        (errno.EDQUOT, "the disk is full; nothing was written"),
        (errno.EACCES, r"cannot be written \(out: "),
        (errno.EROFS, r"cannot be written \(out: "),
        (errno.EISDIR, r"cannot be written \(out: "),
        (errno.ENAMETOOLONG, r"cannot be written \(out: "),
        (errno.EIO, r"cannot be written \(out: "),
    ],
)
def test_refusals_of_the_system_are_told(number: int, says: str) -> None:
    with pytest.raises(EnvironmentLacksError, match=says), explain_disk_errors(Path("out")):
        raise OSError(number, os.strerror(number))


def test_the_file_that_is_refused_is_named() -> None:
    says = r"out: cannot be written \(a\.csv: denied\)"
    with pytest.raises(EnvironmentLacksError, match=says), explain_disk_errors(Path("out")):
        raise PermissionError(errno.EACCES, "denied", "out/a.csv")


def test_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError), explain_disk_errors(Path("out")):
        raise FileNotFoundError(errno.ENOENT, "missing")


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(EnvironmentLacksError, match="out: was moved or removed"), stage_outputs(out, ["a"]):
        out.rename(tmp_path / "elsewhere")


def test_a_path_too_long_for_windows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_ON_WINDOWS", True)
    long = "out/" + "n" * 300
    with (
        pytest.raises(EnvironmentLacksError, match="no path of more than 259"),
        explain_disk_errors(Path("out")),
    ):
        raise FileNotFoundError(errno.ENOENT, "missing", long)


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_part_is_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".a.part").symlink_to(victim)
    with write_whole(tmp_path / "a") as part:
        part.write_text("new")
    assert (victim.read_text(), (tmp_path / "a").read_text()) == ("precious", "new")


def test_a_name_too_long_is_refused_and_one_that_fits_leaves_nothing(tmp_path: Path) -> None:
    try_names(tmp_path, NAMES)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        try_names(tmp_path, ["a", "n" * 300])


def write_folder(scratch: Path, text: str) -> None:
    (scratch / "a.zarr" / "c").mkdir(parents=True)
    (scratch / "a.zarr" / "c" / "0").write_text(text)


def test_a_folder_replaces_an_older_one_or_leaves_it(tmp_path: Path) -> None:
    for text in ("older", "newer"):
        with stage_outputs(tmp_path, ["a.zarr"]) as scratch:
            write_folder(scratch, text)
    with pytest.raises(FileNotFoundError), stage_outputs(tmp_path, ["a.zarr", "b"]) as scratch:
        write_folder(scratch, "newest")  # and b is missing
    assert (tmp_path / "a.zarr" / "c" / "0").read_text() == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
