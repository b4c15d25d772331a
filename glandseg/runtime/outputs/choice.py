"""The outputs that `--write` chooses, checked before a slide is run."""

from __future__ import annotations

from collections.abc import Sequence

from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import WRITERS, list_defaults
from glandseg.runtime.settings import InferSettings

DEFAULT = "default"
REPORT, SUGGESTIONS = "report", "suggestions"


def choose_outputs(settings: InferSettings) -> tuple[str, ...]:
    """Return the names of the outputs to write, suggestions among them where some are wanted."""
    chosen = list_defaults() if settings.write is None else settings.write
    return (*chosen, SUGGESTIONS) if settings.suggest and SUGGESTIONS not in chosen else chosen


def parse_outputs(texts: Sequence[str] | None, *, report: bool = True) -> tuple[str, ...] | None:
    """Read the names of outputs, separated by commas or given one at a time.

    Args:
        texts: What was given; None for nothing.
        report: Write the report, if it is among them.

    Returns:
        The names, in the order of the table and each once, "default" being those written by default; None
        where nothing is given.

    Raises:
        BadInputError: A name is not known, or none is given.
        EnvironmentLacksError: A library is missing that one of them needs.
    """
    if not texts:
        return None if report else tuple(name for name in list_defaults() if name != REPORT)
    given = {name.strip().lower() for text in texts for name in text.split(",")} - {""}
    unknown = sorted(given - {*WRITERS, DEFAULT})
    if unknown or not given:
        raise BadInputError(
            f"--write: {DEFAULT}, {', '.join(WRITERS)}; several separated by commas. "
            f"Received: {', '.join(unknown) or 'none'}"
        )
    if DEFAULT in given:
        given |= {*list_defaults()}
    chosen = tuple(name for name in WRITERS if name in given and (report or name != REPORT))
    for name in chosen:
        WRITERS[name].check_libraries(name)
    return chosen
