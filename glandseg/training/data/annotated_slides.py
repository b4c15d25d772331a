"""Slides with a GeoJSON of the regions that were annotated on them in QuPath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.training.data.table import read_column

PATIENTS_CSV = "patients.csv"
ENDINGS = (".geojson", ".geojson.gz")
OWN_OUTPUTS = (".glands", ".suggested")  # endings of what `glandseg infer` writes beside a slide
NO_SLIDES = (*ENDINGS, ".gz", ".json", ".csv", ".txt", ".xml", ".qpdata")


@dataclass(frozen=True, kw_only=True)
class AnnotatedSlide:
    """A slide with its annotated regions.

    Attributes:
        name: Name of its folder of patches.
        path: Slide file.
        regions_path: GeoJSON file.
        patient: Patient in `patients.csv`, else the slide's name.
    """

    name: str
    path: Path
    regions_path: Path
    patient: str


def find_annotated_slides(folder: Path) -> list[AnnotatedSlide]:
    """List the slides that have a GeoJSON of their name beside them: `NAME.svs` with `NAME.geojson`.

    `NAME.svs.geojson`, `.geojson.gz` and all formats of `open_slide` are found too. A `patients.csv` with the
    columns slide and patient groups the slides of a patient.

    Raises:
        BadInputError: If there are none, or a GeoJSON has no slide or several.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder}: no such folder. Give the folder that holds slides and their GeoJSON.")
    patients = read_column(folder / PATIENTS_CSV, "slide", "patient")
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    found: dict[Path, AnnotatedSlide] = {}
    for regions_path in files:
        name = _strip_ending(regions_path.name)
        if name is None or name.endswith(OWN_OUTPUTS):
            continue
        path = _find_slide(regions_path, name, files)
        if path in found:
            raise BadInputError(f"{path}: {found[path].regions_path.name} and {regions_path.name}. Keep one.")
        patient = patients.get(path.name) or patients.get(path.stem) or path.stem
        found[path] = AnnotatedSlide(name=name, path=path, regions_path=regions_path, patient=patient)
    if not found:
        raise BadInputError(
            f"{folder}: no GeoJSON of regions. Export it from QuPath as NAME.geojson beside NAME.svs."
        )
    return list(found.values())


def _strip_ending(name: str) -> str | None:
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), None)


def _find_slide(regions_path: Path, name: str, files: Sequence[Path]) -> Path:
    slides = [path for path in files if path.suffix.lower() not in NO_SLIDES]
    matches = [path for path in slides if path.name == name] or [
        path for path in slides if name in (path.stem, path.stem.removesuffix(".ome"))
    ]
    if len(matches) != 1:
        fault = f"{matches[0].name} and {matches[1].name}" if matches else f"no slide named {name}"
        raise BadInputError(f"{regions_path}: {fault} beside it. Give it the name of one slide.")
    return matches[0]
