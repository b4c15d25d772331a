"""The files of a slide: its hash covers them, and they must not change while it is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.slides.formats.dicom_series import Instance, read_instance

MIRAX_SUFFIX, HAMAMATSU_SUFFIXES = ".mrxs", (".vms", ".vmu")
MAX_INDEX_BYTES = 1 << 20  # of a Hamamatsu index, which is text
State = tuple[tuple[Path, int, int], ...]  # path, size in bytes, time of change in ns


def list_slide_files(path: Path) -> tuple[Path, ...]:
    """List all files that a slide is read from, sorted by name; most formats have one.

    Args:
        path: Slide file: any instance of a DICOM series, a .mrxs, a Hamamatsu index, or another.
    """
    instance = read_instance(path)
    if instance is not None:
        return list_series(path, instance)
    suffix = path.suffix.lower()
    if suffix == MIRAX_SUFFIX:
        return (path, *sorted(part for part in path.with_suffix("").glob("*") if part.is_file()))
    if suffix in HAMAMATSU_SUFFIXES:
        return (path, *list_indexed(path))
    return (path,)


def list_series(path: Path, instance: Instance) -> tuple[Path, ...]:
    """List the files of a DICOM series, which lie in one folder."""
    others = (other for other in path.parent.iterdir() if other.name != path.name)
    same = (other for other in others if is_of_series(other, instance.series_uid))
    return tuple(sorted([path, *same]))


def is_of_series(path: Path, series_uid: str) -> bool:
    """Return whether a file is an instance of a DICOM series."""
    instance = read_instance(path)
    return instance is not None and instance.series_uid == series_uid


def list_indexed(path: Path) -> list[Path]:
    """List the files that a Hamamatsu index names beside itself."""
    with path.open("rb") as file:
        lines = file.read(MAX_INDEX_BYTES).decode("latin-1").splitlines()
    names = {line.partition("=")[2].strip() for line in lines} - {"", ".", ".."}
    named = (path.parent / name for name in names if len(Path(name).parts) == 1 and "\0" not in name)
    return sorted(other for other in named if other.is_file())


def hash_slide(files: Sequence[Path]) -> str:
    """Compute the sha256 of a slide's files, in hexadecimal.

    Returns:
        The file's sha256; for several files, the sha256 of their sorted sums, a line each, so that neither
        their names nor the choice of the one given matters.
    """
    if len(files) == 1:
        return hash_file(files[0])
    lines = sorted(f"{hash_file(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_state(files: Sequence[Path]) -> State:
    """Read size and time of change of each file; missing files are left out."""
    return tuple((file, stat.st_size, stat.st_mtime_ns) for file in files if (stat := read_stat(file)))


def read_stat(path: Path) -> os.stat_result | None:
    """Read a file's status; None if it is missing."""
    try:
        return path.stat()
    except OSError:
        return None


def check_unchanged(path: Path, before: State, sha256: str) -> None:
    """Check that a slide's content has not changed since its state was read.

    A file that was removed or renamed is accepted: an open file stays readable.

    Args:
        path: Slide, for the message.
        before: State when the slide was hashed.
        sha256: Hash of its files then.

    Raises:
        BadInputError: Its files have other content now.
    """
    files = [file for file, _, _ in before]
    now = read_state(files)
    if len(now) == len(before) and now != before and hash_slide(files) != sha256:
        changed = next(file for file, state in zip(files, now, strict=True) if state not in before)
        raise BadInputError(
            f"{path}: {changed.name} was written to while it was read, so the result would be of two files. "
            "Wait until it is complete, and run the slide again."
        )


def find_repeats(paths: Sequence[Path]) -> dict[Path, Path]:
    """Find files that belong to one DICOM series, which is one slide.

    Returns:
        For each file to leave out, the slide to run in its place; labels and overviews are left out first.
    """
    by_series: dict[tuple[Path, str], list[tuple[Path, Instance]]] = {}
    for path in dict.fromkeys(paths):
        instance = read_instance(path)
        if instance is not None:
            key = (path.parent.resolve(), instance.series_uid)
            by_series.setdefault(key, []).append((path, instance))
    kept = {key: min(found, key=lambda item: not item[1].is_volume)[0] for key, found in by_series.items()}
    return {path: kept[key] for key, found in by_series.items() for path, _ in found if path != kept[key]}
