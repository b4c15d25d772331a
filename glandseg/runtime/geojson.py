"""GeoJSON that QuPath 0.6 and later opens as it is: every polygon valid after its 0.01 px snap.

QuPath refuses a whole file for one crossing, so each outline is snapped to the importer's own grid and
made valid there. Coordinates are level-0 pixels of the slide as QuPath shows it, cropped to the slide's
bounds where the format has them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from glandseg import RESEARCH_USE
from glandseg.runtime.glands import Gland
from glandseg.runtime.measurements import QUANTITIES, Measurements

GLAND_RGB = (0, 200, 83)
MAX_ANNOTATIONS = 20_000
_GRID_L0 = 0.01
_SLIVER_L0 = 1.0  # parts below this area, in square level-0 pixels, are dropped


def write_geojson(
    path: Path,
    glands: Sequence[Gland],
    measurements: Sequence[Measurements],
    *,
    l0_per_px: float,
    metadata: Mapping[str, str],
    max_annotations: int = MAX_ANNOTATIONS,
    simplify_l0: float = 0.0,
) -> None:
    """Writes a FeatureCollection, one feature at a time; the same glands give the same bytes.

    Args:
        path: The file; gzip-compressed when its name ends in ".gz".
        glands: The glands, outlined in map pixels.
        measurements: One per gland, in the same order.
        l0_per_px: Level-0 pixels per map pixel.
        metadata: Kept in the collection's "metadata", which QuPath ignores; the research-use line is added.
        max_annotations: More glands than this become detections, which QuPath handles in larger numbers.
        simplify_l0: Greatest distance, in level-0 pixels, by which an outline may be simplified.

    Raises:
        ValueError: The glands and measurements differ in number.
    """
    kind = "annotation" if len(glands) <= max_annotations else "detection"
    header = {"Research use": RESEARCH_USE, **metadata}
    with _open_text(path) as file:
        file.write(f'{{"type":"FeatureCollection","metadata":{_encode(header)},"features":[')
        for index, (gland, measured) in enumerate(zip(glands, measurements, strict=True)):
            outline_l0 = _place(gland.polygon_px, l0_per_px, simplify_l0)
            file.write(",\n" if index else "\n")
            file.write(_encode(_build_feature(outline_l0, measured, kind)))
        file.write("\n]}\n")


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """Opens a UTF-8 file for writing; gzip carries no name and no time."""
    with path.open("wb") as raw:
        packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        with TextIOWrapper(cast(Any, packed), encoding="utf-8", newline="\n") as file:
            yield file


def _encode(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _build_feature(outline_l0: Polygon | MultiPolygon, measured: Measurements, kind: str) -> dict[str, Any]:
    quantities = measured.list_quantities()
    properties = {
        "objectType": kind,
        "name": f"Gland {measured.number}",
        "classification": {"name": "Gland", "color": GLAND_RGB},
        "measurements": {QUANTITIES[name][0]: value for name, value in quantities.items()},
        "metadata": {"Research use": RESEARCH_USE},
    }
    geometry = _list_coordinates(outline_l0)
    return {"type": "Feature", "id": measured.id, "geometry": geometry, "properties": properties}


def _place(polygon_px: Polygon, l0_per_px: float, simplify_l0: float) -> Polygon | MultiPolygon:
    """Scales an outline to level 0 and makes it valid on QuPath's grid."""
    outline_l0: shapely.Geometry = shapely.transform(polygon_px, lambda xy: xy * l0_per_px)
    if simplify_l0 > 0:
        outline_l0 = shapely.simplify(outline_l0, simplify_l0)
    snapped = shapely.set_precision(shapely.make_valid(outline_l0), _GRID_L0)
    if snapped.area == 0:  # thinner than the grid
        snapped = shapely.set_precision(shapely.buffer(outline_l0, _GRID_L0), _GRID_L0)
    return _drop_slivers(snapped)


def _drop_slivers(geometry: shapely.Geometry) -> Polygon | MultiPolygon:
    """Keeps the largest polygon and every other that is no sliver; lines and points go."""
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    largest = max(parts, key=lambda part: part.area)
    kept = [part for part in parts if part is largest or part.area >= _SLIVER_L0]
    whole = kept[0] if len(kept) == 1 else MultiPolygon(kept)
    return shapely.orient_polygons(whole, exterior_cw=False)


def _list_coordinates(outline_l0: Polygon | MultiPolygon) -> dict[str, Any]:
    polygons = [
        [np.round(shapely.get_coordinates(ring), 2).tolist() for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(outline_l0)
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}
