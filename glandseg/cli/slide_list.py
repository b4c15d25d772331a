"""The slides of a command line: patterns expanded, outputs of glandseg left out, each slide once."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from glandseg.cli.console import say, warn
from glandseg.core.errors import BadInputError

_WILDCARDS = "*?"


def list_slides(given: list[Path], out: Path | None) -> list[Path]:
    """List the slides to run, in the given order.

    Args:
        given: Paths and patterns of the command line.
        out: Folder of the outputs; None for the folder of each slide.

    Raises:
        BadInputError: Only outputs of glandseg are left, or two slides would write the same files.
    """
    return drop_repeats(leave_out_series(leave_out_outputs(expand_patterns(given))), out)


def expand_patterns(slides: list[Path]) -> list[Path]:
    """Replace patterns such as `*.svs`, which shells of Windows do not expand, by their matches.

    Brackets are not wildcards, as names of slides contain them; a file of exactly that name takes precedence.
    """
    return [match for slide in slides for match in _expand(slide) or [slide]]


def leave_out_outputs(slides: list[Path]) -> list[Path]:
    """Leave out outputs of glandseg: `*.tif` matches its masks, and `*.png` its overviews.

    Raises:
        BadInputError: Nothing else is left.
    """
    from glandseg.runtime.outputs.write import RECORD_SUFFIX, WRITERS

    suffixes = (*(output.suffix for output in WRITERS.values()), RECORD_SUFFIX)
    outputs = [slide for slide in slides if slide.name.lower().endswith(suffixes)]
    if slides and len(outputs) == len(slides):
        raise BadInputError(
            f"{outputs[0]}: has the name of an output of glandseg. Give the slide, or rename it."
        )
    for output in outputs:
        warn(f"{output}: left out, as it has the name of an output of glandseg")
    return [slide for slide in slides if slide not in outputs]


def leave_out_series(slides: list[Path]) -> list[Path]:
    """Leave out all but one file of each DICOM series, which is one slide."""
    from glandseg.slides.slide_files import find_repeats

    repeats = find_repeats(slides)
    for repeat, kept in repeats.items():
        warn(f"{repeat}: left out, of the same DICOM series as {kept.name}")
    return [slide for slide in slides if slide not in repeats]


def drop_repeats(slides: list[Path], out: Path | None) -> list[Path]:
    """Keep each slide once.

    Raises:
        BadInputError: The outputs of two slides would overwrite each other.
    """
    from glandseg.runtime.outputs.write import OutputPaths

    first_of: dict[str, Path] = {}
    for slide in slides:
        output = os.path.normcase((out or slide.parent).resolve() / OutputPaths.of_slide(slide).names[0])
        if output not in first_of:
            first_of[output] = slide
            continue
        first = first_of[output]
        if not _is_same(first, slide):
            raise BadInputError(
                f"{slide}: its outputs would overwrite those of {first}. Run them into two --out folders."
            )
        say(f"{slide}: given more than once, run once")
    return list(first_of.values())


def _expand(slide: Path) -> list[Path]:
    text = str(slide)
    if not any(sign in text for sign in _WILDCARDS) or slide.exists():
        return []
    # Not Path.glob, which refuses "**a.svs" and matches hidden files.
    found = glob.glob(text.replace("[", "[[]"), recursive=True)  # noqa: PTH207
    return [Path(match) for match in sorted(found)]


def _is_same(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return first.resolve() == second.resolve()
