"""One slide of a cohort, and where its outputs go; no two slides write the same files."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import OutputPaths


@dataclass(frozen=True, kw_only=True)
class CohortSlide:
    """A slide to run.

    Attributes:
        path: Slide file.
        folder: Folder of its outputs.
        stem: What their names begin with.
        mpp: Um per level-0 px, in place of the file's and of --mpp.
        roi: GeoJSON file of its regions of interest, in place of --roi.
    """

    path: Path
    folder: Path
    stem: str
    mpp: float | None = None
    roi: Path | None = None

    @classmethod
    def of_path(cls, path: Path, out: Path | None = None, root: Path | None = None) -> CohortSlide:
        """Return a slide whose outputs are named after it.

        Args:
            path: Slide file.
            out: Folder of the outputs; None for the slide's own.
            root: Folder in which the slide was found, whose subfolders `out` repeats.
        """
        paths = OutputPaths.of_slide(path, out)
        below = path.parent.relative_to(root) if root and out else Path()
        return cls(path=path, folder=paths.folder / below, stem=paths.stem)

    @property
    def outputs_key(self) -> str:
        """Where the outputs lie; equal for two slides that would overwrite each other's."""
        return os.path.normcase(self.folder.resolve() / self.stem)


def drop_repeats(slides: Iterable[CohortSlide]) -> tuple[list[CohortSlide], list[CohortSlide]]:
    """Return the slides, each once, and those left out, which are the same files under the same outputs."""
    kept: dict[str, list[CohortSlide]] = defaultdict(list)
    repeats: list[CohortSlide] = []
    for slide in slides:
        others = kept[slide.outputs_key]
        (repeats if any(is_same_file(slide.path, other.path) for other in others) else others).append(slide)
    return [slide for others in kept.values() for slide in others], repeats


def part_names(slides: Sequence[CohortSlide]) -> list[CohortSlide]:
    """Rename the outputs of slides that would overwrite each other's.

    Those of one folder are named by their whole file names, `a.svs` and `a.tif`; those of several folders go
    into subfolders named after these.

    Raises:
        BadInputError: Two slides would still write the same files.
    """
    parted = _part(_part(slides, _name_in_full), _add_subfolder)
    for same in _group(parted):
        if len(same) > 1:
            raise BadInputError(
                f"{same[1].path}: its outputs would overwrite those of {same[0].path}. "
                "Run them into two --out folders."
            )
    return parted


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether two paths lead to one file."""
    try:
        return first.samefile(second)
    except OSError:
        return first.resolve() == second.resolve()


def _part(
    slides: Sequence[CohortSlide], rename: Callable[[CohortSlide, list[CohortSlide]], CohortSlide]
) -> list[CohortSlide]:
    renamed = {slide.path: rename(slide, same) for same in _group(slides) if len(same) > 1 for slide in same}
    return [renamed.get(slide.path, slide) for slide in slides]


def _group(slides: Iterable[CohortSlide]) -> list[list[CohortSlide]]:
    groups: dict[str, list[CohortSlide]] = defaultdict(list)
    for slide in slides:
        groups[slide.outputs_key].append(slide)
    return list(groups.values())


def _name_in_full(slide: CohortSlide, same: list[CohortSlide]) -> CohortSlide:
    return replace(slide, stem=slide.path.name)


def _add_subfolder(slide: CohortSlide, same: list[CohortSlide]) -> CohortSlide:
    parents = [os.path.abspath(other.path.parent) for other in same]  # noqa: PTH100 - links stay links
    try:
        shared = os.path.commonpath(parents)
    except ValueError:  # two drives of Windows
        return slide
    return replace(slide, folder=slide.folder / Path(os.path.abspath(slide.path.parent)).relative_to(shared))  # noqa: PTH100
