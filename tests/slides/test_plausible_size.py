"""Sizes that a file cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.plausible_size import check_plausible


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.ndpi").write_bytes(bytes(10_000))
    return tmp_path / "a.ndpi"


@pytest.mark.parametrize(
    "sizes",
    [[(10_000, 10_000)], [(10_000, 8_000), (5_000, 4_001)], [(9_000, 4_000), (512, 512), (1, 1)][::2]],
)
def test_true_sizes_pass(path: Path, sizes: list[tuple[int, int]]) -> None:
    check_plausible(path, sizes)


def test_size_beyond_the_file_is_refused(path: Path) -> None:
    with pytest.raises(BadInputError, match="more than its 10,000 bytes can hold"):
        check_plausible(path, [(2**30, 4_000)])


def test_levels_out_of_proportion_are_refused(path: Path) -> None:
    with pytest.raises(BadInputError, match="not in proportion"):
        check_plausible(path, [(65_536, 3_000), (1_110, 1_483)])
