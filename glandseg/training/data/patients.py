"""The patient and the part of each image, from a table beside the images.

A column `part`, train or test, keeps a split that was made before, as that of a published data set.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from glandseg.core.errors import BadInputError
from glandseg.training.data.image_file import IMAGE_SUFFIXES, name_some, normalize
from glandseg.training.data.table import has_column, read_table


def read_patients(
    table: Path, images: Iterable[str], *, whole: bool = True
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the patient of each image; empty without such a file.

    Args:
        table: CSV file with the columns name and patient; names may have a suffix or a folder.
        images: Stems of the images that are there.
        whole: Whether every name must match an image; otherwise only where images are left without a patient.

    Returns:
        Patients by stem of the images that are there, and notes.

    Raises:
        BadInputError: If names match no image, or two match one image.
    """
    if not table.is_file():
        return {}, ()
    known = set(images)
    patients: dict[str, str] = {}
    strange: list[str] = []
    for where, row in read_table(table, ("name", "patient")):
        stem = match_stem(row["name"], known)
        if stem is None:
            strange.append(row["name"])
        elif stem in patients:
            raise BadInputError(f"{where} names {row['name']} again. Name each image once.")
        else:
            patients[stem] = row["patient"]
    lacking = [stem for stem in known if not patients.get(stem)]
    absent = "1 image that is not there" if len(strange) == 1 else f"{len(strange)} images that are not there"
    if strange and (whole or lacking):
        raise BadInputError(
            f"{table}: names {absent}, such as {name_some(strange)}. "
            "Write the names of the image files, or remove the lines."
        )
    notes = [f"{table.name} names {absent}"] if strange else []
    if lacking:
        have = "1 image has" if len(lacking) == 1 else f"{len(lacking)} images have"
        notes.append(f"{have} no patient in {table.name}, so each is its own group: {name_some(lacking)}")
    return patients, tuple(notes)


def read_parts(table: Path, images: Iterable[str]) -> dict[str, str]:
    """Read the part of each image, by stem; empty without such a file or column.

    Args:
        table: CSV file with the columns name and part.
        images: Stems of the images that are there.

    Raises:
        BadInputError: If a part is neither train nor test, or an image has none.
    """
    if not has_column(table, "part"):
        return {}
    known = set(images)
    parts: dict[str, str] = {}
    for where, row in read_table(table, ("name", "part")):
        if row["part"] not in ("train", "test"):
            raise BadInputError(f"{where}: part is {row['part']!r}. Write train or test.")
        if stem := match_stem(row["name"], known):
            parts[stem] = row["part"]
    if lacking := sorted(known - set(parts)):
        raise BadInputError(
            f"{table}: has parts, but none of {len(lacking)} images, such as {name_some(lacking)}. "
            "Write one for every image, or remove the column."
        )
    return parts


def match_stem(name: str, stems: set[str]) -> str | None:
    """Find the stem that a table's name means: unchanged, without an image's suffix, or without folders."""
    base = normalize(PurePosixPath(name.replace("\\", "/")).name)
    for candidate in (normalize(name), base):
        if candidate in stems:
            return candidate
    path = PurePosixPath(base)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES and path.stem in stems else None
