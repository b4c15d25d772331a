"""What a run on a damaged file may end in: done and right, done and said, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

REFUSALS = (1, 2, 3)
MAX_PEAK_BYTES = 3 << 29  # with --max-ram 1, the interpreter and its libraries included
MAX_OTHER_SHARE = 0.006  # of mask px: a lost level is read from a finer one, which moves an edge a little


@dataclass(frozen=True, kw_only=True)
class End:
    """How a run ended.

    Attributes:
        code: Exit code; None if a signal ended it.
        signal: Signal that ended it; None if it exited.
        timed_out: Whether it was killed because its time was over.
        peak_bytes: Most memory it held.
        lines: What it wrote to both streams.
    """

    code: int | None
    signal: int | None
    timed_out: bool
    peak_bytes: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Outputs:
    """Mask and record of a slide that was run."""

    mask: NDArray[np.bool_]
    record: dict[str, Any]

    @classmethod
    def read(cls, out: Path) -> Outputs:
        """Read the one mask and the one record in a folder."""
        (mask,), (record,) = out.glob("*.mask.ome.tif"), out.glob("*.run.json")
        return cls(tifffile.imread(mask, key=0) > 0, json.loads(record.read_text(encoding="utf-8")))

    def says_more_than(self, other: Outputs) -> bool:
        """Return whether the record holds a warning that the other lacks, or an unread part."""
        warnings = set(self.record["result"]["warnings"]) - set(other.record["result"]["warnings"])
        return bool(warnings or self.record["unread"])


def find_faults(end: End, out: Path) -> list[str]:
    """Return what no run may do, whatever it is given."""
    faults = []
    if end.timed_out:
        faults.append("it never ends")
    elif end.code not in (0, *REFUSALS):
        faults.append(f"exit code {end.code}, signal {end.signal}")
    if any("Traceback" in line for line in end.lines):
        faults.append("a traceback")
    if end.peak_bytes > MAX_PEAK_BYTES:
        faults.append(f"{end.peak_bytes / 2**30:.1f} GiB of memory")
    errors = [line for line in end.lines if line.startswith("error: ")]
    if end.code in REFUSALS and len(errors) != 1:
        faults.append(f"{len(errors)} error lines")
    if end.code in REFUSALS and (left := sorted(path.name for path in out.rglob("*"))):
        faults.append(f"left behind: {', '.join(left)}")
    return faults


def find_silent_change(intact: Outputs, damaged: Outputs) -> list[str]:
    """Return what differs between two runs though the second says nothing of it."""
    if damaged.says_more_than(intact):
        return []
    if damaged.mask.shape != intact.mask.shape:
        return [f"mask of {damaged.mask.shape} px instead of {intact.mask.shape}, nothing said"]
    share = float((damaged.mask != intact.mask).mean())
    return [f"{share:.1%} of the mask differ, nothing said"] if share > MAX_OTHER_SHARE else []
