"""Patches with labels instead of masks: from `patches.csv`, or the names of their folders."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePath

from glandseg.core.errors import BadInputError
from glandseg.training.data.image_file import list_images, normalize, note_left_out, note_names, note_others
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.table import Row, read_table, read_um

LABELS_CSV = "patches.csv"
# Labels (non-gland, gland) by a folder's name in lower case, without blanks, - and _.
FOLDER_LABELS = {
    "gland": (False, True),
    "nongland": (True, False),
    "stroma": (True, False),
    "other": (True, False),
    "mixed": (True, True),
    "both": (True, True),
}


def read_labelled_patches(folder: Path) -> DataSet | None:
    """List the patches of `patches.csv`; None without such a file.

    Its columns are file, gland and non_gland and, where known, patient, um_per_px and mask.

    Raises:
        BadInputError: If a line is wrong.
    """
    table = folder / LABELS_CSV
    samples = tuple(_list_rows(folder, table))
    if not samples:
        return None
    used = {path for sample in samples for path in (sample.path, sample.mask_path)}
    notes = note_others(folder, used, f"images that {LABELS_CSV} does not name")
    return DataSet(kind="patches", samples=samples, um_per_px=read_um(table), notes=notes)


def read_class_folders(folder: Path) -> DataSet | None:
    """List the patches of the folders `gland`, `non_gland` (or `stroma`, `other`) and `mixed` (or `both`)."""
    folders = {
        path: labels
        for path in sorted(path for path in folder.iterdir() if path.is_dir())
        if (labels := FOLDER_LABELS.get(simplify(path.name)))
    }
    samples = tuple(
        Sample(
            name=f"{class_folder.name}/{path.name}",
            path=path,
            labels=labels,
            group=f"{class_folder.name}/{normalize(path.stem)}",
        )
        for class_folder, labels in folders.items()
        for path in list_images(class_folder)
    )
    if not samples:
        return None
    notes = note_left_out(*folders, by_stem=False)
    others = [path for path in folder.iterdir() if path.is_dir() and path not in folders]
    named = [path.name for path in others if list_images(path)]
    notes += note_names(named, "{} folders without a known class")
    return DataSet(kind="patches", samples=samples, um_per_px=None, notes=notes)


def simplify(name: str) -> str:
    """Return a class's name in lower case, without blanks, - and _."""
    return name.lower().translate(str.maketrans("", "", " -_"))


def _list_rows(folder: Path, table: Path) -> Iterator[Sample]:
    seen: set[Path] = set()
    for where, row in read_table(table, ("file", "gland", "non_gland")):
        mask = row.get("mask")
        labels = (_read_flag(row, "non_gland", where), _read_flag(row, "gland", where))
        if not any(labels):
            raise BadInputError(f"{where} says neither gland nor non_gland. Mark one or remove the line.")
        name, path = _find_file(folder, row["file"], where)
        if path in seen:
            raise BadInputError(f"{where} names {name} again. Name each image once.")
        seen.add(path)
        yield Sample(
            name=name,
            path=path,
            mask_path=_find_file(folder, mask, where)[1] if mask else None,
            labels=labels,
            group=row.get("patient") or name,
        )


def _find_file(folder: Path, name: str, where: str) -> tuple[str, Path]:
    """Find a file below a folder by its name in a table, in any Unicode composition.

    Returns:
        Its name relative to the folder, and its path.
    """
    below, path = name, PurePath(name)
    if path.anchor:
        with contextlib.suppress(ValueError):
            below = path.relative_to(folder.resolve()).as_posix()
        with contextlib.suppress(ValueError):
            below = path.relative_to(folder.absolute()).as_posix()
    if PurePath(below).anchor or ".." in PurePath(below).parts:
        raise BadInputError(f"{where} names {name}, which is not below {folder}. Move it there.")
    for form in (below, unicodedata.normalize("NFC", below), unicodedata.normalize("NFD", below)):
        with contextlib.suppress(OSError, ValueError):  # a name longer than file systems allow
            if (folder / form).is_file():
                return below, folder / form
    raise BadInputError(f"{where} names {name[:200]}, which is not there. Correct the line or remove it.")


def _read_flag(row: Row, column: str, where: str) -> bool:
    value = row[column].lower()
    if value not in ("0", "1", "true", "false", "yes", "no"):
        raise BadInputError(f"{where}, column {column}: 0 or 1 expected. Received: {value!r}")
    return value in ("1", "true", "yes")
