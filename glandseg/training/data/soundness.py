"""Corrupt images are found before anything is learned, not hours into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glandseg.runtime.errors import BadInputError
from glandseg.training.data.picture import Picture

ON_CORRUPT = ("fatal", "skip")


def keep_sound(
    pictures: Sequence[Picture], on_corrupt: str, say: Callable[[str], None]
) -> tuple[Picture, ...]:
    """Decode every image and mask once, and give the pictures that can be learned from.

    Corrupt is what cannot be decoded, and a mask of another size than its image.

    Args:
        pictures: to decode.
        on_corrupt: "fatal" refuses them all, "skip" says which are corrupt and leaves them out.
        say: is told each one that is left out, and how many they are.

    Raises:
        BadInputError: for the first corrupt one, if that is fatal.
    """
    faults = {picture.name: fault for picture in pictures if (fault := find_fault(picture))}
    if faults and on_corrupt == "fatal":
        more = f" {len(faults) - 1} more are corrupt." if len(faults) > 1 else ""
        raise BadInputError(f"{next(iter(faults.values()))}{more} Or leave such out: --set on_corrupt=skip.")
    for fault in faults.values():
        say(f"skipped: {fault}")
    if faults:
        say(f"{len(faults)} of {len(pictures)} images are corrupt and skipped")
    return tuple(picture for picture in pictures if picture.name not in faults)


def find_fault(picture: Picture) -> str | None:
    """Say what is wrong with a picture's files; none where nothing is."""
    try:
        shape = picture.read().shape
        if picture.mask_path:
            picture.read_mask(shape)
    except BadInputError as error:
        return str(error)
    return None
