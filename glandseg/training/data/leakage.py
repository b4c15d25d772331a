"""The same image under two names, one to learn from and one to report on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.training.data.image_file import measure_white
from glandseg.training.data.sample import Sample

Placed = tuple[str, Sample]  # an image, and the part it is in


def refuse_twins(parts: Mapping[str, Sequence[Sample]], background: float = 1.0) -> None:
    """Refuse files of the same bytes in two parts; only files of equal size are read.

    Args:
        parts: images by the name of their part.
        background: images with a larger share of white may be the same, for nothing is learned from them.

    Raises:
        BadInputError: naming both files.
    """
    by_size: dict[int, list[Placed]] = defaultdict(list)
    for part, samples in parts.items():
        for sample in samples:
            by_size[sample.path.stat().st_size].append((part, sample))
    for alike in by_size.values():
        if len({part for part, _ in alike}) > 1:
            _compare_bytes(alike, background)


def _compare_bytes(alike: Sequence[Placed], background: float) -> None:
    seen: dict[str, Placed] = {}
    for part, sample in alike:
        digest = hash_file(sample.path)
        other_part, other = seen.setdefault(digest, (part, sample))
        if other_part != part and measure_white(sample.read()) <= background:
            raise BadInputError(
                f"{sample.path}: the same image as {other.path}; one falls to {part}, the other to "
                f"{other_part}. Take one out, or give both the same patient."
            )
