"""Corrupt images are found before anything is learned, not hours into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from glandseg.core.errors import BadInputError
from glandseg.training.data.image_file import name_some
from glandseg.training.data.sample import Sample

ON_CORRUPT = ("fatal", "skip")


@dataclass(frozen=True, kw_only=True)
class MaskFacts:
    """What is to be known of a mask beforehand.

    Attributes:
        gland_share: Share of its pixels that are gland, 0 to 1.
        note: How its values were read where that is a choice.
    """

    gland_share: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What decoding an image and its mask shows.

    Attributes:
        fault: Why nothing can be learned from it; None where nothing is wrong.
        glands: Facts of the mask; None without one.
    """

    fault: str | None = None
    glands: MaskFacts | None = None


def keep_sound(samples: Sequence[Sample], on_corrupt: str, say: Callable[[str], None]) -> tuple[Sample, ...]:
    """Decode every image and mask once, and return the images that can be learned from.

    Corrupt is what cannot be decoded, and a mask of another size than its image.

    Args:
        samples: to decode.
        on_corrupt: "fatal" refuses them all, "skip" says which are corrupt and leaves them out.
        say: is told each one that is left out, and how many they are.

    Raises:
        BadInputError: for the first corrupt one, if that is fatal.
    """
    inspections = {sample.name: inspect_image(sample) for sample in samples}
    faults = {name: each.fault for name, each in inspections.items() if each.fault}
    if faults and on_corrupt == "fatal":
        more = f" {len(faults) - 1} more are corrupt." if len(faults) > 1 else ""
        raise BadInputError(f"{next(iter(faults.values()))}{more} Or leave such out: --set on_corrupt=skip.")
    for fault in faults.values():
        say(f"skipped: {fault}")
    if faults:
        say(f"{len(faults)} of {len(samples)} images are corrupt and skipped")
    for note in note_masks({name: each.glands for name, each in inspections.items() if each.glands}):
        say(f"note: {note}")
    return tuple(sample for sample in samples if sample.name not in faults)


def inspect_image(sample: Sample) -> Inspection:
    """Decode an image and its mask, and return what is to be known of them."""
    try:
        shape = sample.read().shape
        glands = sample.read_glands(shape) if sample.mask_path else None
    except BadInputError as error:
        fault = str(error)
        return Inspection(fault=fault if fault.endswith(".") else f"{fault}.")
    if glands is None:
        return Inspection()
    return Inspection(glands=MaskFacts(gland_share=float(glands.gland.mean()), note=glands.note))


def note_masks(masks: Mapping[str, MaskFacts]) -> tuple[str, ...]:
    """Say what is strange about masks: all of them empty or all gland, and how some were read.

    Args:
        masks: Facts of masks by their images' names.
    """
    shares = [facts.gland_share for facts in masks.values()]
    notes = []
    if shares and max(shares) == 0:
        notes.append("no mask marks any gland: all are empty. Check them")
    if shares and min(shares) == 1:
        notes.append("the masks mark nothing but gland. Check them")
    for how in sorted({facts.note for facts in masks.values()} - {""}):
        names = [name for name, facts in masks.items() if facts.note == how]
        notes.append(f"{len(names)} masks: {how}: {name_some(names)}")
    return tuple(notes)


def find_fault(sample: Sample) -> str | None:
    """Return what is wrong with an image's files; None where nothing is."""
    return inspect_image(sample).fault
