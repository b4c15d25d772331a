"""The outputs of a slide: their names, and the one pass over its glands that writes them.

A new output is a `GlandWriter` in a module of its own and a line in WRITERS: it is then named, checked for
older files, and moved into place with the others, all or none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from glandseg.runtime.outputs.geojson import write_geojson
from glandseg.runtime.outputs.gland_writer import GlandWriter, SlideGlands
from glandseg.runtime.outputs.label_tiff import write_labels
from glandseg.runtime.outputs.mask_tiff import write_gland_mask
from glandseg.runtime.outputs.overview import write_overview
from glandseg.runtime.outputs.report.report import REPORT_SUFFIX, write_report
from glandseg.runtime.outputs.suggestions import SUGGESTIONS_SUFFIX, write_suggestions
from glandseg.runtime.outputs.table import write_csv

MASK_SUFFIX = ".mask.ome.tif"
RECORD_SUFFIX = ".run.json"
WRITERS: dict[str, GlandWriter] = {
    ".glands.geojson": write_geojson,
    MASK_SUFFIX: write_gland_mask,
    ".glands.csv": write_csv,
    ".overview.png": write_overview,
    ".glands.labels.tif": write_labels,
    REPORT_SUFFIX: write_report,
    SUGGESTIONS_SUFFIX: write_suggestions,
}
SUFFIXES = (*WRITERS, RECORD_SUFFIX)


@dataclass(frozen=True)
class OutputPaths:
    """Names and paths of a slide's outputs.

    Attributes:
        folder: Folder of the outputs.
        stem: What their names begin with.
        left_out: Suffixes of the outputs that are not written.
    """

    folder: Path
    stem: str
    left_out: frozenset[str] = frozenset()

    @classmethod
    def of_slide(cls, slide: Path, folder: Path | None = None, left_out: Iterable[str] = ()) -> OutputPaths:
        """Name outputs after a slide without its suffix, of which `.ome.tif` is one; beside it by default."""
        is_ome = slide.name.lower().endswith((".ome.tif", ".ome.tiff"))
        return cls(folder or slide.parent, slide.stem[:-4] if is_ome else slide.stem, frozenset(left_out))

    @property
    def names(self) -> list[str]:
        """File names of all outputs, the record last."""
        return [self.stem + suffix for suffix in SUFFIXES if suffix not in self.left_out]

    @property
    def record(self) -> Path:
        """Path of the record of the run."""
        return self[RECORD_SUFFIX]

    def __getitem__(self, suffix: str) -> Path:
        """Return the path of the output with a suffix."""
        return self.folder / (self.stem + suffix)


def write_outputs(found: SlideGlands, paths: OutputPaths) -> list[str]:
    """Write all outputs but the record, reading each gland once.

    Args:
        found: Glands of the slide.
        paths: Where to write; working files are put there too.

    Returns:
        What a reader of the files should know.
    """
    warnings: list[str] = []
    with ExitStack() as opened:
        outputs = [
            opened.enter_context(writer(paths[suffix], found, warnings.append))
            for suffix, writer in WRITERS.items()
            if suffix not in paths.left_out
        ]
        for gland in found.glands:
            measurements = found.measure(gland)
            for add in outputs:
                add(gland, measurements)
    return warnings
