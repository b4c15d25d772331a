"""Progress over many slides: a line for each that ends, and the windows of those that run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from glandseg.cli.console import pluralise, say, warn
from glandseg.cli.progress import Advance

if TYPE_CHECKING:
    from glandseg.cohort.slide_runner import Outcome


class CohortProgress:
    """Shows how a cohort gets on.

    Args:
        slides: Number of slides.
        advance: Called with the windows done and in all of the slides that run, and a note.
    """

    def __init__(self, slides: int, advance: Advance) -> None:
        self._slides, self._advance = slides, advance
        self._ended, self._running = 0, dict[str, tuple[int, int]]()
        self._began = time.monotonic()

    def warn(self, slide: str, text: str) -> None:
        """Print a warning about a slide."""
        warn(f"warning: {slide}: {text}")

    def fail(self, slide: str, reason: str) -> None:
        """Print the reason for which a slide has failed, with its name, which most reasons hold."""
        warn(f"error: {reason}" if slide in reason else f"error: {slide}: {reason}")

    def advance(self, slide: str, done: int, total: int) -> None:
        """Show the windows of the slides that run."""
        self._running[slide] = (done, total)
        running = list(self._running.values())
        self._advance(sum(done for done, _ in running), sum(total for _, total in running), self._describe())

    def end(self, outcome: Outcome) -> None:
        """Print what became of a slide."""
        self._ended += 1
        self._running.pop(outcome.slide.path.name, None)
        state = outcome.state
        if outcome.is_new and state is not None and not state.exit_code:
            found = state.result
            say(
                f"{outcome.slide.path.name}: {pluralise(found['glands'], 'gland')}, "
                f"{found['gland_mm2']:.3f} mm2 of {found['tissue_mm2']:.3f} mm2 tissue, "
                f"in {state.seconds:.1f} s"
            )

    def _describe(self) -> str:
        """Describe the slides ended and the time left, as if the others were like them."""
        from glandseg.runtime.preflight import describe_seconds

        running = list(self._running.values())
        parts = self._ended + sum(done / total for done, total in running if total)
        elapsed = time.monotonic() - self._began
        left = f", about {describe_seconds(elapsed / parts * (self._slides - parts))} left" if parts else ""
        return f"of {len(running)} running, {self._ended} of {self._slides} slides ended{left}"
