"""Corrupt images and masks, found before a training starts and not hours into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from glandseg.core.errors import BadInputError
from glandseg.training.data.image_file import name_some
from glandseg.training.data.sample import Sample


@dataclass(frozen=True, kw_only=True)
class MaskFacts:
    """Facts of a mask that notes are made of.

    Attributes:
        gland_share: Share of its pixels that are gland, 0 to 1.
        note: How its values were read where that is a choice; empty otherwise.
    """

    gland_share: float
    note: str = ""


def drop_corrupt(
    samples: Sequence[Sample], on_corrupt: str, say: Callable[[str], None]
) -> tuple[Sample, ...]:
    """Decode every image and mask once, and return the samples that are not corrupt.

    Corrupt are files that cannot be decoded, and masks of another size than their image.

    Args:
        samples: Samples to decode.
        on_corrupt: "fatal" raises for the first corrupt one, "skip" logs and drops them all.
        say: Called with a line for each dropped sample, then with their number and with notes on masks.

    Raises:
        BadInputError: If a sample is corrupt and that is fatal.
    """
    inspected = {sample.name: inspect_sample(sample) for sample in samples}
    faults = {name: found for name, found in inspected.items() if isinstance(found, str)}
    masks = {name: found for name, found in inspected.items() if isinstance(found, MaskFacts)}
    if faults and on_corrupt == "fatal":
        more = {1: "", 2: " 1 more is corrupt."}.get(len(faults), f" {len(faults) - 1} more are corrupt.")
        raise BadInputError(f"{next(iter(faults.values()))}{more} Or leave such out: --set on_corrupt=skip.")
    for fault in faults.values():
        say(f"skipped: {fault}")
    if faults:
        verb = "is" if len(faults) == 1 else "are"
        say(f"{len(faults)} of {len(samples)} images {verb} corrupt and skipped")
    for note in note_masks(masks):
        say(f"note: {note}")
    return tuple(sample for sample in samples if sample.name not in faults)


def inspect_sample(sample: Sample) -> MaskFacts | str | None:
    """Decode an image and its mask; return why one is corrupt, else the mask's facts, if any."""
    try:
        shape = sample.read().shape
        glands = sample.read_glands(shape) if sample.mask_path else None
    except BadInputError as error:
        return str(error).removesuffix(".") + "."
    return MaskFacts(gland_share=float(glands.gland.mean()), note=glands.note) if glands else None


def note_masks(masks: Mapping[str, MaskFacts]) -> tuple[str, ...]:
    """List what is unusual about masks: all empty, all gland, or values that were a choice to read.

    Args:
        masks: Facts of masks by sample name.
    """
    shares = [facts.gland_share for facts in masks.values()]
    notes = []
    if shares and max(shares) == 0:
        notes.append("no mask marks any gland: all are empty. Check them")
    if shares and min(shares) == 1:
        notes.append("the masks mark nothing but gland. Check them")
    for how in sorted({facts.note for facts in masks.values()} - {""}):
        names = [name for name, facts in masks.items() if facts.note == how]
        notes.append(f"{len(names)} {'mask' if len(names) == 1 else 'masks'}: {how}: {name_some(names)}")
    return tuple(notes)
