"""Watch a folder: run each slide once it has stopped growing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.core.errors import BadInputError
from glandseg.slides.slide_files import State, list_slide_files, read_state

POLL_S = 10.0


def list_ready(
    find: Callable[[], Sequence[CohortSlide]],
    *,
    poll_s: float = POLL_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[list[CohortSlide]]:
    """Yield slides whose files have neither grown nor changed between two looks, each state of them once.

    A scanner or a copy writes a slide for minutes; a look is taken every `poll_s` seconds, for ever.

    Args:
        find: Finds the slides that are there now; it may raise BadInputError where there are none yet.
        poll_s: Seconds between two looks.
        sleep: Waits for some seconds.
    """
    seen: dict[CohortSlide, State] = {}
    handed_out: dict[CohortSlide, State] = {}
    while True:
        now = {slide: _read_slide(slide) for slide in _find(find)}
        ready = [
            slide
            for slide, state in now.items()
            if state and seen.get(slide) == state and handed_out.get(slide) != state
        ]
        handed_out |= {slide: now[slide] for slide in ready}
        seen = now
        if ready:
            yield ready
        sleep(poll_s)


def _find(find: Callable[[], Sequence[CohortSlide]]) -> Sequence[CohortSlide]:
    try:
        return find()
    except (BadInputError, OSError):  # no slide yet, or a network folder that is away for a while
        return []


def _read_slide(slide: CohortSlide) -> State:
    try:
        return read_state(list_slide_files(slide.path))
    except OSError:
        return ()
