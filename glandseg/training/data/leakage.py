"""Leakage: the same image under two names, one in training and one in validation or test.

A score on a copy of a training image measures memory, and where patients are unknown no split by patient
keeps copies together. Only files of equal size are hashed, so the check is cheap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.training.data.image_file import measure_white
from glandseg.training.data.sample import Sample

Placed = tuple[str, Sample]  # the name of a part, and a sample in it


def refuse_leakage(parts: Mapping[str, Sequence[Sample]], background: float = 1.0) -> None:
    """Raise if files in two parts have the same bytes.

    Args:
        parts: Samples by the name of their part.
        background: Share of white, 0 to 1, above which images may be the same: blank ones teach nothing.

    Raises:
        BadInputError: If two do; it names both files.
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
