"""Find the slides of a run: files, patterns, folders; outputs of glandseg and parts of slides left out."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from glandseg.cohort.cohort_slide import CohortSlide, drop_repeats, part_names
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import RECORD_SUFFIX, WRITERS
from glandseg.slides.formats.dicom_series import read_instance
from glandseg.slides.slide_files import HAMAMATSU_SUFFIXES, find_repeats, list_slide_files

# Suffixes by which a folder's slides are known. Formats that cannot be read are among them: such a slide is
# reported rather than passed over.
SLIDE_SUFFIXES = (
    *(".svs", ".svslide", ".tif", ".tiff", ".btf", ".tf8", ".qptiff", ".ndpi", ".vms", ".vmu", ".scn"),
    *(".mrxs", ".bif", ".dcm", ".czi", ".vsi", ".zvi", ".lif", ".isyntax", ".jp2", ".jxl"),
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp"),
)
_WILDCARDS = "*?"
_NOT_ENTERED = (".zarr", ".files")  # folders of one image's tiles
_OUTPUT_SUFFIXES = (*(output.suffix for output in WRITERS.values()), RECORD_SUFFIX)


def find_slides(
    given: Sequence[Path], out: Path | None, *, recursive: bool = False, say: Say, warn: Say
) -> list[CohortSlide]:
    """Find the slides that paths, patterns and folders name, each once.

    Args:
        given: Paths and patterns of the command line.
        out: Folder of the outputs; None for the folder of each slide.
        recursive: Look in the subfolders of folders too; `out` then repeats them.
        say: Called with a line where something is left out that the user did not name.
        warn: Called with a line where something is left out that the user named.

    Raises:
        BadInputError: Nothing is left, or two slides would write the same files.
    """
    named: list[Path] = []
    found: list[CohortSlide] = []
    for path in expand_patterns(given):
        if path.is_dir():
            found += [CohortSlide.of_path(slide, out, path) for slide in list_folder(path, recursive, say)]
        else:
            named.append(path)
    named = leave_out_series(leave_out_outputs(named, warn), warn)
    slides, repeats = drop_repeats([*(CohortSlide.of_path(path, out) for path in named), *found])
    for repeat in repeats:
        say(f"{repeat.path}: given more than once, run once")
    return part_names(slides)


def expand_patterns(slides: Iterable[Path]) -> list[Path]:
    """Replace patterns such as `*.svs`, which shells of Windows do not expand, by their matches.

    Brackets are not wildcards, as names of slides contain them; a file of exactly that name takes precedence.
    """
    return [match for slide in slides for match in _expand(slide) or [slide]]


def list_folder(folder: Path, recursive: bool, say: Say) -> list[Path]:
    """List the slides in a folder, sorted by path; a DICOM series or another slide of several files once.

    Raises:
        BadInputError: There is none.
    """
    files = [path for path in sorted(_walk(folder, recursive)) if not _is_output(path)]
    candidates = [path for path in files if _may_be_slide(path)]
    parts = {part for path in candidates for part in _list_parts(path)} | set(find_repeats(candidates))
    slides = [path for path in candidates if path not in parts]
    if not slides:
        deeper = "" if recursive else " To look in its subfolders too, add --recursive."
        raise BadInputError(f"{folder}: no slide in this folder.{deeper}")
    if others := [path for path in files if path not in candidates]:
        kinds = Counter(path.suffix.lower() or "no suffix" for path in others)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        say(f"{folder}: files that are no slides left out: {listed}")
    return slides


def leave_out_outputs(slides: list[Path], warn: Say) -> list[Path]:
    """Leave out outputs of glandseg: `*.tif` matches its masks, and `*.png` its overviews.

    Raises:
        BadInputError: Nothing else is left.
    """
    outputs = [slide for slide in slides if _is_output(slide)]
    if slides and len(outputs) == len(slides):
        raise BadInputError(
            f"{outputs[0]}: has the name of an output of glandseg. Give the slide, or rename it."
        )
    for output in outputs:
        warn(f"{output}: left out, as it has the name of an output of glandseg")
    return [slide for slide in slides if slide not in outputs]


def leave_out_series(slides: list[Path], warn: Say) -> list[Path]:
    """Leave out all but one file of each DICOM series, which is one slide."""
    repeats = find_repeats(slides)
    for repeat, kept in repeats.items():
        warn(f"{repeat}: left out, of the same DICOM series as {kept.name}")
    return [slide for slide in slides if slide not in repeats]


def _expand(slide: Path) -> list[Path]:
    text = str(slide)
    if not any(sign in text for sign in _WILDCARDS) or slide.exists():
        return []
    # Not Path.glob, which refuses "**a.svs" and matches hidden files.
    found = glob.glob(text.replace("[", "[[]"), recursive=True)  # noqa: PTH207
    return [Path(match) for match in sorted(found)]


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if recursive and _is_entered(name)]
        yield from (Path(place) / name for name in names if not name.startswith("."))


def _is_entered(name: str) -> bool:
    return not name.startswith(".") and not name.lower().endswith(_NOT_ENTERED)


def _is_output(path: Path) -> bool:
    return path.name.lower().endswith(_OUTPUT_SUFFIXES)


def _may_be_slide(path: Path) -> bool:
    """Return whether a file is named like a slide, or is DICOM, whose files are often named by a UID."""
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES:
        return True
    return not suffix.strip(".0123456789") and read_instance(path) is not None


def _list_parts(path: Path) -> Iterator[Path]:
    """List the files that a Hamamatsu index names: JPEG files that are no slides of their own."""
    if path.suffix.lower() in HAMAMATSU_SUFFIXES:
        yield from (part for part in list_slide_files(path) if part != path)
