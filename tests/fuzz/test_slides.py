"""Damaged slides: refused or said, never other glands in silence; bounded time and memory."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.conftest import RunBounded
from tests.fuzz.intact import SLIDES, UM_PER_PX, Pixels
from tests.fuzz.judge import Outputs, find_faults, find_silent_change
from tests.fuzz.mutate import MUTATIONS

MOVES_PX = ("delete_bytes", "insert_bytes", "zero_block", "swap_blocks")
# Damage that makes another image without a trace: bare px elsewhere, or JPEG codes that are all valid.
UNNOTICED = {
    "raw.tif": MOVES_PX,
    "image.bmp": MOVES_PX,
    "image.jpg": (*MOVES_PX, "flip_bits", "flip_head_bits", "flip_tail_bits", "write_extreme"),
}


@pytest.mark.parametrize("name", SLIDES)
def test_damaged_slides(
    name: str,
    tmp_path: Path,
    red_model: Path,
    fuzz_image: Pixels,
    run_bounded: RunBounded,
    fuzz_cases: int,
) -> None:
    arguments = ["--model", red_model, "--device", "cpu", "--threads", 1, "--max-ram", 1, "--mpp", UM_PER_PX]
    intact_path = tmp_path / name
    SLIDES[name](intact_path, fuzz_image)
    whole = run_bounded("infer", intact_path, "--out", tmp_path / "intact", *arguments)
    assert whole.code == 0, whole.lines
    intact = Outputs.read(tmp_path / "intact")
    assert 0.05 < intact.mask.mean() < 0.5
    data, faults = intact_path.read_bytes(), []
    for case in range(fuzz_cases):
        random = np.random.default_rng([zlib.crc32(name.encode()), case])
        mutate = MUTATIONS[case % len(MUTATIONS)]
        path, out = tmp_path / f"case-{case}" / name, tmp_path / f"out-{case}"
        path.parent.mkdir()
        path.write_bytes(mutate(data, random))
        end = run_bounded("infer", path, "--out", out, *arguments)
        found = find_faults(end, out)
        if end.code == 0 and mutate.__name__ not in UNNOTICED.get(name, ()):
            found += find_silent_change(intact, Outputs.read(out))
        faults += [f"case {case} ({mutate.__name__}): {fault}; {end.lines[-1:]}" for fault in found]
    assert faults == []
