"""Checks of a path before it is opened: folders, pipes, files that only stand for a slide beside them."""

from __future__ import annotations

from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.regular_file import check_regular_file

EXPORT = "Export it as OME-TIFF (QuPath, or bioformats2raw and raw2ometiff)."
# By suffix: formats that no reader here knows.
FOREIGN = {
    ".afi": "Aperio AFI",
    ".dzi": "Deep Zoom",
    ".ets": "Olympus ETS",
    ".isyntax": "Philips iSyntax",
    ".kfb": "KFBio KFB",
    ".lif": "Leica LIF",
    ".mds": "Motic MDS",
    ".mdsx": "Motic MDSX",
    ".ndpis": "Hamamatsu NDPIS",
    ".oib": "Olympus OIB",
    ".oif": "Olympus OIF",
    ".oir": "Olympus OIR",
    ".sdpc": "SQRAY SDPC",
    ".tmap": "UNIC TMAP",
    ".zvi": "Zeiss ZVI",
}
ZARR_FILES = (".zattrs", ".zgroup", ".zarray", "zarr.json")
SLIDEDAT = "Slidedat.ini"  # of a MIRAX slide, in the folder beside the .mrxs


def read_head(path: Path) -> bytes:
    """Read the first 12 bytes of a file.

    Raises:
        BadInputError: The file is missing, empty, a folder, a pipe or a device.
        EnvironmentLacksError: The file may not be read.
    """
    try:
        if path.is_dir():
            raise BadInputError(describe_folder(path))
        check_regular_file(path)
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: there is no such file. Check the path.") from error
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: may not or cannot be read ({error.strerror}). Give this user read permission."
        ) from error
    if not head:
        raise BadInputError(f"{path}: is empty (0 bytes). Copy it again.")
    return head


def describe_folder(path: Path) -> str:
    """Return why a folder is not a slide, and what to give instead."""
    if path.suffix.lower() == ".zarr" or any((path / name).exists() for name in ZARR_FILES):
        return f"{path}: OME-Zarr is not read. {EXPORT}"
    if (path / SLIDEDAT).is_file():
        return f"{path}: is the folder of a MIRAX slide. Give the .mrxs file beside it."
    if holds_ets(path):
        return f"{path}: Olympus VSI is not read. {EXPORT}"
    dicom = next(iter(sorted(path.glob("*.dcm"))), None)
    if dicom is not None:
        return f"{path}: is a folder; a DICOM slide is given by one of its files. Give {dicom}."
    return f"{path}: is a folder; a slide is a file. Give one file in it."


def check_stands_alone(path: Path) -> None:
    """Check that a file is not merely the overview of a slide in a folder beside it.

    Such a file looks like any image, and would be read at a wrong scale.

    Raises:
        BadInputError: The file is an Olympus VSI, or a MIRAX file without its folder.
    """
    suffix = path.suffix.lower()
    folder, container = path.with_name(f"_{path.stem}_"), path.with_name(f"{path.stem}.vsi")
    if suffix == ".vsi" or (holds_ets(folder) and not container.exists()):  # otherwise an export beside it
        raise BadInputError(
            f"{path}: Olympus VSI is not read: the file holds an overview, and the slide lies in the folder "
            f"{folder.name} beside it. {EXPORT}"
        )
    if suffix == ".mrxs":
        raise BadInputError(
            f"{path}: is not a whole MIRAX slide: a .mrxs file holds a preview, and the slide lies in the "
            f"folder {path.stem} beside it, with its {SLIDEDAT}. Copy both again, and give the .mrxs file."
        )


def holds_ets(folder: Path) -> bool:
    """Return whether a folder holds Olympus image data, `stack1/frame_t_0.ets` and the like."""
    return folder.is_dir() and any(folder.glob("*/*.ets"))


def describe_unknown(path: Path, known: str) -> str:
    """Return why a file that no reader recognises is refused."""
    foreign = FOREIGN.get(path.suffix.lower())
    if foreign:
        return f"{path}: {foreign} is not read. {EXPORT}"
    return f"{path}: holds no slide or image that is known; known are {known}. Export it as one of these."
