"""The outputs of a slide: their names, and the one pass over its glands that writes them side by side.

A new output is a `GlandWriter` in a module of its own and a line in WRITERS: `--write` then knows it, and it
is named, checked for older files, and moved into place with the others, all or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from glandseg.core.workers import Workers, await_result
from glandseg.runtime.outputs.dicom_annotations import write_dicom
from glandseg.runtime.outputs.dicom_segmentation import write_segmentation
from glandseg.runtime.outputs.geojson import write_geojson
from glandseg.runtime.outputs.gland_queue import CHUNK, GlandQueue, MeasuredGland
from glandseg.runtime.outputs.gland_writer import GlandWriter, SlideGlands
from glandseg.runtime.outputs.label_tiff import write_labels
from glandseg.runtime.outputs.mask_tiff import write_gland_mask
from glandseg.runtime.outputs.ome_zarr import write_zarr
from glandseg.runtime.outputs.output import Output
from glandseg.runtime.outputs.overlay_tiff import write_overlay
from glandseg.runtime.outputs.overview import write_overview
from glandseg.runtime.outputs.parquet import write_parquet
from glandseg.runtime.outputs.probability_tiff import write_probability
from glandseg.runtime.outputs.report.report import REPORT_SUFFIX, write_report
from glandseg.runtime.outputs.suggestions import SUGGESTIONS_SUFFIX, write_suggestions
from glandseg.runtime.outputs.table import write_csv

MASK_SUFFIX = ".mask.ome.tif"
RECORD_SUFFIX = ".run.json"
WRITERS: dict[str, Output] = {
    "geojson": Output(".glands.geojson", write_geojson),
    "mask": Output(MASK_SUFFIX, write_gland_mask, px_bytes=1),
    "csv": Output(".glands.csv", write_csv),
    "overview": Output(".overview.png", write_overview),
    "labels": Output(".glands.labels.tif", write_labels, px_bytes=4),
    "report": Output(REPORT_SUFFIX, write_report),
    "suggestions": Output(SUGGESTIONS_SUFFIX, write_suggestions, by_default=False),
    "probability": Output(".probability.ome.tif", write_probability, by_default=False, px_bytes=2),
    "overlay": Output(".overlay.ome.tif", write_overlay, by_default=False, px_bytes=2),
    "geojson.gz": Output(".glands.geojson.gz", write_geojson, by_default=False),
    "parquet": Output(
        ".glands.parquet", write_parquet, by_default=False, extra="parquet", libraries=("pyarrow",)
    ),
    "dicom": Output(
        ".glands.dcm",
        write_dicom,
        by_default=False,
        extra="dicom",
        libraries=("highdicom",),
        formats=("dicom",),
    ),
    "dicom-mask": Output(
        ".mask.dcm",
        write_segmentation,
        by_default=False,
        px_bytes=3,
        extra="dicom",
        libraries=("highdicom",),
        formats=("dicom",),
    ),
    "zarr": Output(
        ".labels.ome.zarr", write_zarr, by_default=False, px_bytes=10, extra="zarr", libraries=("zarr",)
    ),
}


def list_defaults() -> tuple[str, ...]:
    """Return the names of the outputs that are written where nothing is chosen."""
    return tuple(name for name, output in WRITERS.items() if output.by_default)


SUFFIXES = (*(WRITERS[name].suffix for name in list_defaults()), RECORD_SUFFIX)  # those written by default


@dataclass(frozen=True)
class OutputPaths:
    """Names and paths of a slide's outputs.

    Attributes:
        folder: Folder of the outputs.
        stem: What their names begin with.
        chosen: Names in WRITERS of the outputs to write; None for the default ones.
    """

    folder: Path
    stem: str
    chosen: tuple[str, ...] | None = None

    @classmethod
    def of_slide(
        cls,
        slide: Path,
        folder: Path | None = None,
        chosen: tuple[str, ...] | None = None,
        stem: str | None = None,
    ) -> OutputPaths:
        """Name outputs after a slide without its suffix, of which `.ome.tif` is one; beside it by default."""
        is_ome = slide.name.lower().endswith((".ome.tif", ".ome.tiff"))
        return cls(folder or slide.parent, stem or (slide.stem[:-4] if is_ome else slide.stem), chosen)

    @property
    def outputs(self) -> dict[str, Output]:
        """The outputs to write."""
        chosen = list_defaults() if self.chosen is None else self.chosen
        return {name: WRITERS[name] for name in chosen}

    @property
    def names(self) -> list[str]:
        """File names of the outputs to write, the record last."""
        return [*(self.stem + output.suffix for output in self.outputs.values()), self.record.name]

    @property
    def others(self) -> list[Path]:
        """Outputs of an earlier run that this one does not write."""
        suffixes = (output.suffix for name, output in WRITERS.items() if name not in self.outputs)
        return [path for suffix in suffixes if (path := self[suffix]).exists()]

    @property
    def record(self) -> Path:
        """Path of the record of the run."""
        return self[RECORD_SUFFIX]

    def __getitem__(self, suffix: str) -> Path:
        """Return the path of the output with a suffix."""
        return self.folder / (self.stem + suffix)


def write_outputs(found: SlideGlands, paths: OutputPaths) -> list[str]:
    """Write the chosen outputs but the record side by side, reading each gland once.

    Args:
        found: Glands of the slide.
        paths: Where to write; working files are put there too.

    Returns:
        What a reader of the files should know.
    """
    outputs = list(paths.outputs.values())
    queues = [GlandQueue() for _ in outputs]
    with Workers("output", len(outputs)) as workers:
        writing = [
            workers.submit(_write_output, output.writer, paths[output.suffix], found, queue)
            for output, queue in zip(outputs, queues, strict=True)
        ]
        try:
            for chunk in _list_chunks(found):
                for queue in queues:
                    queue.put(chunk)
                for each in writing:
                    if each.done():
                        each.result()  # raises: no output ends before its glands do
            return [text for each in writing for text in await_result(each, "an output", math.inf)]
        finally:
            for queue in queues:
                queue.stop()


def _list_chunks(found: SlideGlands) -> Iterator[list[MeasuredGland]]:
    """Yield the glands with their measurements, and an empty chunk after the last."""
    measured = ((gland, found.measure(gland)) for gland in found.glands)
    while chunk := list(islice(measured, CHUNK)):
        yield chunk
    yield []


def _write_output(writer: GlandWriter, path: Path, found: SlideGlands, glands: GlandQueue) -> list[str]:
    """Write one output, and return what a reader of it should know."""
    warnings: list[str] = []
    try:
        with writer(path, found, warnings.append) as add:
            for gland, measurements in glands:
                add(gland, measurements)
    finally:
        glands.close()
    return warnings
