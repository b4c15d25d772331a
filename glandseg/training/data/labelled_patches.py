"""Patches that nobody drew outlines in: their labels stand in `patches.csv`, or are the folders' names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from glandseg.runtime.errors import BadInputError
from glandseg.training.data.image_file import find_images
from glandseg.training.data.picture import DataSet, Picture
from glandseg.training.data.table import Row, read_table, read_um

LABELS_CSV = "patches.csv"
# What a folder's name, in small letters without blanks, - and _, says of non-gland and gland.
FOLDER_LABELS = {
    "gland": (False, True),
    "nongland": (True, False),
    "stroma": (True, False),
    "other": (True, False),
    "mixed": (True, True),
    "both": (True, True),
}


def read_labelled_patches(folder: Path) -> DataSet | None:
    """List the patches of `patches.csv`; None where there is no such file.

    Its columns are file, gland and non_gland and, where known, patient, um_per_px and mask.

    Raises:
        BadInputError: if a line is wrong.
    """
    table = folder / LABELS_CSV
    pictures = tuple(_list_rows(folder, table))
    return DataSet(kind="patches", pictures=pictures, um_per_px=read_um(table)) if pictures else None


def read_class_folders(folder: Path) -> DataSet | None:
    """List the patches of the folders `gland`, `non_gland` (or `stroma`, `other`) and `mixed` (or `both`)."""
    pictures = [
        Picture(
            name=f"{class_folder.name}/{path.name}",
            path=path,
            labels=labels,
            group=f"{class_folder.name}/{stem}",
        )
        for class_folder in sorted(path for path in folder.iterdir() if path.is_dir())
        if (labels := FOLDER_LABELS.get(simplify(class_folder.name)))
        for stem, path in find_images(class_folder).items()
    ]
    return DataSet(kind="patches", pictures=tuple(pictures), um_per_px=None) if pictures else None


def simplify(name: str) -> str:
    """Give a class's name in small letters, without blanks, - and _."""
    return name.lower().translate(str.maketrans("", "", " -_"))


def _list_rows(folder: Path, table: Path) -> Iterator[Picture]:
    for where, row in read_table(table, ("file", "gland", "non_gland")):
        name, mask = row["file"], row.get("mask")
        labels = (_read_flag(row, "non_gland", where), _read_flag(row, "gland", where))
        if not any(labels):
            raise BadInputError(f"{where} says neither gland nor non_gland. Mark one or take the line out.")
        yield Picture(
            name=name,
            path=_find_file(folder, name, where),
            mask_path=_find_file(folder, mask, where) if mask else None,
            labels=labels,
            group=row.get("patient") or name,
        )


def _find_file(folder: Path, name: str, where: str) -> Path:
    if PurePath(name).anchor or ".." in PurePath(name).parts:
        raise BadInputError(f"{where} names {name}, which is not below {folder}. Move it there.")
    if not (folder / name).is_file():
        raise BadInputError(f"{where} names {name}, which is not there. Mend the line or take it out.")
    return folder / name


def _read_flag(row: Row, column: str, where: str) -> bool:
    value = row[column].lower()
    if value not in ("0", "1", "true", "false", "yes", "no"):
        raise BadInputError(f"{where}, column {column}: 0 or 1 expected. Received: {value!r}")
    return value in ("1", "true", "yes")
