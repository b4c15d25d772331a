"""Slides that arrive in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.watch import list_ready
from glandseg.core.errors import BadInputError


class Ended(Exception):
    """The last look was taken."""


def watch(folder: Path, *steps: Callable[[], object]) -> list[list[str]]:
    """Return the names that are ready at each look; a step is taken after each."""
    waiting: Iterator[Callable[[], object]] = iter(steps)

    def find() -> list[CohortSlide]:
        paths = sorted(folder.glob("*.svs"))
        if not paths:
            raise BadInputError("no slide in this folder")
        return [CohortSlide.of_path(path) for path in paths]

    def sleep(seconds: float) -> None:
        step = next(waiting, None)
        if step is None:
            raise Ended
        step()

    found: list[list[str]] = []
    with pytest.raises(Ended):
        found.extend([slide.path.name for slide in ready] for ready in list_ready(find, sleep=sleep))
    return found


def test_a_slide_is_ready_when_it_has_stopped_growing(tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    steps = [lambda size=size: slide.write_bytes(bytes(size)) for size in (1, 2, 3)]
    assert watch(tmp_path, *steps) == []
    assert watch(tmp_path, *steps, lambda: None) == [["a.svs"]]


def test_each_state_of_a_slide_is_handed_out_once(tmp_path: Path) -> None:
    slide, rest = tmp_path / "a.svs", lambda: None
    slide.write_bytes(b"1")
    later = lambda: (tmp_path / "b.svs").write_bytes(b"1")  # noqa: E731
    change = lambda: slide.write_bytes(b"22")  # noqa: E731
    assert watch(tmp_path, rest, rest, later, rest, rest, change, rest, rest) == [
        ["a.svs"],
        ["b.svs"],
        ["a.svs"],
    ]


def test_a_slide_that_vanishes_is_no_error(tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"1")
    assert watch(tmp_path, slide.unlink, lambda: None, lambda: slide.write_bytes(b"1"), lambda: None) == [
        ["a.svs"]
    ]
